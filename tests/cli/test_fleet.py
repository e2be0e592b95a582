from __future__ import annotations

import json
from pathlib import Path

import pytest
from flexp.planner.fleet_summary import FleetSummary

from .conftest import Type

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*-[0-9]*.yaml"))


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


INVENTORY = """\
Hostname,Site,Model,RAM (GB),Serial
pc-1,Hall,laptop-2019,8,A1
pc-2,Hall,laptop-2019,8,A2
pc-3,Hall,Toughbook 55,16,A3
"""
IMPORT = ("fleet", "import", "devices.csv", "--device", "Toughbook 55=laptop-2019")


def test_import_makes_what_a_fleet_file_includes(typed: Type, folder: Path) -> None:
    (folder / "devices.csv").write_text(INVENTORY)
    result = typed(*IMPORT, "--link", "Hall=office-wifi", "-o", "clients.yaml")
    assert (result.exit_code, result.stdout.split("\n")[0]) == (0, "3 devices in 2 entries")
    assert "next: include: [clients.yaml] in a fleet file" in result.stdout
    assert "columns left out: Serial" in result.stderr
    (folder / "all.yaml").write_text(
        "schema_version: 1\ninclude: [clients.yaml]\nserver: {device: workstation, link: lte}\n"
    )
    found = FleetSummary.model_validate_json(typed("fleet", "check", "all.yaml", "--json").stdout)
    assert [(group.names, group.count) for group in found.groups] == [
        (("Hall-laptop-2019",), 2),
        (("pc-3",), 1),
    ]


def test_import_prints_the_fragment(typed: Type, folder: Path) -> None:
    (folder / "devices.csv").write_text(INVENTORY)
    printed = typed(*IMPORT, "--link", "office-wifi").stdout
    assert printed.startswith("# 3 devices of devices.csv, by flexp fleet import.\n")
    assert "  # in order: pc-1, pc-2\n  - name: Hall-laptop-2019\n    count: 2\n" in printed
    each = typed(*IMPORT, "--link", "office-wifi", "--each", "--column", "site=").stdout
    assert "name: pc-2\n" in each and "Hall" not in each


# more words, exit code, what the message says
WRONG_IMPORTS = {
    "no link": ((), 5, ["devices.csv:2: nothing says what its link is (in 3 rows)", "--link NAME"]),
    "two links for all": (("--link", "lte", "--link", "5g"), 5, ["--link: lte and 5g"]),
    "no pair": (("--column", "site"), 5, ["--column: expected two words with = between"]),
    "unknown field": (("--column", "place=Site"), 6, ["--column: unknown field 'place'"]),
    "unknown column": (("--column", "site=Ort"), 6, ["devices.csv:1:", "unknown column 'Ort'"]),
    "unknown link": (("--link", "wlan"), 6, ["--link: unknown link 'wlan'"]),
    "output": (("-o", "clients.json"), 5, ["--output: clients.json ends in '.json'"]),
}


@pytest.mark.parametrize("case", WRONG_IMPORTS)
def test_import_tells_mistakes(typed: Type, folder: Path, case: str) -> None:
    words, code, says = WRONG_IMPORTS[case]
    (folder / "devices.csv").write_text(INVENTORY)
    before = sorted(folder.iterdir())
    result = typed(*IMPORT, *words)
    assert (result.exit_code, result.stdout) == (code, "")
    assert [text for text in says if text not in result.stderr] == []
    assert sorted(folder.iterdir()) == before
