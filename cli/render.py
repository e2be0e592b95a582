"""What the commands share on the screen: consoles, tables, bars, notes and errors.

Results go to stdout; notes, spinners and errors go to stderr, so `--json` can be piped.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING

from ..errors import FieldError, FlexpError

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console
    from rich.table import Table

MAX_WIDTH = 80
BAR_WIDTH = 8
MOMENT_SECONDS = 1.0
"""What is over by then needs no spinner, nor the time to load what draws it."""
FILE_SUFFIXES = (".yaml", ".yml", ".json")


def console(stderr: bool = False) -> Console:
    """A console of at most 80 columns on stdout or stderr."""
    from rich.console import Console

    found = Console(stderr=stderr, highlight=False)
    found.width = min(found.width, MAX_WIDTH)
    return found


def note(text: str) -> None:
    """A line for the person at the terminal: stderr, dim, never wrapped."""
    console(stderr=True).print(text, style="dim", markup=False, soft_wrap=True)


@contextmanager
def spinner(text: str) -> Iterator[None]:
    """A spinner on stderr while the body runs; silent where stderr is no terminal."""
    from rich.text import Text

    with console(stderr=True).status(Text(text)):
        yield


@contextmanager
def late_spinner(text: str) -> Iterator[None]:
    """As `spinner`, for a body that is mostly over in a moment: it shows after MOMENT_SECONDS."""
    ended = Event()
    shower = Thread(target=_spin_late, args=(text, ended), daemon=True)
    shower.start()
    try:
        yield
    finally:
        ended.set()
        shower.join()


def _spin_late(text: str, ended: Event) -> None:
    if not ended.wait(MOMENT_SECONDS):
        with spinner(text):
            ended.wait()


def show_error(error: Exception) -> None:
    """`error: message` and `hint: ...` on stderr; an unexpected error says how to see more."""
    if isinstance(error, FlexpError):
        message, hint = error.message, error.hint
    else:
        message, hint = f"{type(error).__name__}: {error}", "run again with --debug to see where"
    to = console(stderr=True)
    for label, style, text in (("error", "bold red", message), ("hint", "bold cyan", hint)):
        if text:
            to.print(f"[{style}]{label}:[/] ", end="")
            lines = text.replace("\n", "\n" + " " * len(f"{label}: "))
            to.print(lines, markup=False, soft_wrap=True)


def print_json(contract: BaseModel) -> None:
    from ..catalog.files import dump_json

    sys.stdout.write(dump_json(contract))


def check_output(
    path: Path | None, option: str = "--output", suffixes: tuple[str, ...] = FILE_SUFFIXES
) -> None:
    """Raise FieldError now where `path` can't be written after the work is done."""
    if path is None:
        return
    if path.is_dir():
        raise FieldError(f"{option}: {path} is a folder", "name a file in it")
    if path.suffix not in suffixes:
        raise FieldError(
            f"{option}: {path} ends in {path.suffix or 'nothing'!r}",
            f"end the file's name in {'one of ' * (len(suffixes) > 1)}{', '.join(suffixes)}",
        )
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    if not parent.is_dir():
        raise FieldError(f"{option}: {path}: {parent} is a file", "name a file in a folder")
    if not os.access(parent, os.W_OK):
        raise FieldError(
            f"{option}: {path}: no permission to write in {parent}", "name a file elsewhere"
        )


def write_output(contract: BaseModel, path: Path) -> None:
    """Write the contract and say so on stderr."""
    from ..catalog.files import write_contract

    write_contract(contract, path)
    note(f"wrote {path}")


def write_bytes(data: bytes, path: Path) -> None:
    """Write the file in one step and say so on stderr."""
    from ..catalog.files import write_atomic

    write_atomic(path, data)
    note(f"wrote {path}")


def table(*columns: str, title: str, caption: str = "") -> Table:
    """An empty table; a column whose name starts with ">" is right-aligned."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    made = Table(
        title=escape(title),
        caption=caption or None,
        title_justify="left",
        caption_justify="left",
        title_style="bold",
        caption_style="dim",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for name in columns:
        right = name.startswith(">")
        made.add_column(
            name.removeprefix(">"), justify="right" if right else "left", overflow="fold"
        )
    return made


def grid() -> Table:
    """A table of three columns without lines: label, figure, remark."""
    from rich.table import Table

    made = Table.grid(padding=(0, 2))
    for style in ("bold", "", ""):
        made.add_column(style=style)
    return made


def rows() -> Table:
    """A table of two columns without lines: a label, and text that folds under itself."""
    from rich.table import Table

    made = Table.grid(padding=(0, 2))
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    return made


def share_bar(share: float, width: int = BAR_WIDTH) -> str:
    """`share` of a bar of `width` columns, to an eighth of one: `share_bar(0.3, 4)` is "█▎  ".

    Anything above 0 shows; above 1 the bar is full.
    """
    eighths = min(8 * width, round(8 * width * share))
    if share > 0:
        eighths = max(1, eighths)
    full, part = divmod(eighths, 8)
    return ("█" * full + " ▏▎▍▌▋▊▉"[part].strip()).ljust(width)


def depth_bar(depth: int, blocks: int, label: str = "", top: int = 0) -> str:
    """The blocks on the device, the first and the last ones, and `label` or the depth:
    `depth_bar(2, 6)` is "██░░░░ 2", `depth_bar(2, 6, "2+1", 1)` "██░░░█ 2+1"."""
    width = min(blocks, BAR_WIDTH)
    last = min(width - 2, max(1, round(width * top / blocks))) if top else 0
    first = min(width - last - 1, max(1, round(width * depth / blocks)))
    bar = "█" * first + "░" * (width - first - last) + "█" * last
    return f"{bar} {label or depth}"
