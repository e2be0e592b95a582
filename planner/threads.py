"""The same work on many parts, several at the same time. Threads are enough where it is numpy's:
its loops let others run."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

Part = TypeVar("Part")
Found = TypeVar("Found")

MOST_THREADS = 4
"""What Python itself does holds up the others."""
AHEAD = 2
"""Parts for each thread that are begun before the first one's result is taken."""


def in_threads(function: Callable[[Part], Found], parts: Iterable[Part]) -> Iterator[Found]:
    """`function` of each part, in the order of the parts. A single part needs no thread."""
    parts = iter(parts)
    ahead = list(itertools.islice(parts, 2))
    if len(ahead) < 2:
        yield from map(function, ahead)
        return
    from concurrent.futures import ThreadPoolExecutor

    threads = min(os.cpu_count() or 1, MOST_THREADS)
    begun: deque[Future[Found]] = deque()
    with ThreadPoolExecutor(threads, "planner") as pool:
        try:
            for part in itertools.chain(ahead, parts):
                begun.append(pool.submit(function, part))
                if len(begun) > AHEAD * threads:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            for future in begun:
                future.cancel()
