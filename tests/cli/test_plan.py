"""`flexp plan`: 80 columns, the right figures, files as asked, Ctrl-C, differences."""

from __future__ import annotations

import csv
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml
from flexp.catalog.files import write_contract
from flexp.cli import plan_diff, plan_display, plan_plot, plan_search, render
from flexp.errors import FlexpError
from flexp.planner import strategies
from flexp.planner.plan import AbsentClient, Plan, read_plan
from flexp.planner.solver.solve import Progress
from flexp.profiler import cache
from flexp.profiler.profile import Profile, ProfileSettings

from .conftest import FLEET, Type

PLAN = ("plan", "fleet.yaml", "--profile", "profile.json")


def printed(plan: Plan, by: plan_display.Shown = "auto") -> list[str]:
    to = render.console()
    to.width = 80
    with to.capture() as captured:
        to.print(plan_display.client_table(plan, by))
        to.print(plan_display.server_table(plan, by))
    return captured.get().splitlines()


def with_clients(plan: Plan, *changes: dict[str, Any]) -> Plan:
    clients = tuple(plan.clients[0].model_copy(update=change) for change in changes)
    return plan.model_copy(update={"clients": clients})


def test_table_and_summary(typed: Type, folder: Path) -> None:
    result = typed(*PLAN, "-o", "out.yaml")
    assert result.exit_code == 0, result.output
    made = read_plan(folder / "out.yaml")
    assert [client.name for client in made.clients] == ["left", "right"]
    assert max(map(len, result.stdout.splitlines())) <= 80
    for client in made.clients:
        line = next(text for text in result.stdout.splitlines() if text.startswith(client.name))
        assert render.depth_bar(client.depth, 6) in line
        assert plan_display.seconds(client.predicted.step_seconds) in line
    for label in ("all", "server", "objective", "bottleneck", "next: flexp train out.yaml"):
        assert f"\n{label}" in result.stdout
    assert made.bottleneck in result.stdout.split("bottleneck")[1]
    assert result.stderr.endswith("wrote out.yaml\n")


def test_long_names_are_never_cut(plan: Plan) -> None:
    name = "a-client-with-a-name-of-over-thirty-letters"
    lines = printed(with_clients(plan, {"name": name}))
    assert max(map(len, lines)) <= 80
    assert "…" not in "".join(lines)
    assert name in "".join(line.split("  ")[0].strip() for line in lines)


def test_brackets_in_names_are_text(typed: Type, folder: Path) -> None:
    fleet = folder / "fleet.yaml"
    text = FLEET.replace("name: desk", "name: desk [/x]").replace("two-rooms", "'[red]rooms'")
    fleet.write_text(text, encoding="utf-8")
    result = typed(*PLAN)
    assert result.exit_code == 0, result.output
    assert "tiny on [red]rooms" in result.stdout
    assert "desk [/x]," in result.stdout
    assert "server      desk [/x]:" in result.stdout


def test_json_is_the_plan(typed: Type, folder: Path) -> None:
    result = typed(*PLAN, "-o", "out.json", "--json")
    assert Plan.model_validate_json(result.stdout) == read_plan(folder / "out.json")


def test_many_clients_are_shown_by_class(plan: Plan) -> None:
    many = with_clients(
        plan,
        {"name": "pi", "class_size": 90, "count": 60, "depth": 1},
        {"name": "pi", "class_size": 90, "first": 61, "count": 30, "depth": 3, "batch": 4},
    )
    lines = printed(many)
    assert max(map(len, lines)) <= 80
    row = next(line for line in lines if line.startswith("pi "))
    assert row.split()[:4] == ["pi", "90", "██░░░░", "1–3"]
    assert "batch 4 or 16" in " ".join(line.split("  ")[0].strip() for line in lines)
    assert sum(line.startswith("pi-") for line in printed(many, "client")) == 90


def test_long_lists_are_shortened_unless_asked_for(plan: Plan) -> None:
    classes = [{"name": f"kind{n}", "class_size": 2, "count": 2} for n in range(50)]
    many = with_clients(plan, *classes)
    short, full = printed(many), printed(many, "class")
    assert sum(line.startswith("kind") for line in short) == plan_display.SHOWN
    assert "10 more classes" in "\n".join(short)
    assert sum(line.startswith("kind") for line in full) == 50


def test_absent_clients_and_baselines_in_the_summary(plan: Plan) -> None:
    away = AbsentClient(name="panel", class_size=15, first=3, count=2)
    stated = plan.objectives[0].model_copy(update={"status": "not optimised"})
    found = plan.model_copy(update={"absent": (away,), "objectives": (stated,)})
    lines = plan_display.summary(found)
    assert ("absent", "panel-03 to panel-04: 2 of 15") in lines
    assert ("objective", "total: 0.335 s") in lines


def test_csv_has_a_row_for_each_entry(typed: Type, folder: Path) -> None:
    result = typed(*PLAN, "--csv", "out.csv", "-o", "out.yaml")
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader((folder / "out.csv").read_text(encoding="utf-8").splitlines()))
    made = read_plan(folder / "out.yaml")
    assert [(row["name"], int(row["depth"])) for row in rows] == [
        (client.name, client.depth) for client in made.clients
    ]
    assert float(rows[0]["step_seconds"]) == made.clients[0].predicted.step_seconds


@pytest.mark.parametrize("strategy", ["static", "memory-only"])
def test_a_strategy_is_written_with_values_and_no_proof(
    strategy: str, typed: Type, folder: Path
) -> None:
    text = FLEET + "policy:\n  server_utilisation: 0.9\n"
    (folder / "fleet.yaml").write_text(text, encoding="utf-8")
    result = typed(*PLAN, "--strategy", strategy, "-o", "out.yaml")
    assert result.exit_code == 0, result.output
    assert read_plan(folder / "out.yaml").strategy == strategy
    assert "gap" not in result.stdout


def test_picture(typed: Type, folder: Path) -> None:
    pytest.importorskip("matplotlib")
    assert typed(*PLAN, "--plot", "out.svg").exit_code == 0
    assert b"<svg" in (folder / "out.svg").read_bytes()
    assert typed(*PLAN, "--plot", "out.png").exit_code == 0
    assert (folder / "out.png").read_bytes().startswith(b"\x89PNG")


def test_parts_of_a_bar(plan: Plan) -> None:
    entry = plan.clients[0].model_copy(update={"depth": 2, "top": 1, "head": "server"})
    colors = [color for _, color in plan_plot.parts(entry, 5)]
    here, there = plan_plot.DEVICE, plan_plot.SERVER
    assert colors == [plan_plot.SHELL, here, here, there, there, here, there]


def test_bars_of_large_fleets_are_the_placements_of_classes(plan: Plan) -> None:
    many = with_clients(
        plan,
        {"name": "pi", "class_size": 90, "count": 30, "depth": 1},
        {"name": "pi", "class_size": 90, "first": 31, "count": 60, "depth": 3},
    )
    found = [(row.name, row.count, row.first.depth) for row in plan_plot.bars(many)]
    assert found == [("pi", 60, 3), ("pi", 30, 1)]


def test_diff_by_member(plan: Plan) -> None:
    old = with_clients(
        plan,
        {"name": "pi", "class_size": 9, "count": 6, "depth": 1},
        {"name": "pi", "class_size": 9, "first": 7, "count": 3, "depth": 2},
    )
    new = with_clients(plan, {"name": "pi", "class_size": 9, "count": 8, "depth": 1})
    away = AbsentClient(name="pi", class_size=9, first=9, count=1)
    found = plan_diff.compare(old, new.model_copy(update={"absent": (away,)}))
    assert [(c.count, c.old.split(",")[0], c.new.split(",")[0]) for c in found.changes] == [
        (2, "depth 2", "depth 1"),
        (1, "depth 2", "absent"),
    ]
    assert found.unchanged == 6
    devices = next(figure for figure in found.figures if figure.name == "clients")
    assert (devices.old, devices.new) == (9, 8)
    longest = next(figure for figure in found.figures if figure.name == "slowest round")
    assert (longest.old, longest.new) == (0.335, 0.335)


def test_diff_command(typed: Type, folder: Path) -> None:
    assert typed(*PLAN, "-o", "old.yaml").exit_code == 0
    same = typed(*PLAN, "--diff", "old.yaml")
    assert "0 clients change, 2 stay as they are" in same.stdout
    changed = typed(*PLAN, "--objective", "depth", "--diff", "old.yaml", "--json")
    found = plan_diff.PlanDiff.model_validate_json(changed.stdout)
    assert [figure.name for figure in found.figures][:2] == ["total", "depth"]


def test_alternatives_as_json(typed: Type) -> None:
    found = json.loads(typed(*PLAN, "--alternatives", "0.5", "--json").stdout)
    assert all(other["metrics"]["total"] > 0 for other in found)


def test_several_profiles(typed: Type, folder: Path, profile: Profile) -> None:
    fleet = FLEET + "policy:\n  batches: [16, 8]\n"
    (folder / "fleet.yaml").write_text(fleet, encoding="utf-8")
    settings = profile.settings.model_copy(update={"batch": 8})
    write_contract(profile.model_copy(update={"settings": settings}), folder / "eight.json")
    alone = typed(*PLAN)
    assert (alone.exit_code, alone.stdout) == (10, "")
    assert "batches of 8" in alone.stderr
    both = typed(*PLAN, "--profile", "eight.json", "-o", "out.yaml")
    assert both.exit_code == 0, both.output
    assert set(read_plan(folder / "out.yaml").profile_hashes) == {16, 8}
    twice = typed(*PLAN, "--profile", "profile.json")
    assert (twice.exit_code, "has a profile already" in twice.stderr) == (10, True)


def test_what_a_search_tells() -> None:
    watch = plan_search.Watch("planning 2 clients")
    assert watch.line(3.2) == "planning 2 clients, 3 s"
    watch.on_progress(Progress(3.0, float("inf"), 31.2))
    assert watch.line(3.2) == "planning 2 clients, 3 s: no plan yet, bound 31.2"
    watch.on_progress(Progress(4.0, 40.0, 30.0))
    assert watch.line(7) == "planning 2 clients, 7 s: best 40, bound 30, gap 25.00%"


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Searches that are interrupted at once; what is in the list is raised or returned."""
    outcome: list[Any] = []

    def make(strategy: object, profiles: object, fleet: object, wanted: Any) -> Plan:
        assert not wanted.stop()
        os.kill(os.getpid(), signal.SIGINT)
        assert wanted.stop()
        if isinstance(outcome[0], Exception):
            raise outcome[0]
        return outcome[0]

    monkeypatch.setattr(strategies, "make_plan_by", make)
    return outcome


def test_an_interrupt_gives_the_best_plan_and_says_so(
    typed: Type, plan: Plan, interrupted: list[Any]
) -> None:
    stated = plan.objectives[0].model_copy(
        update={"bound": 0.3015, "gap": 0.1, "status": "feasible"}
    )
    interrupted.append(plan.model_copy(update={"objectives": (stated,)}))
    result = typed(*PLAN, "--json")
    assert result.exit_code == 0
    assert Plan.model_validate_json(result.stdout) == interrupted[0]
    assert "stopped: the best plan found, at most 10.00% above the least total" in result.stderr


def test_an_interrupt_before_any_plan_is_130(typed: Type, interrupted: list[Any]) -> None:
    interrupted.append(FlexpError("no plan found"))
    result = typed(*PLAN)
    assert (result.exit_code, result.stdout) == (130, "")
    assert "interrupted before a plan was found" in result.stderr


def test_value_file(typed: Type, folder: Path) -> None:
    points = [{"depth_share": 0.1, "value": 0.5}, {"depth_share": 1.0, "value": 0.9}]
    curve = {"schema_version": 1, "source": "a test", "points": points}
    (folder / "curve.yaml").write_text(yaml.safe_dump(curve), encoding="utf-8")
    result = typed(*PLAN, "--objective", "value", "--value", "curve.yaml", "-o", "out.yaml")
    assert result.exit_code == 0, result.output
    assert max(client.depth for client in read_plan(folder / "out.yaml").clients) == 5


def test_smaller_batches_are_profiled_where_there_is_no_plan(
    typed: Type, folder: Path, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The board lacks a little memory at batch 16, whose profile is all that is given."""
    fleet = FLEET.replace("usable_memory_bytes: 2 GiB", "usable_memory_bytes: 500 MiB")
    (folder / "fleet.yaml").write_text(fleet, encoding="utf-8")
    asked = []

    def measured(model: str, settings: ProfileSettings) -> Profile:
        asked.append(settings.batch)
        grows = ("saved_bytes", "forward_transient_bytes", "backward_transient_bytes")
        fields = profile.model_dump() | {"settings": settings.model_dump()}
        for unit in fields["units"]:
            unit.update({field: unit[field] * settings.batch // 16 for field in grows})
        return Profile.model_validate(fields)

    monkeypatch.setattr(cache, "cached_profile", measured)
    result = typed(*PLAN)
    assert (result.exit_code, result.stdout, asked) == (11, "", [8, 4, 2, 1])
    assert "right, at depth 1 and batch 16, needs " in result.stderr
    assert "; batch 8 fits" in result.stderr
    assert "batch 8 instead of 16" in result.stderr


def test_a_profile_whose_model_is_gone_gives_the_other_changes(typed: Type, folder: Path) -> None:
    fleet = FLEET.replace("usable_memory_bytes: 2 GiB", "usable_memory_bytes: 500 MiB")
    (folder / "fleet.yaml").write_text(fleet, encoding="utf-8")
    result = typed(*PLAN)  # no model is called "tiny"
    assert result.exit_code == 11
    assert "more usable memory" in result.stderr
    assert "batch 8" not in result.stderr
