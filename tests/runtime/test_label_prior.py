"""The label prior, by hand."""

from __future__ import annotations

from collections.abc import Callable
from math import log
from pathlib import Path

import pytest
from flexp.errors import PlanError, UnsupportedModelError
from flexp.runtime.label_prior import log_prior

from .jobs import run, small_plan


@pytest.mark.parametrize(
    ("labels", "classes", "expected"),
    [
        ((0, 0, 1), 2, [log(2.3 / 3.6), log(1.3 / 3.6)]),
        (([0, 1, -100], [1, 1]), 3, [log(1.3 / 4.9), log(3.3 / 4.9), log(0.3 / 4.9)]),
    ],
)
def test_golden(labels: tuple[object, ...], classes: int, expected: list[float]) -> None:
    """Of class indices, and of lists with one for each token, of which -100 does not count."""
    assert log_prior(labels, classes).tolist() == pytest.approx(expected)


def test_a_server_that_has_the_head_does_not_know_the_prior(
    tmp_path: Path, checkpoint: Callable[[str], Path]
) -> None:
    plan = small_plan(checkpoint("bert"))
    head_there = plan.clients[1].model_copy(update={"head": "server"})
    plan = plan.model_copy(update={"clients": (plan.clients[0], head_there, plan.clients[2])})
    with pytest.raises(PlanError, match=r"puts the head of bo\.2 on the server"):
        run(plan, tmp_path, label_prior=True)


def test_the_next_token_has_no_prior_of_its_own(
    tmp_path: Path, checkpoint: Callable[[str], Path]
) -> None:
    plan = small_plan(checkpoint("llama"))
    causal = plan.settings.model_copy(update={"task": "causal-lm"})
    with pytest.raises(UnsupportedModelError, match="no labels whose frequencies"):
        run(plan.model_copy(update={"settings": causal}), tmp_path, label_prior=True)
