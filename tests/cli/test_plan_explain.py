"""`flexp plan --explain`: of the fleet and of a client, as text and as JSON."""

from __future__ import annotations

import json

import pytest
from flexp.cli.plan import _with_values
from flexp.planner.explanation import ClientExplanation, FleetExplanation

from .conftest import Type

PLAN = ("plan", "fleet.yaml", "--profile", "profile.json")


@pytest.mark.parametrize(
    "words, understood",
    [
        ("fleet.yaml --explain", ["fleet.yaml", "--explain", ""]),
        ("--explain fleet.yaml", ["--explain", "", "fleet.yaml"]),
        ("--explain --json fleet.yaml", ["--explain", "", "--json", "fleet.yaml"]),
        ("--explain pi-3 fleet.yaml", ["--explain", "pi-3", "fleet.yaml"]),
        ("--explain=pi-3 fleet.yaml", ["--explain=pi-3", "fleet.yaml"]),
    ],
)
def test_a_client_or_none(words: str, understood: list[str]) -> None:
    assert list(_with_values(words.split())) == understood


def test_the_fleet(typed: Type) -> None:
    result = typed(*PLAN, "--explain")
    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= 80
    for heading in (
        "What the servers' limits leave",
        "What keeps a device from one block more",
        "Beside the strategies without an optimizer",
    ):
        assert heading in result.stdout
    for label in ("C4_server_memory", "C5_server_compute", "C6_server_link_up"):
        assert label in result.stdout


def test_a_client(typed: Type) -> None:
    result = typed(*PLAN, "--explain", "right")
    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= 80
    lines = result.stdout.split("bottleneck")[1]
    for label in ("limits", "one more", "one less", "next best", "C2_device_memory", "total +"):
        assert label in lines


def test_json_holds_what_is_shown(typed: Type) -> None:
    fleet = FleetExplanation.model_validate_json(typed(*PLAN, "--explain", "--json").stdout)
    assert fleet.strategies[0].strategy == "optimized"
    (client,) = json.loads(typed(*PLAN, "--explain", "left", "--json").stdout)
    assert ClientExplanation.model_validate(client).client.name == "left"


def test_an_unknown_client_is_an_error(typed: Type) -> None:
    result = typed(*PLAN, "--explain", "nobody")
    assert (result.exit_code, result.stdout) == (5, "")
    assert "--explain: the fleet has no client 'nobody'" in result.stderr
    assert "clients are left, right" in result.stderr
    assert "did you mean left?" in typed(*PLAN, "--explain", "lef").stderr


def test_one_thing_as_json(typed: Type) -> None:
    result = typed(*PLAN, "--explain", "--alternatives", "0.1", "--json")
    assert result.exit_code == 5
    assert "--json: prints one of --diff, --alternatives and --explain" in result.stderr
