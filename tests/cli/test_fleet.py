from __future__ import annotations

import json
from pathlib import Path

import pytest
from flexp.planner.fleet_summary import FleetSummary

from .conftest import Type

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*-*.yaml"))


def test_check_shows_what_was_understood(typed: Type, folder: Path) -> None:
    result = typed("fleet", "check", "fleet.yaml")
    assert result.exit_code == 0
    assert "two-rooms: 2 clients, 2 kinds" in result.stdout
    for words in ("left", "desk, wire", "of 16 GiB", "↑100 Mbit/s", "220 GFLOP/s", "100 steps a"):
        assert words in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_check_fits_a_terminal(typed: Type, folder: Path, path: Path) -> None:
    result = typed("fleet", "check", str(path))
    assert result.exit_code == 0
    shown = result.stdout.split("\nnext: ")[0]
    assert max(map(len, shown.splitlines())) <= 80


def test_check_as_json(typed: Type, folder: Path) -> None:
    result = typed("fleet", "check", "fleet.yaml", "--json")
    found = FleetSummary.model_validate_json(result.stdout)
    assert [group.names for group in found.groups] == [("left",), ("right",)]
    assert found.totals.clients == 2


def test_check_counts_kinds_beyond_what_is_shown(typed: Type, folder: Path) -> None:
    rows = "".join(
        f"  - {{name: c{number}, device: pi-5, link: lte, weight: {number}, count: 3}}\n"
        for number in range(1, 51)
    )
    (folder / "many.yaml").write_text(
        f"schema_version: 1\nserver: {{device: workstation, link: lte}}\nclients:\n{rows}"
    )
    shown = typed("fleet", "check", "many.yaml").stdout
    assert "\nc40 " in shown and "\nc41 " not in shown
    assert "10 more kinds" in shown
    assert len(json.loads(typed("fleet", "check", "many.yaml", "--json").stdout)["groups"]) == 50


def test_check_with_a_profile_says_who_cannot_take_part(typed: Type, folder: Path) -> None:
    fleet = folder / "fleet.yaml"
    fleet.write_text(fleet.read_text().replace("memory_bytes: 2 GiB", "memory_bytes: 401 MiB"))
    shown = typed("fleet", "check", "fleet.yaml", "--profile", "profile.json").stdout
    assert "warning" in shown and "right: needs" in shown
    assert "right: needs" not in typed("fleet", "check", "fleet.yaml").stdout


def test_check_tells_mistakes_with_their_lines(typed: Type, folder: Path) -> None:
    fleet = folder / "fleet.yaml"
    fleet.write_text(fleet.read_text().replace("link: *wire", "link: string"))
    result = typed("fleet", "check", "fleet.yaml")
    assert (result.exit_code, result.stdout) == (6, "")
    assert "fleet.yaml:20: clients.0.link: client 'left'" in result.stderr
    assert "fleet.yaml:29: clients.1.link: client 'right'" in result.stderr
