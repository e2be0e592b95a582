"""The integer program of a box: the place in it is among the variables.

Over the box, the costs and loads of a group's columns on one server change about as those of one of
them, the reference. With t from 0 to 1 along each edge and its slopes b from end to end,

    cost[o](t) >= a[o] + b · t    where    a[o] = min over corners c of cost[o](c) − b · c

and so do loads. So where all members of a group are on one server, b · t is cost and load of the
place itself. Where y of them are, and the others on other servers, they have the product y · t.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .boxes import Box, BoxRow, Price
from .corners import corners
from .outlook import Outlook
from .solver.lagrangian import Evaluation
from .solver.problem import BoolArray, FloatArray, IntArray, Problem, Product

WORTH = 0.02
"""Of the room: what a member that changes servers may cost a bound along one edge without a product
for its group."""
MOST_PRODUCTS = 200
"""In one program."""


@dataclass(frozen=True, eq=False)
class _Pieces:
    """S pieces of groups: the columns of one group on one server, or absent; int64[S]."""

    of_column: IntArray
    """int64[n]: each column's piece."""
    group: IntArray
    kind: IntArray
    reference: IntArray
    """The best column."""
    best: IntArray
    """The piece of the group's best column."""

    @property
    def leads(self) -> BoolArray:
        """bool[S]: whether the group's best column is among its columns."""
        return self.best == np.arange(len(self.best))

    @property
    def divided(self) -> BoolArray:
        """bool[S]: whether the group has others as well."""
        return np.bincount(self.group)[self.group] > 1


@dataclass(frozen=True, eq=False)
class BoxProgram:
    """An integer program, and what is known of its optimum."""

    problem: Problem
    columns: IntArray
    """int64[n] of the box's N columns: the first ones of the problem's."""
    total: int
    """N"""
    at: Evaluation
    reduced: FloatArray
    """float64 for each column of the problem."""

    def full(self, x: IntArray) -> IntArray:
        """int64[N]: the members that a solution has on each column of the box."""
        counts = np.zeros(self.total, dtype=np.int64)
        counts[self.columns] = x[: len(self.columns)]
        return counts

    def without(self, choices: Sequence[IntArray]) -> BoxProgram:
        """The program that leaves out choices of the box, int64[N] each."""
        beside = np.zeros(self.problem.columns - len(self.columns), dtype=np.int64)
        among = (np.append(x[self.columns], beside) for x in choices)
        whole = int(self.problem.counts[: self.problem.groups - self.problem.divisible].sum())
        left_out = tuple(x for x in among if x.sum() == whole)
        return replace(self, problem=replace(self.problem, without=left_out))


def box_program(box: Box, price: Price, outlook: Outlook, target: float) -> BoxProgram:
    """Of the columns that choices below the target may take."""
    wanted = outlook.useful(box, target)
    wanted[outlook.columns[outlook.at.chosen]] = True
    here = wanted[outlook.columns]
    columns, place = outlook.columns[here], np.cumsum(here) - 1
    prices, room = outlook.at.multipliers, outlook.room(target)
    problem = with_place(box, price, columns, outlook.alone[here], prices, room)
    reduced = np.zeros(problem.columns)
    reduced[: len(columns)] = outlook.reduced[here]
    at = replace(outlook.at, chosen=place[outlook.at.chosen])
    return BoxProgram(problem, columns, len(wanted), at, reduced)


def with_place(
    box: Box, price: Price, columns: IntArray, near: FloatArray, prices: FloatArray, room: float
) -> Problem:
    """Of some columns of a box that is not wide, int64[n]; the best ones are the lowest in `near`,
    float64[n]. `prices` of the rows, float64[R], and the `room` for better choices say which
    products are worth their while; where a group has none, its members are taken to be at the
    server of the best column, and what the place costs and asks there is no more than that for
    those who aren't.

    Behind the groups stands one more for each edge of the box, with a column for its low end and
    one for its high end, between which it may be divided; then one like that for each product.
    """
    program, found, ends = box.fast, box.bounds, corners(box.dimensions)
    static, rows = program.static.keep(columns), list(box.rows(box.bounds))
    tables = np.array(
        [price.of(found.seconds)[:, columns], *(row.weights[:, columns] for row in rows)]
    )
    pieces = _pieces(program.kind[columns], static, near)
    slopes = _slopes(tables[:, :, pieces.reference], ends)
    slopes[:, :, pieces.kind < 0] = 0.0
    weight = np.append(1.0, prices[len(static.caps) :])
    shared = _shared(np.tensordot(weight, np.maximum(slopes, 0.0), 1), pieces, WORTH * room)
    moving = pieces.leads & ~shared
    lost = ~pieces.leads & ~shared[:, pieces.best]
    away = np.where(lost, np.maximum(slopes, 0.0)[:, :, pieces.best], 0.0)
    slopes = np.where(moving | shared, slopes, 0.0)
    drawn = tables - np.einsum("cd,ids->ics", ends, slopes)[:, :, pieces.of_column]
    own = drawn.min(axis=1) - away.sum(axis=1)[:, pieces.of_column]

    members, edges = static.counts[pieces.group], len(program.servers) * box.dimensions
    first = np.maximum(pieces.kind, 0) * box.dimensions
    places = np.zeros((len(tables), edges))
    for d, s in zip(*np.nonzero(moving), strict=True):
        places[:, first[s] + d] += slopes[:, d, s] * members[s]
    for at, row in zip(places[1:], rows, strict=True):
        edge = box.edge_of(row)
        if edge is not None:
            at[edge] -= row.caps[1] - row.caps[0]
    d, s = np.nonzero(shared)
    moved = np.hstack([places, slopes[:, d, s]])
    highs = static.columns + 2 * np.arange(moved.shape[1]) + 1
    of_ends = np.zeros((1 + len(static.caps) + len(rows), 2 * len(highs)))
    of_ends[0, 1::2], of_ends[1 + len(static.caps) :, 1::2] = moved[0], moved[1:]
    return Problem(
        np.concatenate([static.counts, np.ones(edges, dtype=np.int64), members[s]]),
        np.append(static.offsets, highs + 1),
        np.append(own[0], of_ends[0]),
        np.hstack([np.vstack([static.weights, own[1:]]), of_ends[1:]]),
        np.array([*static.caps, *(_cap(box, row) for row in rows)]),
        (*static.rows, *(row.name for row in rows)),
        divisible=len(highs),
        products=tuple(
            Product(int(place), int(part), np.flatnonzero(pieces.of_column == piece))
            for place, part, piece in zip(highs[first[s] + d], highs[edges:], s, strict=True)
        ),
    )


def _cap(box: Box, row: BoxRow) -> float:
    """At the low end of the edge along which it changes."""
    return row.loosest if box.edge_of(row) is None else row.caps[0]


def _slopes(at: FloatArray, ends: FloatArray) -> FloatArray:
    """float64[I, D, S] from end to end of each edge, of tables at the corners, float64[I, C, S]."""
    along = [at[:, end == 1].mean(axis=1) - at[:, end == 0].mean(axis=1) for end in ends.T]
    return np.stack(along, axis=1)


def _pieces(kind: IntArray, static: Problem, near: FloatArray) -> _Pieces:
    group = static.group_of(np.arange(static.columns))
    keys, of_column = np.unique(np.stack([group, kind]), axis=1, return_inverse=True)
    order = np.lexsort((near, of_column))
    reference = order[np.searchsorted(of_column[order], np.arange(keys.shape[1]))]
    ranked = np.lexsort((near[reference], keys[0]))
    best = ranked[np.searchsorted(keys[0][ranked], np.arange(static.groups))]
    return _Pieces(of_column, keys[0], keys[1], reference, best[keys[0]])


def _shared(worth: FloatArray, pieces: _Pieces, least: float) -> BoolArray:
    """bool[D, S]: the pieces that have products along an edge, of groups for which these are worth
    the most: the largest of their pieces' float64[D, S]."""
    of_group = np.zeros((len(worth), int(pieces.group.max()) + 1))
    np.maximum.at(of_group.T, pieces.group, worth.T)
    of_piece = of_group[:, pieces.group]
    found: BoolArray = pieces.divided & (pieces.kind >= 0) & (of_piece > least)
    likely = np.argsort(-np.where(found, of_piece, 0.0), axis=None, kind="stable")
    found.flat[likely[MOST_PRODUCTS:]] = False
    return found
