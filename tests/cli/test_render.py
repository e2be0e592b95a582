"""Bars, as the commands print them."""

from __future__ import annotations

import pytest
from flexp.cli import render


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
