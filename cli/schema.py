"""`flexp schema`: the JSON Schema of every file that flexp reads or writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..errors import FieldError
from . import render

if TYPE_CHECKING:
    from ..catalog.files import Contract

FileKind = Literal[
    "device",
    "link",
    "fleet",
    "fragment",
    "profile",
    "plan",
    "scenarios",
    "costs",
    "compare-scenario",
    "rates",
]
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(
    kind: Annotated[
        FileKind | None, typer.Argument(help="One kind of file.", show_default="all of them")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Write KIND.schema.json files."),
    ] = None,
) -> None:
    """Print the JSON Schema of the files, for editors and validators (docs/fleet.md says how).

    A fragment is what a fleet file may include.
    """
    if output is not None and output.exists() and not output.is_dir():
        raise FieldError(f"--output: {output} is a file", "name a folder; the files go into it")
    schemas = {
        name: json_schema(contract)
        for name, contract in contracts().items()
        if kind in (None, name)
    }
    if output is not None:
        from ..catalog.files import write_atomic

        for name, content in schemas.items():
            path = output / f"{name}.schema.json"
            write_atomic(path, json.dumps(content, indent=2) + "\n")
            render.note(f"wrote {path}")
        return
    typer.echo(json.dumps(schemas if kind is None else schemas[kind], indent=2))


def contracts() -> dict[str, type[Contract]]:
    """The contract of each kind of file."""
    from ..catalog.device import Device, Link
    from ..planner.fleet import Fleet, Fragment
    from ..planner.plan import Plan
    from ..planner.roi.costs import CostFile
    from ..planner.whatif.scenario import ScenarioFile
    from ..profiler.profile import Profile
    from ..runtime.comparison.rates import Rates
    from ..runtime.scenario import Scenario

    return {
        "device": Device,
        "link": Link,
        "fleet": Fleet,
        "fragment": Fragment,
        "profile": Profile,
        "plan": Plan,
        "scenarios": ScenarioFile,
        "costs": CostFile,
        "compare-scenario": Scenario,
        "rates": Rates,
    }


def json_schema(contract: type[Contract]) -> dict[str, Any]:
    """With descriptions on one line, and the catalogue's names suggested where a fleet names a
    device or a link."""
    from ..catalog.devices import device_names, link_names
    from .field_docs import describe

    described = contract.model_json_schema()
    describe(described, contract)
    found = {"$schema": DIALECT, **_on_one_line(described)}
    for entry in ("ClientEntry", "ServerEntry"):
        fields = found.get("$defs", {}).get(entry, {}).get("properties", {})
        for field, names in (("device", device_names()), ("link", link_names())):
            for choice in fields.get(field, {}).get("anyOf", []):
                if choice == {"type": "string"}:
                    choice["examples"] = names
    return found


def _on_one_line(node: Any) -> Any:
    """Descriptions are docstrings, wrapped for the code."""
    if isinstance(node, dict):
        return {
            key: " ".join(value.split())
            if key == "description" and isinstance(value, str)
            else _on_one_line(value)
            for key, value in node.items()
        }
    return [_on_one_line(item) for item in node] if isinstance(node, list) else node
