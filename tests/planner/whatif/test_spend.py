"""The next best spend and the smallest purchase, against trying everything."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from flexp.planner.fleet import ResolvedFleet
from flexp.planner.roi.costs import Costs, read_costs
from flexp.planner.solve import NoPlan, Wanted, find_plan
from flexp.planner.whatif.evaluate import Bench
from flexp.planner.whatif.moves import amounts, moves
from flexp.planner.whatif.outcome import figures_of
from flexp.planner.whatif.purchase import cheapest, of_one, reduced
from flexp.planner.whatif.situation import Situation
from flexp.planner.whatif.spend import next_best, smallest
from flexp.profiler.profile import Profile
from hypothesis import given, settings
from hypothesis import strategies as st

from ..conftest import device, fleet, link

COSTS = """\
schema_version: 1
server: owned
server_price: 900
accelerator_price: 300
memory_per_gib: 7
link_10_mbit_per_year: 5
server_life_years: 3
"""


@pytest.fixture
def costs(tmp_path: Path) -> Costs:
    (tmp_path / "costs.yaml").write_text(COSTS, encoding="utf-8")
    return read_costs(tmp_path / "costs.yaml")


@pytest.fixture
def bench(profile: Profile) -> Bench:
    return Bench({(None, None): {16: profile}}, Wanted(time_limit_seconds=5))


def test_ranked_as_planned_by_hand(costs: Costs, bench: Bench, profile: Profile) -> None:
    """A tablet without room for its best depth, and a link that is slow."""
    made = fleet(
        [
            ("ann", device("laptop", 60), link("dsl", 2, 9)),
            ("cat", device("tablet", 60, 500), link("lan")),
        ],
        (device("tower", 60, 900), link("office", 900, 900)),
    )
    start = Situation(made, hours_per_day=8.0)
    found = next_best(start, costs, bench)
    assert found.purchase is None and found.baseline.figures is not None

    def days(situation: Situation) -> float:
        plan = find_plan({16: profile}, situation.fleet, bench.wanted)
        assert not isinstance(plan, NoPlan)
        figures = figures_of(plan, situation.fleet, situation.hours_per_day)
        return 100 * figures.mean_round_seconds / 3600 / situation.hours_per_day

    worth = {}
    for move in moves(start, costs, 1.0):
        saved = days(start) - days(move.apply(start))
        one = next(each for each in found.ranked if each.name == move.name)
        assert one.saved_days == pytest.approx(saved, abs=1e-9)
        worth[move.name] = saved / float(move.a_year) if move.a_year else float("inf")
    ranking = [one.name for one in found.ranked if (one.saved_days or 0) > 0]
    assert ranking == sorted(ranking, key=lambda name: -worth[name])
    assert ranking[0] == "one more hour a day"
    assert len(found.ranked) == len(worth) == 2 + 2 + 3 + 1  # classes, links, server, hours


FLEETS: dict[str, Callable[[], ResolvedFleet]] = {
    "a client's memory": lambda: fleet(
        [
            ("ann", device("laptop", 60), link("lan")),
            ("cat", device("tablet", 15, 360), link("lan")),
        ]
    ),
    "the server's memory": lambda: fleet(
        [(name, device("laptop", 60), link("lan")) for name in ("ann", "bob")],
        (device("tower", 900, 400), link("office", 900, 900)),
    ),
    "a deadline on a slow link": lambda: fleet(
        [
            ("ann", device("laptop", 60), link("dsl", 2, 9)),
            ("bob", device("laptop", 60), link("lan")),
        ],
        step_deadline_seconds=3.0,
    ),
    "a data budget": lambda: fleet(
        [
            (
                "ann",
                device("laptop", 60),
                link("lte", 20, 20).model_copy(update={"data_budget_bytes": 10**8}),
            ),
            ("bob", device("laptop", 60), link("lan")),
        ],
    ),
    "both": lambda: fleet(
        [
            ("ann", device("laptop", 60), link("lan")),
            ("cat", device("tablet", 15, 360), link("lan")),
        ],
        (device("tower", 900, 400), link("office", 900, 900)),
    ),
}


MOVES = ("+1 GiB", "+16 GiB", "+10 Mbit/s on dsl", "+1 GB a run")
"""That are tried in every combination."""


@pytest.mark.parametrize("case", FLEETS)
def test_smallest_purchase_against_brute_force(
    case: str, costs: Costs, bench: Bench, profile: Profile
) -> None:
    start = Situation(FLEETS[case]())
    every = [move for move in moves(start, costs, 1.0) if move.name.startswith(MOVES)]
    assert isinstance(find_plan({16: profile}, start.fleet, bench.wanted), NoPlan)
    prices = []
    for counts in itertools.product(range(3), repeat=len(every)):
        price = sum((m.a_year * n for m, n in zip(every, counts, strict=True)), Decimal(0))
        if prices and price >= min(prices):
            continue
        situation = start
        for move, count in zip(every, counts, strict=True):
            situation = move.times(situation, count)
        if not isinstance(find_plan({16: profile}, situation.fleet, bench.wanted), NoPlan):
            prices.append(price)
    found = smallest(start, every, bench)
    assert found is not None and found.proven
    assert abs(found.a_year - min(prices)) <= Decimal("0.01")
    assert sum((part.a_year for part in found.parts), Decimal(0)) == pytest.approx(
        found.a_year, abs=Decimal("0.02")
    )


def test_nothing_is_enough(costs: Costs, bench: Bench) -> None:
    made = fleet([("ann", device("laptop", 60), link("lan"), 9)])  # the model has six blocks
    found = next_best(Situation(made), costs, bench)
    assert (found.ranked, found.purchase) == ((), None)
    assert found.baseline.status == "infeasible"


@settings(max_examples=15, deadline=None)
@given(
    prices=st.lists(st.integers(1, 9), min_size=2, max_size=3),
    needs=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=4
    ),
)
def test_cheapest_of_any_prices(prices: list[int], needs: list[tuple[int, int, int]]) -> None:
    """What works: to have as much of everything as one of `needs`."""
    size = len(prices)
    money = [Decimal(price) for price in prices]

    def works(counts: tuple[int, ...]) -> bool:
        return any(all(c >= n for c, n in zip(counts, need[:size], strict=True)) for need in needs)

    def price(counts: tuple[int, ...]) -> Decimal:
        return sum((p * c for p, c in zip(money, counts, strict=True)), Decimal(0))

    best = min(
        price(counts) for counts in itertools.product(range(4), repeat=size) if works(counts)
    )
    found = cheapest(price, works, (0,) * size, range(size), 10_000)
    assert found is not None and works(found) and price(found) == best
    less = reduced(price, works, (0,) * size, 64)
    assert less is not None and works(less)
    for index, count in enumerate(less):
        assert not count or not works((*less[:index], count - 1, *less[index + 1 :]))


def test_a_search_that_ends_without() -> None:
    assert cheapest(units, lambda counts: False, (0,), [0], 5) is None
    assert reduced(units, lambda counts: False, (0,), 64) is None
    assert of_one(units, lambda counts: False, (0,), 64) is None


def units(counts: tuple[int, ...]) -> Decimal:
    return Decimal(sum(counts))


def test_of_one_bounds_the_search() -> None:
    """Five of the first, or two of the second and one of the third, which is dearer."""

    def price(counts: tuple[int, ...]) -> Decimal:
        return sum((Decimal(p) * n for p, n in zip((1, 2, 3), counts, strict=True)), Decimal(0))

    def works(counts: tuple[int, ...]) -> bool:
        tried.append(counts)
        return counts[0] >= 5 or (counts[1] >= 2 and counts[2] >= 1)

    tried: list[tuple[int, ...]] = []
    known = of_one(price, works, (0, 0, 0), 64)
    assert known == (5, 0, 0)
    assert cheapest(price, works, (0, 0, 0), range(3), known=known) == known
    assert (2, 2, 1) not in tried and max(map(price, tried[-5:])) < 5


def test_what_each_machine_gets_is_bought_for_new_ones_too(costs: Costs) -> None:
    situation = Situation(fleet([("ann", device("laptop", 60), link("lan"))]))
    server = situation.fleet.server.model_copy(update={"count": 2})
    situation = situation.with_fleet(servers=(server,))
    found = moves(situation, costs, 1.0)
    names = [move.name for move in found]
    counts = [0] * len(found)
    counts[names.index("+1 accelerator for server")] = 3
    counts[names.index("+1 machine server")] = 2
    paid = dict(zip(names, amounts(found, counts), strict=True))
    assert paid["+1 accelerator for server"] == 6  # three for each of four machines, not of two
    assert paid["+1 machine server"] == 2
