"""How long downloads tell that they are going on."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""(what is being fetched, bytes done, bytes in total)."""


def no_progress(description: str, done_bytes: int, total_bytes: int) -> None:
    """For callers without a display."""
