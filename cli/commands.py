"""The commands by name, each imported when it is asked for: none of them waits for the others."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.main import get_command, get_group

NAMES = (
    *("quickstart", "probe", "profile", "plan", "whatif", "roi", "spend", "limits", "pilot"),
    *("report", "train", "compare", "tune", "predict", "export", "runs", "schema"),
    *("fleet", "catalog"),
)
"""In the order of the help: of the module, and of the function or the group in it."""


def command(name: str) -> Any:
    """Of a module's function, or its group; a module's `Command` is the function's class."""
    module = import_module(f".{name}", __package__)
    found = getattr(module, name)
    if not isinstance(found, typer.Typer):
        alone = typer.Typer(add_completion=False)
        alone.command(name, cls=getattr(module, "Command", None))(found)
        return get_command(alone)
    group = get_group(found)
    group.name = name
    return group
