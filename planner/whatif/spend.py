"""The next best spend: every move planned anew and ranked by gain per money; and for a fleet
without a plan, the smallest purchase that makes one possible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Literal

from ...catalog.files import Contract
from ...errors import FlexpError
from ..objective import parse_objective
from ..roi.costs import Assumption, Costs
from ..solve import NoPlan, prepare
from ..value import DEFAULT_CURVE
from .evaluate import Bench, Case, evaluate, first_plan
from .moves import Move, amounts, moves
from .outcome import Outcome, money
from .purchase import MOST_EACH, MOST_LOOKED_AT, Counts, Price, cheapest, of_one, reduced
from .situation import Situation


class Ranked(Contract):
    """One unit of a move, planned."""

    name: str
    once: Decimal
    a_year: Decimal
    """Of money, what is bought spread over its life."""
    status: str
    saved_days: float | None = None
    """Of a client's run, on average; none: no plan."""
    finish_saved_days: float | None = None
    """Of the slowest client's run."""
    depth_change: float | None = None
    per_money: float | None = None
    """Days saved on average for each unit of money a year; none: it costs nothing, or saves
    nothing."""
    assumes: tuple[str, ...]


class Bought(Contract):
    name: str
    count: int
    once: Decimal
    a_year: Decimal


class Purchase(Contract):
    """What makes an infeasible fleet feasible."""

    parts: tuple[Bought, ...]
    once: Decimal
    a_year: Decimal
    proven: bool
    """Whether nothing cheaper of these moves is enough; else no part of it can be smaller alone."""


class Spend(Contract):
    schema_version: Literal[1] = 1
    fleet: str
    currency: str
    hours_per_day: float
    baseline: Outcome
    ranked: tuple[Ranked, ...]
    """The best first; empty for a fleet without a plan."""
    purchase: Purchase | None = None
    """For a fleet without a plan; none: it has one, or nothing that was tried is enough."""
    assumptions: tuple[Assumption, ...]


def next_best(
    situation: Situation,
    costs: Costs,
    bench: Bench,
    on_done: Callable[[int], None] = lambda done: None,
) -> Spend:
    """Raises FieldError where a price is not known."""
    (baseline,) = evaluate([Case("baseline", situation)], bench)
    hours = baseline.figures.finish_hours if baseline.figures else 0.0
    found = moves(situation, costs, hours)
    ranked: tuple[Ranked, ...] = ()
    purchase = None
    if baseline.figures is not None:
        cases = [Case(move.name, move.apply(situation)) for move in found]
        outcomes = evaluate(cases, bench, on_done)
        ranked = rank(situation, baseline, found, outcomes)
    elif baseline.status == "infeasible":
        purchase = smallest(situation, found, bench, on_done)
    names = dict.fromkeys(name for move in found for name in move.assumes)
    return Spend(
        fleet=situation.fleet.name,
        currency=costs.currency,
        hours_per_day=situation.hours_per_day,
        baseline=baseline,
        ranked=ranked,
        purchase=purchase,
        assumptions=tuple(costs.assumption(name) for name in names if name != "cost_per_hour"),
    )


def rank(
    situation: Situation, baseline: Outcome, found: Sequence[Move], outcomes: Sequence[Outcome]
) -> tuple[Ranked, ...]:
    """By days saved for each unit of money a year: what costs nothing and saves time first, what
    saves nothing last."""
    rounds = situation.fleet.policy.steps_per_client
    assert baseline.figures is not None
    before = baseline.figures
    listed = []
    for move, one in zip(found, outcomes, strict=True):
        saved = finish = deeper = None
        if one.figures is not None:
            day = 3600 * situation.hours_per_day
            after_day = 3600 * move.apply(situation).hours_per_day
            saved = rounds * (
                before.mean_round_seconds / day - one.figures.mean_round_seconds / after_day
            )
            finish = before.finish_days - one.figures.finish_days
            deeper = one.figures.mean_depth - before.mean_depth
        gains = saved is not None and saved > 0 and move.a_year > 0
        listed.append(
            Ranked(
                name=move.name,
                once=money(move.once),
                a_year=money(move.a_year),
                status=one.status,
                saved_days=saved,
                finish_saved_days=finish,
                depth_change=deeper,
                per_money=(saved or 0.0) / float(move.a_year) if gains else None,
                assumes=move.assumes,
            )
        )
    return tuple(sorted(listed, key=_order))


def _order(one: Ranked) -> tuple[int, float]:
    if one.saved_days is None:
        return (3, 0.0)
    if one.saved_days <= 0:
        return (2, -one.saved_days)
    return (1, -one.per_money) if one.per_money is not None else (0, -one.saved_days)


def smallest(
    situation: Situation,
    found: Sequence[Move],
    bench: Bench,
    on_done: Callable[[int], None] = lambda done: None,
) -> Purchase | None:
    """The cheapest of these moves with which a plan exists, by money a year; None: none found."""
    kept = [move for move in found if move.makes_room]
    profiles = bench.profiles[(situation.model, situation.batch)]
    tried = 0

    def price(counts: Counts) -> Decimal:
        paid = zip(kept, amounts(kept, counts), strict=True)
        return sum((move.a_year * amount for move, amount in paid), Decimal(0))

    def changed(counts: Counts) -> Situation:
        made = situation
        for move, count in zip(kept, counts, strict=True):
            made = move.times(made, count)
        return made

    def stuck(made: Situation) -> set[str]:
        task = prepare(profiles, made.fleet)
        lines = task.builder(parse_objective("total"), DEFAULT_CURVE).stuck()
        entries = (made.fleet.clients[task.order[int(line)]] for line in lines)
        return {client.name for client in entries if not client.optional}

    def works(counts: Counts) -> bool:
        nonlocal tried
        made = changed(counts)
        if stuck(made):
            return False
        tried += 1
        on_done(tried)
        try:
            return not isinstance(first_plan(profiles, made.fleet, bench.wanted), NoPlan)
        except FlexpError:
            return False

    start = _for_the_stuck(kept, price, lambda counts: stuck(changed(counts)))
    if start is None:
        return None
    known = of_one(price, works, start, MOST_EACH)
    counts = cheapest(price, works, start, range(len(kept)), known=known)
    proven = counts is not None
    if counts is None:
        tried_all = (known, reduced(price, works, start, MOST_EACH))
        counts = min((one for one in tried_all if one is not None), key=price, default=None)
    if counts is None:
        return None
    paid = amounts(kept, counts)
    parts = [
        (move, count, amount)
        for move, count, amount in zip(kept, counts, paid, strict=True)
        if count
    ]
    return Purchase(
        parts=tuple(
            Bought(
                name=move.name,
                count=count,
                once=money(move.once * amount),
                a_year=money(move.a_year * amount),
            )
            for move, count, amount in parts
        ),
        once=money(sum((move.once * amount for move, _, amount in parts), Decimal(0))),
        a_year=money(price(counts)),
        proven=proven,
    )


def _for_the_stuck(
    kept: Sequence[Move], price: Price, stuck: Callable[[Counts], set[str]]
) -> Counts | None:
    """What the clients without a variant of their own need at least; None: more than is tried."""
    nothing: Counts = (0,) * len(kept)
    start = list(nothing)
    left = stuck(nothing)
    while left:
        name = min(left)
        own = [index for index, move in enumerate(kept) if name in move.clients]
        others = [index for index, move in enumerate(kept) if not move.clients]

        def helps(counts: Counts, name: str = name) -> bool:
            return name not in stuck(counts)

        counts = None
        for allowed in (own, [*own, *others]):
            most = tuple(MOST_EACH * (index in allowed) for index in range(len(kept)))
            if counts is None and helps(most):  # more of these never takes a variant away
                counts = cheapest(price, helps, nothing, allowed, MOST_LOOKED_AT)
        if counts is None:
            return None
        start = [max(pair) for pair in zip(start, counts, strict=True)]
        left = stuck(tuple(start))
    return tuple(start)
