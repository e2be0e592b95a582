"""The smallest purchase: the cheapest numbers of each move with which a plan exists.

Combinations are tried in the order of their price, so that the first with a plan is the cheapest.
What a client needs for a variant of its own is found first, client by client, and everything else
begins there. Where too many would have to be tried, a purchase of which no single part can be
smaller is sought instead, and said to be no more than that.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from decimal import Decimal

Counts = tuple[int, ...]
Works = Callable[[Counts], bool]
MOST_EACH = 64
"""Of one move."""
MOST_TRIES = 200
"""Combinations that are planned before the search by price ends."""
MOST_LOOKED_AT = 2_000
"""Of those that a client's own limits rule out at once."""


def cheapest(
    prices: Sequence[Decimal],
    works: Works,
    start: Counts,
    allowed: Sequence[int],
    most_tries: int = MOST_TRIES,
) -> Counts | None:
    """The cheapest counts that work, at least `start`, with more of the `allowed` moves alone;
    None: not within the tries. Of equal prices, the fewest units."""
    queue: list[tuple[Decimal, int, Counts, int]] = [(_price(prices, start), 0, start, 0)]
    tries = 0
    while queue and tries < most_tries:
        _, units, counts, first = heapq.heappop(queue)
        tries += 1
        if works(counts):
            return counts
        for position in range(first, len(allowed)):
            index = allowed[position]
            if counts[index] < MOST_EACH:
                more = (*counts[:index], counts[index] + 1, *counts[index + 1 :])
                heapq.heappush(queue, (_price(prices, more), units + 1, more, position))
    return None


def reduced(prices: Sequence[Decimal], works: Works, start: Counts, most: int) -> Counts | None:
    """Counts of which none can be smaller alone: all begin at `most`, the dearest goes down first.
    None: not even that works. `works` must not end once it has begun."""
    counts = [max(least, most) for least in start]
    if not works(tuple(counts)):
        return None
    for index in sorted(range(len(prices)), key=lambda i: -prices[i]):
        low, high = start[index] - 1, counts[index]
        while high - low > 1:
            middle = (low + high) // 2
            counts[index] = middle
            low, high = (low, middle) if works(tuple(counts)) else (middle, high)
        counts[index] = high
    return tuple(counts)


def _price(prices: Sequence[Decimal], counts: Counts) -> Decimal:
    return sum((price * n for price, n in zip(prices, counts, strict=True)), Decimal(0))
