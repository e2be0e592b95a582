"""The `flexp` command: registers the commands, and turns every error into one clear message."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from .. import __version__
from ..errors import INTERRUPTED, FlexpError
from . import render
from .commands import NAMES, command

DEBUG_VARIABLE = "FLEXP_DEBUG"
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "true")
"""Before a contract is imported: to look for plugins among all installed packages takes as long as
to plan a small fleet."""
NEW_OBJECTS = 100_000
"""After so many Python looks for garbage in cycles. What imports make is none of it: with Python's
own 700 a short command would spend a tenth of its time looking."""


class Shell(TyperGroup):
    """The command group with flexp's errors: message, hint and exit code, no traceback."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands: dict[str, Any] = dict.fromkeys(NAMES)
        """None until it is asked for."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """None where there is none of this name."""
        if cmd_name in self.commands and self.commands[cmd_name] is None:
            self.commands[cmd_name] = command(cmd_name)
        return self.commands.get(cmd_name)

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:
        """Run `args` and leave by SystemExit; with `standalone_mode=False` errors pass through.

        `--debug` is understood wherever it stands, and shows the traceback of an error.
        """
        given = list(sys.argv[1:] if args is None else args)
        ordered = [word for word in given if word != "--debug"]
        debug = len(ordered) < len(given) or os.environ.get(DEBUG_VARIABLE, "0") not in ("", "0")
        if len(ordered) < len(given):
            ordered.insert(0, "--debug")
        try:
            return super().main(ordered, *rest, **extra)
        except Exception as error:
            if not extra.get("standalone_mode", True):
                raise
            if debug:
                traceback.print_exc()
            render.show_error(error)
            sys.exit(error.exit_code if isinstance(error, FlexpError) else FlexpError.exit_code)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            render.note("interrupted")
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    cls=Shell,
    name="flexp",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"flexp {__version__}")
        raise typer.Exit


@app.callback()
def flexp(
    debug: Annotated[
        bool, typer.Option("--debug", help=f"Show tracebacks (or set {DEBUG_VARIABLE}=1).")
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Plan and run flexible personalised split federated learning.

    Each client trains the bottom of a model to a depth that fits it; the server trains the rest.
    """


def main() -> None:
    """The console script's entry point."""
    gc.set_threshold(NEW_OBJECTS)
    atexit.register(gc.freeze)  # whose garbage is not looked for either, when the process ends
    app(prog_name="flexp")
