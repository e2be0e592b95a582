"""Where falling functions cross 0."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from flexp.planner.crossing import crossings
from flexp.planner.solver.problem import FloatArray
from hypothesis import given
from hypothesis import strategies as st

TOLERANCE = 1e-9
SHAPES: dict[str, Callable[[float], float]] = {
    "straight": lambda rise: -rise,
    "flat": lambda rise: -0.01 * rise,
    "steep": lambda rise: -50 * rise,
    "a kink": lambda rise: -rise if rise < 0 else -0.05 * rise,
    "bent": lambda rise: math.exp(-rise) - 1 if rise > -5 else 147.4 - (rise + 5),
    "from far above": lambda rise: -744.0 if rise > 0.5 else -rise,
}


@given(roots=st.lists(st.floats(-30, 3), min_size=6, max_size=6), near=st.floats(-30, 5))
def test_are_found_from_anywhere(roots: list[float], near: float) -> None:
    tried = []

    def functions(numbers: FloatArray) -> FloatArray:
        tried.append(numbers)
        rises = np.log(numbers) - roots
        return np.array([shape(rise) for shape, rise in zip(SHAPES.values(), rises, strict=True)])

    found = crossings(functions, np.full(6, math.exp(near)), TOLERANCE)
    beyond = np.log(found) - roots
    assert (beyond >= -1e-13).all() and (beyond <= TOLERANCE + 2e-13).all()
    assert len(tried) <= 100


def test_fewer_steps_from_close_by() -> None:
    def steps(near: float) -> int:
        tried = []

        def function(number: FloatArray) -> FloatArray:
            tried.append(number)
            return -0.3 * np.log(number / 2) - 0.1 * np.log(number / 2) ** 3

        crossings(function, np.array([near]), TOLERANCE)
        return len(tried)

    assert steps(2 * (1 + 1e-10)) < steps(2.002) < steps(40.0) <= 15
