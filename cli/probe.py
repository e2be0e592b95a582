"""`flexp probe`: what this machine and its link to a server offer to training."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import FieldError, FlexpError
from . import options, render

if TYPE_CHECKING:
    from pydantic import BaseModel

    from ..profiler.link_report import LinkReport
    from ..profiler.probe_report import ProbeReport

LINK_PANEL = "The link to a server"


def probe(
    model: Annotated[
        str, typer.Argument(metavar="[MODEL]", help="The model whose blocks are timed.")
    ] = "minilm-l6",
    batch: options.BatchOption = None,
    length: Annotated[
        list[str] | None,
        typer.Option(
            "--length",
            metavar="N[,N...]",
            show_default="64",
            help="Tokens a sample; several lengths are timed one by one, and the first one's speed "
            "is the device's.",
            rich_help_panel=options.PANEL,
        ),
    ] = None,
    method: options.MethodOption = None,
    server: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Measure the link to a machine where flexp probe --listen runs.",
            rich_help_panel=LINK_PANEL,
        ),
    ] = None,
    link_output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the link, for a fleet file (.yaml or .json).",
            rich_help_panel=LINK_PANEL,
        ),
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="[HOST:]PORT",
            help="Be that machine, until Ctrl-C: measure nothing here. Without HOST, on all of "
            "this machine's addresses.",
            rich_help_panel=LINK_PANEL,
        ),
    ] = None,
    output: Annotated[Path | None, options.output_option("the device, for a fleet file")] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Measure this machine: usable memory, the training speed on real blocks of MODEL, disk, power,
    and with --server the link.

    What could not be measured is shown as unknown; only -o and --link-output need their figures.
    """
    if listen is not None:
        _only_listens(server, output, link_output, as_json)
        _listen(listen)
        return
    render.check_output(output)
    _check_link_output(link_output, server)
    lengths = parse_lengths(length or [])
    settings = options.settings_from(
        options.given_settings(batch=batch, length=next(iter(lengths), None), method=method)
    )
    link = _measure_link(server) if server is not None else None
    from ..profiler.probe import probe_device

    with render.spinner(f"timing blocks of {model}"):
        report = probe_device(model, settings, lengths[1:])
    if as_json:
        sys.stdout.write(json.dumps(_as_json(report, link), indent=2) + "\n")
    else:
        _show(report, link)
    if output is not None:
        render.write_output(report.device(), output)
    if link is not None and link_output is not None:
        render.write_output(link.link(), link_output)


def parse_lengths(words: list[str]) -> tuple[int, ...]:
    """`parse_lengths(["64,128", "64"])` is (64, 128). Raises typer.BadParameter."""
    lengths: dict[int, None] = {}
    for word in ",".join(words).split(",") if words else []:
        number = word.strip()
        if not (number.isascii() and number.isdigit() and int(number) > 0):
            raise typer.BadParameter(
                f"expected numbers of tokens above 0, found {word!r}", param_hint="--length"
            )
        lengths[int(number)] = None
    return tuple(lengths)


def _only_listens(
    server: str | None, output: Path | None, link_output: Path | None, as_json: bool
) -> None:
    others = {
        "--server": server,
        "--output": output,
        "--link-output": link_output,
        "--json": as_json or None,
    }
    for option, value in others.items():
        if value is not None:
            raise FieldError(
                f"{option}: has no effect with --listen, which only answers other machines",
                "leave one of the two out",
            )


def _check_link_output(link_output: Path | None, server: str | None) -> None:
    if link_output is not None and server is None:
        raise FieldError("--link-output: there is no link to measure", "add --server HOST:PORT")
    render.check_output(link_output, "--link-output")


def _measure_link(server: str) -> LinkReport:
    from ..profiler.link_probe import measure_link
    from ..profiler.link_protocol import parse_address

    host, port = parse_address(server, "--server")
    with render.spinner(f"measuring the link to {server}"):
        return measure_link(host, port)


def _listen(address: str) -> None:
    """Answer probes until Ctrl-C, the usual end of this."""
    from datetime import datetime

    from ..profiler.link_listener import Listener, own_addresses
    from ..profiler.link_protocol import parse_address, show_address

    def log(text: str) -> None:
        render.note(f"{datetime.now():%H:%M:%S} {text}")

    host, port = parse_address(address, "--listen", default_host="")
    try:
        with Listener(host, port, log) as listener:
            render.note("listening (TCP and UDP); on the device to be measured, type")
            for name in [host] if host else own_addresses() or ["THIS-MACHINE"]:
                render.note(f"    flexp probe --server {show_address(name, listener.port)}")
            render.note(
                "Anyone who reaches the port may measure; nothing but random bytes is sent. "
                "Stop it with Ctrl-C when you are done."
            )
            listener.serve()
    except KeyboardInterrupt:
        render.note("stopped")


def _as_json(report: ProbeReport, link: LinkReport | None) -> dict[str, object]:
    """The reports, and device and link as a fleet file takes them: null where a figure is
    missing."""

    def written(make: Callable[[], BaseModel]) -> object:
        try:
            return make().model_dump(mode="json")
        except FlexpError:
            return None

    return {
        "device": written(report.device),
        "link": written(link.link) if link else None,
        "report": report.model_dump(mode="json"),
        "link_report": link.model_dump(mode="json") if link else None,
    }


def _show(report: ProbeReport, link: LinkReport | None) -> None:
    from rich.markup import escape

    from .probe_rows import device_rows, link_rows

    settings = report.settings
    to = render.console()
    to.print(f"{report.machine}, {report.date}", style="bold", markup=False)
    grid = render.grid()
    for label, figure, about in device_rows(report):
        grid.add_row(label, figure, f"[dim]{escape(about)}[/]")
    if link is not None:
        grid.add_row("", "", "")
        for label, figure, about in link_rows(link):
            grid.add_row(label, figure, f"[dim]{escape(about)}[/]")
    to.print(grid)
    to.print(
        f"Speed: forward and backward over blocks of {report.model}, {settings.method}; "
        "2 FLOPs per multiply-add.",
        style="dim",
        markup=False,
    )
    for text in (*report.notes, *report.disk.notes, *(link.notes if link else ())):
        to.print(f"note: {text}", style="yellow", markup=False)
