"""Bars, as the commands print them, and what shows that something runs."""

from __future__ import annotations

import io
import time
from contextlib import AbstractContextManager

import pytest
from flexp.cli import plan_search, render
from rich.console import Console

LONG_SECONDS = 60.0


@pytest.mark.parametrize(
    ("depth", "blocks", "bar"),
    [
        (1, 2, "█░ 1"),
        (2, 6, "██░░░░ 2"),
        (5, 6, "█████░ 5"),
        (1, 48, "█░░░░░░░ 1"),
        (24, 48, "████░░░░ 24"),
        (47, 48, "███████░ 47"),
    ],
)
def test_depth_bar(depth: int, blocks: int, bar: str) -> None:
    assert render.depth_bar(depth, blocks) == bar


@pytest.mark.parametrize(
    ("share", "width", "bar"),
    [
        (0.0, 4, "    "),
        (1e-9, 4, "▏   "),
        (0.3, 4, "█▎  "),
        (0.5, 4, "██  "),
        (0.97, 4, "███▉"),
        (1.0, 4, "████"),
        (7.0, 4, "████"),
    ],
)
def test_share_bar(share: float, width: int, bar: str) -> None:
    assert render.share_bar(share, width) == bar


@pytest.mark.parametrize(
    ("depth", "blocks", "label", "top", "bar"),
    [(2, 6, "2+1", 1, "██░░░█ 2+1"), (2, 6, "1–3", 0, "██░░░░ 1–3"), (1, 48, "", 1, "█░░░░░░█ 1")],
)
def test_depth_bar_of_both_ends(depth: int, blocks: int, label: str, top: int, bar: str) -> None:
    assert render.depth_bar(depth, blocks, label, top) == bar


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal on stderr shows."""
    written = io.StringIO()
    monkeypatch.setattr(
        render, "console", lambda stderr: Console(file=written, force_terminal=True)
    )
    return written


def shows(screen: io.StringIO, text: str) -> bool:
    """Whether `text` comes up in the end."""
    end = time.monotonic() + LONG_SECONDS
    while text not in screen.getvalue() and time.monotonic() < end:
        time.sleep(0.01)
    return text in screen.getvalue()


@pytest.mark.parametrize("shower", ["late_spinner", "telling"])
def test_only_what_takes_longer_than_a_moment_shows(
    shower: str, screen: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def showing(text: str) -> AbstractContextManager[None]:
        if shower == "telling":
            return plan_search.Watch(text).telling()
        return render.late_spinner(text)

    monkeypatch.setattr(render, "MOMENT_SECONDS", LONG_SECONDS)
    with showing("a quick one"):
        pass
    assert screen.getvalue() == ""
    monkeypatch.setattr(render, "MOMENT_SECONDS", 0.01)
    with showing("a slow one"):
        assert shows(screen, "a slow one")
