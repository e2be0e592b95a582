"""`flexp limits`: 80 columns, every limit and front, JSON."""

from __future__ import annotations

from pathlib import Path

import pytest
from flexp.catalog.files import read_contract
from flexp.cli import limits
from flexp.planner.whatif.carries import Limits
from flexp.planner.whatif.front import Front, Point
from flexp.planner.whatif.limits import Limit

from .conftest import Type


@pytest.mark.slow  # over thirty plans
@pytest.mark.usefixtures("any_model")
def test_limits(typed: Type, folder: Path) -> None:
    words = ("limits", "fleet.yaml", "--profile", "profile.json", "--models", "tiny,huge")
    result = typed(*words, "--time-limit", "1", "-o", "out.json")
    assert result.exit_code == 0, result.output
    made = read_contract(Limits, folder / "out.json")
    assert [one.name for one in made.limits] == ["model", "batch", "depth", "devices"]
    assert [front.metric for front in made.fronts] == ["server", "value"]
    assert max(map(len, result.stdout.splitlines())) <= 80
    for text in ("largest model", "deepest for all", "static", "memory-only", "optimized"):
        assert text in result.stdout


def test_what_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    points = (
        Point(mark="optimized", time=12.0, other=3.0, mean_depth=2.5, on_front=True),
        Point(mark="static", time=14.0, other=4.0, mean_depth=4, on_front=False, broken=("C4_x",)),
    )
    limits.show(
        Limits(
            fleet="office",
            model="tiny",
            blocks=6,
            limits=(
                Limit(name="batch", most="76", beyond="77", why=("memory of server",)),
                Limit(name="model", most=None, beyond="huge", why=("link", "deadline")),
            ),
            fronts=(Front(metric="server", unit="s", meaning="its work", points=points),),
        )
    )
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    for text in ("76", "77: memory of", "not even the least", "huge: link", "12 s", "breaks C4_x"):
        assert text in shown
