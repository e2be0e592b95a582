"""`flexp catalog`: the device types, models, links and data sets that flexp knows by name."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..errors import FieldError, UnknownNameError
from . import catalog_display, options, render

if TYPE_CHECKING:
    from ..catalog.device_type import DeviceType

# Repeats catalog/device_type.py, which `flexp --help` must not import; a test holds them together.
KindName = Literal["board", "jetson", "phone", "tablet", "laptop", "desktop", "server", "gpu"]

TextArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[NAME|TEXT]", help="A name, for all that is known of it; or words to look for."
    ),
]

BLOCKS_KEYS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
HIDDEN_KEYS = ("hidden_size", "n_embd", "dim", "d_model")

catalog = typer.Typer(no_args_is_help=True, help="List what flexp knows by name, with its sources.")


@catalog.command()
def devices(
    text: TextArgument = None,
    kind: Annotated[KindName | None, typer.Option("--kind", help="One kind only.")] = None,
    min_ram: Annotated[
        str | None, typer.Option("--min-ram", metavar="SIZE", help='At least this much: "8 GiB".')
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Device types for fleets of machines that can't be probed."""
    least = 0.0 if min_ram is None else _size(min_ram)
    from ..catalog.devices import device_types

    types = {entry.name: entry for entry in device_types()}
    found = [
        types[name]
        for name in matching("device type", {name: _words(types[name]) for name in types}, text)
        if kind in (None, types[name].kind) and types[name].ram_bytes >= least
    ]
    if as_json:
        _print_json([_device_record(entry) for entry in found])
    elif not found:
        given = {"text": text, "--kind": kind, "--min-ram": min_ram}
        _say_empty("device type", {name: value for name, value in given.items() if value})
    elif text in types:
        catalog_display.show_device(found[0])
    else:
        catalog_display.show_devices(found)


@catalog.command()
def links(text: TextArgument = None, as_json: options.JsonOption = False) -> None:
    """Ways from a device to the server."""
    from ..catalog.devices import link_names, link_type
    from ..catalog.units import format_bit_rate, format_seconds

    known = {name: link_type(name) for name in link_names()}
    names = matching("link", {name: f"{name} {known[name].source}" for name in known}, text)
    if as_json:
        _print_json([known[name].model_dump(mode="json") for name in names])
        return
    records = {
        name: [
            ("up", format_bit_rate(known[name].up_bits_per_second)),
            ("down", format_bit_rate(known[name].down_bits_per_second)),
            ("round trip", format_seconds(known[name].rtt_seconds)),
        ]
        for name in names
    }
    if text in known:
        catalog_display.show_record(text, [*records[text], ("source", known[text].source)])
        return
    table = render.table("link", ">up", ">down", ">round trip", title=f"{len(names)} links")
    for name, record in records.items():
        table.add_row(name, *(value for _, value in record))
    render.console().print(table)


@catalog.command()
def costs() -> None:
    """The default cost file of `flexp roi`, to edit: prices, hours, value, each with its source."""
    from ..planner.roi.costs import template

    sys.stdout.write(template())


@catalog.command()
def models(text: TextArgument = None, as_json: options.JsonOption = False) -> None:
    """Architectures, and which of them come with weights."""
    from ..catalog.models.entry import find_model, model_names

    known = {name: entry for name in model_names() if (entry := find_model(name)) is not None}
    texts = {
        name: f"{name} {entry.architecture['model_type']} {entry.licence} {entry.source}"
        for name, entry in known.items()
    }
    names = matching("model", texts, text)
    if as_json:
        _print_json([{"name": name, **known[name].model_dump(mode="json")} for name in names])
        return
    records = {
        name: [
            ("type", str(known[name].architecture["model_type"])),
            ("blocks", _first(known[name].architecture, BLOCKS_KEYS)),
            ("hidden", _first(known[name].architecture, HIDDEN_KEYS)),
            ("licence", known[name].licence),
            ("weights", "yes" if known[name].weights else "no"),
        ]
        for name in names
    }
    if text in known:
        catalog_display.show_record(text, [*records[text], ("source", known[text].source)])
        return
    caption = (
        "blocks, hidden: blank where they are the type's defaults (flexp profile NAME shows all); "
        "weights: no means that flexp train takes a local checkpoint folder"
    )
    table = render.table(
        *("model", "type", ">blocks", ">hidden", "licence", "weights"),
        title=f"{len(names)} models",
        caption=caption,
    )
    for name, record in records.items():
        table.add_row(name, *(value for _, value in record))
    render.console().print(table)


@catalog.command()
def data(text: TextArgument = None, as_json: options.JsonOption = False) -> None:
    """Data sets that flexp fetches by name."""
    from ..catalog.datasets import dataset_names, find_dataset

    known = {name: entry for name in dataset_names() if (entry := find_dataset(name)) is not None}
    texts = {name: f"{name} {entry.format} {entry.source}" for name, entry in known.items()}
    names = matching("data set", texts, text)
    if as_json:
        _print_json([{"name": name, **known[name].model_dump(mode="json")} for name in names])
        return
    for name in names:
        entry = known[name]
        record = [("splits", ", ".join(entry.files)), ("licence", entry.licence)]
        if text == name:
            record += [("format", entry.format), ("source", entry.source)]
        catalog_display.show_record(name, record)


def matching(kind: str, texts: dict[str, str], text: str | None) -> list[str]:
    """The names in `texts`, by name, whose text holds every word of `text`: all of them without
    one, and only itself for a name. Raises UnknownNameError where nothing is found."""
    if text is None:
        return list(texts)
    if text in texts:
        return [text]
    words = text.casefold().split()
    found = [name for name, held in texts.items() if all(w in held.casefold() for w in words)]
    if not found:
        error = UnknownNameError(kind, text, list(texts))
        if not error.hint.startswith("did you mean"):
            error.hint = "look for another word, or for none to see all"
        raise error
    return found


def _size(text: str) -> float:
    """Bytes; raises FieldError unless `text` is a number with a unit."""
    from ..catalog.units import BYTES, parse

    try:
        size = parse(text, BYTES)
    except ValueError as error:
        raise FieldError(f"--min-ram: {error}, found {text!r}", 'such as "8 GiB"') from error
    if not isinstance(size, float) or text.strip()[-1] != "B":
        raise FieldError(f"--min-ram: {text!r} has no unit", f'did you mean "{text} GiB"?')
    return size


def _words(entry: DeviceType) -> str:
    chips = " ".join(processor.name for processor in entry.processors)
    return f"{entry.name} {entry.kind} {entry.title} {chips}"


def _first(architecture: dict[str, Any], keys: tuple[str, ...]) -> str:
    """The first of `keys` that the architecture, or its text part, has; "" where none is set."""
    text_part = architecture.get("text_config", {})
    for key in keys:
        if key in architecture or key in text_part:
            return str(architecture.get(key, text_part.get(key)))
    return ""


def _device_record(entry: DeviceType) -> dict[str, Any]:
    """The entry, with the figures that follow from it, among them the device for a fleet file."""
    return {
        **entry.model_dump(mode="json", exclude_none=True),
        "peak_flops_per_second": entry.peak_flops_per_second,
        "rule_flops_per_second": entry.rule_flops_per_second,
        "uncertainty": entry.uncertainty,
        "derivation": entry.derivation,
        "device": entry.device().model_dump(mode="json", exclude_none=True),
    }


def _print_json(records: list[dict[str, Any]]) -> None:
    sys.stdout.write(json.dumps(records, indent=2, ensure_ascii=False) + "\n")


def _say_empty(kind: str, given: dict[str, str]) -> None:
    filters = ", ".join(f"{name} {value}" for name, value in given.items())
    render.note(f"no {kind} matches all of {filters}: leave one out, or ask for less")
