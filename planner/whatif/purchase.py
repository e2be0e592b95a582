"""The smallest purchase: the cheapest numbers of each move with which a plan exists.

What a client needs for a variant of its own is found first, client by client, and everything else
begins there. Then more of one move alone, which bounds the price; below it, combinations are tried
in the order of their price, so that the first with a plan is the cheapest. Where too many would
have to be tried, the cheaper is taken of one move alone and of a purchase of which no single part
can be smaller, and said to be no more than that.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from decimal import Decimal

Counts = tuple[int, ...]
Price = Callable[[Counts], Decimal]
"""Never less for more."""
Works = Callable[[Counts], bool]
MOST_EACH = 64
"""Of one move."""
MOST_TRIES = 200
"""Combinations that are planned before the search by price ends."""
MOST_LOOKED_AT = 2_000
"""Of those that a client's own limits rule out at once."""


def cheapest(
    price: Price,
    works: Works,
    start: Counts,
    allowed: Sequence[int],
    most_tries: int = MOST_TRIES,
    known: Counts | None = None,
) -> Counts | None:
    """The cheapest counts that work, at least `start`, with more of the `allowed` moves alone;
    None: not within the tries. Of equal prices, the fewest units. `known` work."""
    queue: list[tuple[Decimal, int, Counts, int]] = [(price(start), 0, start, 0)]
    tries = 0
    while queue and tries < most_tries:
        paid, units, counts, first = heapq.heappop(queue)
        if known is not None and paid >= price(known):
            return known
        tries += 1
        if works(counts):
            return counts
        for position in range(first, len(allowed)):
            index = allowed[position]
            if counts[index] < MOST_EACH:
                more = (*counts[:index], counts[index] + 1, *counts[index + 1 :])
                heapq.heappush(queue, (price(more), units + 1, more, position))
    return known if known is not None and not queue else None


def of_one(price: Price, works: Works, start: Counts, most: int) -> Counts | None:
    """`start` and more of one move alone, the cheapest that works; None: none does. `works` must
    not end once it has begun."""
    found = []
    for index in range(len(start)):

        def more(count: int, index: int = index) -> Counts:
            return (*start[:index], count, *start[index + 1 :])

        if works(more(max(start[index], most))):
            low, high = start[index] - 1, max(start[index], most)
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (low, middle) if works(more(middle)) else (middle, high)
            found.append(more(high))
    return min(found, key=price, default=None)


def reduced(price: Price, works: Works, start: Counts, most: int) -> Counts | None:
    """Counts of which none can be smaller alone: all begin at `most`, the dearest goes down first.
    None: not even that works. `works` must not end once it has begun."""
    counts = [max(least, most) for least in start]
    if not works(tuple(counts)):
        return None
    units = [tuple(int(i == index) for i in range(len(start))) for index in range(len(start))]
    for index in sorted(range(len(start)), key=lambda i: -price(units[i])):
        low, high = start[index] - 1, counts[index]
        while high - low > 1:
            middle = (low + high) // 2
            counts[index] = middle
            low, high = (low, middle) if works(tuple(counts)) else (middle, high)
        counts[index] = high
    return tuple(counts)
