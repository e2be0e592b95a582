"""What the commands print: 80 columns, the right figures, JSON alone where it is asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from flexp.catalog.files import read_contract
from flexp.cli import plan as plan_command
from flexp.cli import profile as profile_command
from flexp.cli import render, schema
from flexp.planner.plan import Plan, read_plan
from flexp.profiler.profile import Profile, ProfileSettings
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
    ("number", "text"), [(0, "0"), (999, "999"), (7_700, "7.7 k"), (22_713_216, "22.7 M")]
)
def test_count(number: int, text: str) -> None:
    assert profile_command.count(number) == text


def test_equal_neighbours_share_a_row(profile: Profile) -> None:
    names = [name for name, _ in profile_command.grouped(profile)]
    assert names == ["embedding", "block.0-2 (each)", "block.3", "block.4-5 (each)", "head"]


def widest(result: Result) -> int:
    return max(len(line) for line in result.stdout.splitlines())


@pytest.fixture
def cached(monkeypatch: pytest.MonkeyPatch, profile: Profile) -> list[tuple[str, ProfileSettings]]:
    """What was asked of the profiler, which answers with the fixture's profile."""
    asked: list[tuple[str, ProfileSettings]] = []

    def answer(model: str, settings: ProfileSettings) -> Profile:
        asked.append((model, settings))
        return profile

    monkeypatch.setattr("flexp.profiler.cache.cached_profile", answer)
    return asked


def test_profile_table(
    typed: Callable[..., Result], cached: list[tuple[str, ProfileSettings]], folder: Path
) -> None:
    result = typed("profile", "tiny", "--batch", "4", "-o", "new/profile.yaml")
    assert result.exit_code == 0, result.output
    assert cached == [("tiny", ProfileSettings(batch=4))]
    assert widest(result) <= 80
    assert "2 FLOPs per multiply-add" in " ".join(result.stdout.split())
    rows = {line.split()[0]: line.split() for line in result.stdout.splitlines() if line.strip()}
    assert rows["block.3"] == [
        "block.3",
        "1.77",
        "M",
        "7.4",
        "GF",
        "8.14",
        "GF",
        "14",
        "MiB",
        "9",
        "MiB",
        "1.5",
        "MiB",
    ]
    assert rows["total"] == ["total", "22.6", "M", "26", "GF", "28.6", "GF", "112", "MiB"]
    assert result.stderr == "wrote new/profile.yaml\n"
    assert read_contract(Profile, folder / "new/profile.yaml").model == "tiny"


def test_profile_json_is_the_profile(
    typed: Callable[..., Result],
    cached: list[tuple[str, ProfileSettings]],
    profile: Profile,
) -> None:
    result = typed("profile", "tiny", "--json")
    assert Profile.model_validate_json(result.stdout) == profile


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
    assert made.objective.bottleneck in result.stdout.split("bottleneck")[1]
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


@pytest.mark.parametrize("kind", ["device", "fleet", "profile", "plan"])
def test_schema(kind: str, typed: Callable[..., Result], folder: Path) -> None:
    printed = json.loads(typed("schema", kind).stdout)
    assert printed["additionalProperties"] is False
    assert printed == schema.contracts()[kind].model_json_schema()
    assert json.loads(typed("schema").stdout)[kind] == printed
    assert typed("schema", "-o", "schemas").exit_code == 0
    assert json.loads((folder / "schemas" / f"{kind}.schema.json").read_text()) == printed


def test_schema_refuses_a_file_as_folder(typed: Callable[..., Result]) -> None:
    result = typed("schema", "-o", "plan.yaml")
    assert (result.exit_code, result.stdout) == (5, "")
