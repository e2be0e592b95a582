"""What the commands print: 80 columns, the right figures, JSON alone where it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from flexp.cli import plan as plan_command
from flexp.cli import render
from flexp.planner.plan import Plan, read_plan
from typer.testing import Result


@pytest.mark.parametrize(
    ("depth", "blocks", "bar"),
    [
        (1, 2, "█░ 1"),
        (2, 6, "██░░░░ 2"),
        (5, 6, "█████░ 5"),
        (1, 48, "█░░░░░░░ 1"),
        (24, 48, "████░░░░ 24"),
        (47, 48, "███████░ 47"),
    ],
)
def test_depth_bar(depth: int, blocks: int, bar: str) -> None:
    assert render.depth_bar(depth, blocks) == bar


@pytest.mark.parametrize(
    ("share", "width", "bar"),
    [
        (0.0, 4, "    "),
        (1e-9, 4, "▏   "),
        (0.3, 4, "█▎  "),
        (0.5, 4, "██  "),
        (0.97, 4, "███▉"),
        (1.0, 4, "████"),
        (7.0, 4, "████"),
    ],
)
def test_share_bar(share: float, width: int, bar: str) -> None:
    assert render.share_bar(share, width) == bar


def widest(result: Result) -> int:
    return max(len(line) for line in result.stdout.splitlines())


def test_plan_table(typed: Callable[..., Result], folder: Path) -> None:
    result = typed("plan", "fleet.yaml", "--profile", "profile.json", "-o", "out.yaml")
    assert result.exit_code == 0, result.output
    made = read_plan(folder / "out.yaml")
    assert [client.name for client in made.clients] == ["left", "right"]
    assert widest(result) <= 80
    for client in made.clients:
        line = next(text for text in result.stdout.splitlines() if text.startswith(client.name))
        assert render.depth_bar(client.depth, 6) in line
    for label in ("total", "server", "objective", "bottleneck", "next: flexp train out.yaml"):
        assert f"\n{label}" in result.stdout
    assert made.bottleneck in result.stdout.split("bottleneck")[1]
    assert result.stderr == "wrote out.yaml\n"


def test_long_names_are_never_cut(plan: Plan) -> None:
    name = "a-client-with-a-name-of-over-thirty-letters"
    long = plan.model_copy(update={"clients": (plan.clients[0].model_copy(update={"name": name}),)})
    to = render.console()
    with to.capture() as captured:
        to.print(plan_command.plan_table(long))
    lines = captured.get().splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in captured.get()
    assert name in "".join(line.split("  ")[0].strip() for line in lines)


def test_brackets_in_names_are_text(typed: Callable[..., Result], folder: Path) -> None:
    fleet = folder / "fleet.yaml"
    text = fleet.read_text(encoding="utf-8")
    text = text.replace("name: desk", "name: desk [/x]").replace("two-rooms", "'[red]rooms'")
    fleet.write_text(text, encoding="utf-8")
    result = typed("plan", "fleet.yaml", "--profile", "profile.json")
    assert result.exit_code == 0, result.output
    assert "tiny on [red]rooms" in result.stdout
    assert "desk [/x]," in result.stdout
    assert "server      desk [/x]:" in result.stdout


def test_plan_json_is_the_plan(typed: Callable[..., Result], folder: Path) -> None:
    words = ("plan", "fleet.yaml", "--profile", "profile.json", "-o", "out.json", "--json")
    result = typed(*words)
    assert Plan.model_validate_json(result.stdout) == read_plan(folder / "out.json")
