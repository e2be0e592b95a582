"""Several mistakes told at once, so that nobody repairs a file one mistake at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import FlexpError

LIMIT = 20
"""So many mistakes end the search for more."""


class Problems:
    """Mistakes found so far; `caught` keeps those that its body raises, `done` raises them."""

    def __init__(self) -> None:
        self.found: list[FlexpError] = []

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Goes on after a FlexpError of the body, up to the limit."""
        try:
            yield
        except FlexpError as error:
            self.found.append(error)
            if len(self.found) == LIMIT:
                self.done()

    def done(self) -> None:
        """Raises what was found as one error, of the first one's class and exit code."""
        if not self.found:
            return
        first = self.found[0]
        if len(self.found) == 1:
            raise first
        joined = type(first).__new__(type(first))
        lines = [
            error.message + (f"\n  {error.hint}" if error.hint else "") for error in self.found
        ]
        if len(self.found) == LIMIT:
            lines.append(f"these are the first {LIMIT} problems; there may be more")
        FlexpError.__init__(joined, "\n".join(lines))
        raise joined
