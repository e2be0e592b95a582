"""From the options of every client to groups of equal clients without useless options."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .pareto import undominated
from .problem import BoolArray, FloatArray, IntArray, Problem, take_columns

UintArray = npt.NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class Block:
    """Some clients with their options, preferred options first (they win among equals)."""

    cost: FloatArray
    """float64[n, O]"""
    weights: FloatArray
    """float64[R, n, O]"""
    allowed: BoolArray
    """bool[n, O]: at least one for each client. What isn't allowed may hold any numbers."""
    counts: IntArray | None = None
    """int64[n]: for how many clients each line stands; one each where None."""
    measures: FloatArray | Sequence[FloatArray] = ()
    """M arrays, float64[n, O]: what else must not get worse by pruning, such as the seconds behind
    a cost that has other parts."""


@dataclass(frozen=True, eq=False)
class Origin:
    """What the groups and columns of a problem stand for."""

    group: IntArray
    """int64[C]: the group of each line of the blocks, in their order."""
    option: IntArray
    """int64[N]: the option (0 to O - 1) of each column."""
    measures: FloatArray
    """float64[M, N]: those of the blocks, by column."""

    def members(self) -> list[IntArray]:
        """The lines of the blocks in each group, in rising order."""
        order = np.argsort(self.group, kind="stable")
        return np.split(order, np.flatnonzero(np.diff(self.group[order])) + 1)

    def assign(self, x: IntArray) -> IntArray:
        """int64[C]: the option of each line under x, for blocks without `counts`.

        A group's first lines take its preferred options.
        """
        order = np.argsort(self.group, kind="stable")
        chosen = np.empty(len(order), dtype=np.int64)
        chosen[order] = np.repeat(self.option, x)
        return chosen


@dataclass(frozen=True, eq=False)
class Part:
    """Some clients with their columns, client after client."""

    sizes: IntArray
    """int64[n]: columns of each client."""
    counts: IntArray
    """int64[n]"""
    option: npt.NDArray[np.int32]
    """int32[N]"""
    numbers: FloatArray
    """float64[1 + R + M, N]: cost, weights and measures."""


def aggregate(
    blocks: Iterable[Block], caps: FloatArray, rows: Sequence[str]
) -> tuple[Problem, Origin]:
    """The problem of all blocks: dominated options dropped, then equal clients merged.

    Blocks are read one at a time, so that only what is kept stays in memory. Which clients come
    first changes the order of the groups not at all: groups stand in the order of a hash of their
    options. Raises ValueError where a client has no option.
    """
    return merged((_kept(block) for block in blocks), caps, rows)


def merged(
    clients: Iterable[Part], caps: FloatArray, rows: Sequence[str]
) -> tuple[Problem, Origin]:
    """The problem of all parts, equal clients merged."""
    parts = list(clients)
    sizes = np.concatenate([part.sizes for part in parts])
    counts = np.concatenate([part.counts for part in parts])
    option = np.concatenate([part.option for part in parts])
    numbers = np.empty((len(parts[0].numbers), len(option)))
    for k, row in enumerate(numbers):
        np.concatenate([part.numbers[k] for part in parts], out=row)
    del parts
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    first, group = _merge(offsets, option, numbers)
    columns = _ranges(offsets[first], sizes[first])
    numbers = take_columns(numbers, columns)
    problem = Problem(
        np.bincount(group, weights=counts, minlength=len(first)).astype(np.int64),
        np.concatenate([[0], np.cumsum(sizes[first])]),
        numbers[0],
        numbers[1 : 1 + len(caps)],
        np.asarray(caps, dtype=float),
        tuple(rows),
    )
    return problem, Origin(group, option[columns].astype(np.int64), numbers[1 + len(caps) :])


def separate(part: Part, caps: FloatArray, rows: Sequence[str]) -> tuple[Problem, Origin]:
    """The problem of one part, each client a group."""
    offsets = np.concatenate([[0], np.cumsum(part.sizes)])
    weights, measures = np.split(part.numbers[1:], [len(caps)])
    problem = Problem(part.counts, offsets, part.numbers[0], weights, caps, tuple(rows))
    group = np.arange(len(part.sizes))
    return problem, Origin(group, part.option.astype(np.int64), measures)


def _kept(block: Block) -> Part:
    """Without the dominated options."""
    full = [block.cost, *block.weights, *block.measures]
    kept = undominated(full[0], full[1:], block.allowed)
    sizes = kept.sum(axis=1)
    if not sizes.all():
        raise ValueError(f"client {int(np.argmin(sizes))} of a block has no option")
    counts = np.ones(len(sizes), dtype=np.int64) if block.counts is None else block.counts
    places = np.flatnonzero(kept)
    numbers = np.empty((len(full), len(places)))
    for row, table in zip(numbers, full, strict=True):
        np.take(table.reshape(-1), places, out=row)
    return Part(sizes, counts, (places % kept.shape[1]).astype(np.int32), numbers)


def _ranges(starts: IntArray, sizes: IntArray) -> IntArray:
    """start, start + 1, ... of each range, one after the other."""
    ends = np.cumsum(sizes)
    return np.repeat(starts - (ends - sizes), sizes) + np.arange(ends[-1])


def _merge(
    offsets: IntArray, option: npt.NDArray[np.int32], numbers: FloatArray
) -> tuple[IntArray, IntArray]:
    """The first client of each group, and every client's group, in the order of the hashes."""
    hashes = np.add.reduceat(_hash_columns(option, numbers), offsets[:-1])
    _, first, group = np.unique(hashes, return_index=True, return_inverse=True)
    same = _equal(offsets, first[group], option, numbers)
    if not same.all():  # two different clients with one hash: each of the odd ones stays alone
        odd = np.flatnonzero(~same)
        group[odd] = len(first) + np.arange(len(odd))
        first = np.concatenate([first, odd])
    return first, group


def _equal(
    offsets: IntArray, other: IntArray, option: npt.NDArray[np.int32], numbers: FloatArray
) -> BoolArray:
    """Whether each client's columns are those of the client `other`, number for number."""
    sizes = np.diff(offsets)
    same: BoolArray = sizes == sizes[other]
    moved = np.flatnonzero(same & (other != np.arange(len(other))))
    if len(moved) == 0:
        return same
    mine = _ranges(offsets[moved], sizes[moved])
    theirs = _ranges(offsets[other[moved]], sizes[moved])
    equal = option[mine] == option[theirs]
    for row in numbers:
        equal &= row[mine] == row[theirs]
    starts = np.cumsum(sizes[moved]) - sizes[moved]
    same[moved] = np.logical_and.reduceat(equal, starts)
    return same


def _hash_columns(option: npt.NDArray[np.int32], numbers: FloatArray) -> UintArray:
    """uint64[N]: each column's option and numbers, mixed (the finaliser of splitmix64)."""
    mixed = _mix(option.astype(np.uint64))
    for row in numbers:
        mixed ^= (row + 0.0).view(np.uint64)  # -0.0 and 0.0 are one number
        mixed = _mix(mixed)
    return mixed


def _mix(words: UintArray) -> UintArray:
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words ^= words >> np.uint64(30)
    words *= np.uint64(0xBF58476D1CE4E5B9)
    words ^= words >> np.uint64(27)
    words *= np.uint64(0x94D049BB133111EB)
    words ^= words >> np.uint64(31)
    return words
