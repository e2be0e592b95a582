"""Small linear programs in HiGHS itself, one after the other."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

import highspy
import numpy as np

from .problem import FloatArray

TOLERANCE = 1e-9


class LinearProgram:
    """A small linear program that grows by a row at a time and is solved again after each: without
    a model in PuLP between and without presolving, which take longer than the solution."""

    def __init__(self) -> None:
        with silent_stdout():
            self._highs = highspy.Highs()
            self._highs.setOptionValue("output_flag", False)
            self._highs.setOptionValue("threads", 1)
            self._highs.setOptionValue("presolve", "off")
            for name in ("primal_feasibility_tolerance", "dual_feasibility_tolerance"):
                self._highs.setOptionValue(name, TOLERANCE)

    def begin(self, cost: FloatArray) -> None:
        """Maximise cost · x, float64[n], of numbers >= 0, without any rows."""
        n = len(cost)
        self._columns = np.arange(n, dtype=np.int32)
        self._highs.clearModel()
        self._highs.addVars(n, np.zeros(n), np.full(n, np.inf))
        self._highs.changeColsCost(n, self._columns, cost)
        self._highs.changeObjectiveSense(highspy.ObjSense.kMaximize)

    def bound(self, lower: FloatArray, upper: FloatArray) -> None:
        """x is from `lower` to `upper`, float64[n]; infinite ones are np.inf."""
        self._highs.changeColsBounds(len(lower), self._columns, lower, upper)

    def add(self, row: FloatArray, least: float, most: float) -> None:
        """row · x is from `least` to `most`; `row` is float64[n]."""
        self._highs.addRow(least, most, len(row), self._columns, row)

    def solve(self) -> FloatArray | None:
        """float64[n]: the best x; None where the solver finds none."""
        for _ in range(2):
            self._highs.run()
            if self._highs.getModelStatus() == highspy.HighsModelStatus.kOptimal:
                return np.array(self._highs.getSolution().col_value)
            self._highs.clearSolver()  # what was left of the last solution may be in the way
        return None


class _Idle(threading.local):
    """Solvers of a thread that are not in use: making one takes as long as a solution."""

    def __init__(self) -> None:
        self.programs: list[LinearProgram] = []


_idle = _Idle()


@contextlib.contextmanager
def linear_program(cost: FloatArray) -> Iterator[LinearProgram]:
    """One that maximises cost · x, as `LinearProgram.begin` says."""
    program = _idle.programs.pop() if _idle.programs else LinearProgram()
    program.begin(cost)
    yield program
    _idle.programs.append(program)


_redirecting = threading.Lock()


@contextlib.contextmanager
def silent_stdout() -> Iterator[None]:
    """Descriptor 1 leads nowhere meanwhile; one thread at a time, or it would never come back."""
    with _redirecting:
        sys.stdout.flush()
        kept = os.dup(1)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 1)
            yield
        finally:
            os.dup2(kept, 1)
            os.close(nowhere)
            os.close(kept)
