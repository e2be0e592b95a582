"""The commands by name, each imported when it is asked for: none of them waits for the others."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
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


class Commands(MutableMapping[str, Any]):
    """As Typer keeps them."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = dict.fromkeys(NAMES)

    def __getitem__(self, name: str) -> Any:
        if self._known[name] is None:
            self._known[name] = _command(name)
        return self._known[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._known[name] = command

    def __delitem__(self, name: str) -> None:
        del self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


def _command(name: str) -> Any:
    """Of a module's function, or its group; a module's `Command` is the function's class."""
    module = import_module(f".{name}", __package__)
    found = getattr(module, name)
    if not isinstance(found, typer.Typer):
        alone = typer.Typer(add_completion=False)
        alone.command(name, cls=getattr(module, "Command", None))(found)
        return get_command(alone)
    command = get_group(found)
    command.name = name
    return command
