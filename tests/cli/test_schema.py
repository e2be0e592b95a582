"""The schemas for editors: what flexp reads is valid in them, most of what it refuses is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
import yaml
from flexp.catalog.devices import device_names
from flexp.cli import schema
from flexp.planner.fleet import Fleet

from .conftest import FLEET, Type

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
SCHEMAS = {kind: schema.json_schema(contract) for kind, contract in schema.contracts().items()}


@pytest.mark.parametrize("kind", get_args(schema.FileKind))
def test_schema(kind: str, typed: Type, folder: Path) -> None:
    printed = json.loads(typed("schema", kind).stdout)
    jsonschema.Draft202012Validator.check_schema(printed)
    assert printed["additionalProperties"] is False
    assert printed == SCHEMAS[kind]
    assert json.loads(typed("schema").stdout)[kind] == printed
    assert typed("schema", "-o", "schemas").exit_code == 0
    assert json.loads((folder / "schemas" / f"{kind}.schema.json").read_text()) == printed


def test_schema_refuses_a_file_as_folder(typed: Type) -> None:
    result = typed("schema", "-o", "plan.yaml")
    assert (result.exit_code, result.stdout) == (5, "")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_are_valid(path: Path) -> None:
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    jsonschema.validate(data, SCHEMAS["fleet" if "clients" in data else "fragment"])


def test_a_hover_explains_every_field_but_the_plainest() -> None:
    undescribed = {
        f"{name}.{field}"
        for name, definition in {"Fleet": SCHEMAS["fleet"], **SCHEMAS["fleet"]["$defs"]}.items()
        for field, content in definition["properties"].items()
        if "description" not in content
    }
    plain = {"name", "schema_version", "clients", "policy", "count"}
    rates = {"cores", "accelerator", "up_bits_per_second", "down_bits_per_second", "source"}
    assert {field.split(".")[1] for field in undescribed} <= plain | rates
    assert all("\n" not in text for text in _descriptions(SCHEMAS["fleet"]))


def _descriptions(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["description"]] if isinstance(node.get("description"), str) else []
        return own + [text for value in node.values() for text in _descriptions(value)]
    return [text for item in node for text in _descriptions(item)] if isinstance(node, list) else []


def test_names_of_the_catalogue_are_suggested() -> None:
    client = SCHEMAS["fleet"]["$defs"]["ClientEntry"]["properties"]
    assert client["device"]["anyOf"][0]["examples"] == device_names()


def changed(path: str, value: Any) -> Any:
    """The fleet of two rooms with one value replaced, added, or taken out (None)."""
    data = yaml.safe_load(FLEET)
    node = data
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in parents:
        node = node.setdefault(part, {}) if isinstance(node, dict) else node[part]
    if value is None:
        del node[last]
    else:
        node[last] = value
    return data


FIGURES = {
    "ram_bytes": "4 GiB",
    "usable_memory_bytes": 2 * 2**30,
    "runtime_bytes": "400MiB",
    "training_flops_per_second": "20 GFLOP/s",
    "source": "x",
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", "two"),
        ("devices.kiosk", FIGURES),
        ("clients.0.count", 12),
        ("clients.0.device", "pi-5"),
        ("policy.codec", "int8"),
        ("policy.step_deadline_seconds", "2 min"),
        ("policy.energy_budget_wh", 1.5),
    ],
)
def test_what_flexp_reads_is_valid(path: str, value: Any) -> None:
    Fleet.model_validate(changed(path, value))
    jsonschema.validate(changed(path, value), SCHEMAS["fleet"])


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schema_version", 7),
        ("server", None),
        ("servers", [{"device": "pi-5", "link": "lte"}]),
        ("colour", "red"),
        ("clients.0.name", "not a name"),
        ("clients.0.count", 0),
        ("clients.0.link", None),
        ("clients.1.device.name", None),
        ("clients.1.device.ram_bytes", "4 gigs"),
        ("clients.1.device.ram_bytes", -4),
        ("server.link.rtt_seconds", "5 lightyears"),
        ("devices.kiosk", {**FIGURES, "ram_bytes": "4 GHz"}),
        ("policy.checkpointing", "maybe"),
        ("policy", {"codec": "int8", "codecs": ["int8"]}),
    ],
)
def test_what_flexp_refuses_is_not_valid(path: str, value: Any) -> None:
    with pytest.raises(ValueError):
        Fleet.model_validate(changed(path, value))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(changed(path, value), SCHEMAS["fleet"])
