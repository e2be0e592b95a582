from __future__ import annotations

import numpy as np
import pytest
from flexp.planner.solver import aggregate as module
from flexp.planner.solver.aggregate import Block, aggregate
from flexp.planner.solver.pareto import undominated
from flexp.planner.solver.problem import Problem
from flexp.planner.solver.solve import Solution, minimise
from hypothesis import given, settings
from hypothesis import strategies as st

from .conftest import brute_force

ROWS = ("memory", "link")


def random_block(seed: int, clients: int = 3, options: int = 4, top: int = 4) -> Block:
    """Few different numbers, so that equal options and equal clients are common."""
    random = np.random.default_rng(seed)
    allowed = random.random((clients, options)) < 0.8
    allowed[:, -1] = True
    cost, *weights = random.integers(0, top, (3, clients, options)).astype(float)
    return Block(cost, np.array(weights), allowed)


def unpruned(block: Block, caps: np.ndarray) -> Problem:
    client, option = np.nonzero(block.allowed)
    return Problem(
        np.ones(len(block.cost), dtype=np.int64),
        np.searchsorted(client, np.arange(len(block.cost) + 1)),
        block.cost[client, option],
        block.weights[:, client, option],
        caps,
        ROWS,
    )


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_undominated_by_definition(seed: int) -> None:
    block = random_block(seed)
    kept = undominated(block.cost, block.weights, block.allowed)
    criteria = np.stack([block.cost, *block.weights])
    for client in range(3):
        usable = np.flatnonzero(block.allowed[client])
        for option in usable:
            mine = criteria[:, client, option]
            beaten = False
            for other in usable:
                theirs = criteria[:, client, other]
                equal = bool((theirs == mine).all())
                beaten |= bool((theirs <= mine).all()) and (other < option or not equal)
            assert kept[client, option] == (not beaten)


def test_equal_options_keep_the_first() -> None:
    cost = np.array([[2.0, 1.0, 1.0, 1.0]])
    weights = np.array([[[5.0, 3.0, 3.0, 2.0]]])
    everything = np.ones((1, 4), dtype=bool)
    assert undominated(cost, weights, everything).tolist() == [[False, False, False, True]]
    assert undominated(cost, weights * 0, everything).tolist() == [[False, True, False, False]]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 20))
def test_pruning_and_merging_never_change_the_optimum(seed: int, cap: int) -> None:
    block, caps = random_block(seed), np.array([cap / 2, cap / 3])
    best = brute_force(unpruned(block, caps), unpruned(block, caps).value)
    problem, origin = aggregate([block], caps, ROWS)
    found = minimise(problem)
    assert isinstance(found, Solution) == (best is not None)
    if isinstance(found, Solution):
        assert found.value == pytest.approx(best, rel=2e-6)
        chosen = origin.assign(found.counts)
        lines = np.arange(3)
        assert block.allowed[lines, chosen].all()
        assert block.cost[lines, chosen].sum() == pytest.approx(found.value)
        assert (block.weights[:, lines, chosen].sum(axis=1) <= caps * (1 + 1e-9)).all()


def test_the_order_and_the_cutting_of_clients_change_nothing() -> None:
    block = random_block(5, clients=40)
    order = np.random.default_rng(1).permutation(40)
    shuffled = Block(block.cost[order], block.weights[:, order], block.allowed[order])
    cut = [
        Block(shuffled.cost[part], shuffled.weights[:, part], shuffled.allowed[part])
        for part in (slice(0, 7), slice(7, 8), slice(8, 40))
    ]
    caps = np.array([30.0, 30.0])
    (one, origin), (other, moved) = aggregate([block], caps, ROWS), aggregate(cut, caps, ROWS)
    assert one.groups < 40
    for field in ("counts", "offsets", "cost", "weights"):
        assert (getattr(one, field) == getattr(other, field)).all()
    assert (origin.group[order] == moved.group).all()


def test_members_and_the_preferred_options_go_to_the_first_of_a_group() -> None:
    cost = np.array([[1.0, 2.0], [7.0, 8.0], [1.0, 2.0], [1.0, 2.0]])
    weights = np.array([[[9.0, 1.0]] * 4])
    problem, origin = aggregate(
        [Block(cost, weights, np.ones((4, 2), dtype=bool))], np.array([20.0]), ("memory",)
    )
    assert sorted(problem.counts.tolist()) == [1, 3]
    assert sorted(m.tolist() for m in origin.members()) == [[0, 2, 3], [1]]
    found = minimise(problem)
    assert isinstance(found, Solution)
    light = [line for line in (0, 1, 2, 3) if origin.assign(found.counts)[line] == 1]
    assert (found.value, len(light)) == (12.0, 2)
    assert light in ([2, 3], [1, 3])


def test_counts_and_measures_are_carried() -> None:
    block = random_block(0)
    seconds = np.arange(12.0).reshape(1, 3, 4)
    counts = np.array([5, 1, 10**6])
    whole = Block(block.cost, block.weights, block.allowed, counts, seconds)
    problem, origin = aggregate([whole], np.array([1.0, 1.0]), ROWS)
    assert problem.members == 1_000_006
    for line, group in enumerate(origin.group):
        columns = slice(problem.offsets[group], problem.offsets[group + 1])
        expected = seconds[0, line, origin.option[columns]]
        assert (origin.measures[0, columns] == expected).all()


def test_clients_with_one_hash_are_still_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_mix", lambda words: words * np.uint64(0))
    block, caps = random_block(3, clients=6, top=99), np.array([250.0, 250.0])
    problem, origin = aggregate([block], caps, ROWS)
    monkeypatch.undo()
    found, best = minimise(problem), minimise(unpruned(block, caps))
    assert isinstance(found, Solution) and isinstance(best, Solution)
    assert problem.groups == 6 and sorted(origin.group.tolist()) == list(range(6))
    assert found.value == pytest.approx(best.value, rel=2e-6)


def test_a_client_without_options_is_named() -> None:
    block = random_block(0)
    nothing = block.allowed.copy()
    nothing[1] = False
    with pytest.raises(ValueError, match="client 1 of a block has no option"):
        aggregate([Block(block.cost, block.weights, nothing)], np.array([1.0, 1.0]), ROWS)
