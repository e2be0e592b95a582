from __future__ import annotations

import pytest
from flexp.profiler.pipeline import Stage, schedule_seconds, step_seconds, u_shape
from hypothesis import given
from hypothesis import strategies as st

seconds = st.floats(0.01, 10)


def test_fill_plus_bottleneck() -> None:
    totals = {"device_seconds": 1, "up_seconds": 2, "server_seconds": 1, "down_seconds": 2}
    link = {"rtt_seconds": 0.1, "round_trips": 2}
    assert step_seconds(**totals, **link, parts=4) == pytest.approx(3.2)
    assert step_seconds(**totals, **link, parts=1) == pytest.approx(6.2)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (1, 4.0),
        (2, 3.0),  # 1 up | 1 up + 1 down | 1 down
        (4, 2.5),
    ],
)
def test_two_stages_overlap(parts: int, expected: float) -> None:
    stages = [Stage(on="up", seconds=2), Stage(on="down", seconds=2)]
    assert schedule_seconds(stages, parts) == pytest.approx(expected)


def test_what_works_once_for_two_stages_works_for_one_at_a_time() -> None:
    stages = [
        Stage(on="device", seconds=2),
        Stage(on="up", seconds=2, delay_seconds=1),
        Stage(on="device", seconds=4),
    ]
    # parts leave at 1 and 2, are up at 2 and 3, arrive at 3 and 4; the device: 3 to 5, 5 to 7
    assert schedule_seconds(stages, 2) == pytest.approx(7.0)


@st.composite
def shapes(draw: st.DrawFn) -> dict[str, object]:
    pairs = {
        f"{name}_seconds": (draw(seconds), draw(seconds))
        for name in ("bottom", "server", "up", "down")
    }
    return {**pairs, "top_seconds": draw(seconds), "rtt_seconds": draw(st.floats(0, 1))}


def totals(shape: dict[str, object]) -> dict[str, float]:
    """Of device, up, server and down."""
    sums = {name: sum(shape[f"{name}_seconds"]) for name in ("bottom", "up", "server", "down")}
    sums["device"] = sums.pop("bottom") + shape["top_seconds"]
    return {f"{name}_seconds": value for name, value in sums.items()}


@given(shape=shapes(), parts=st.integers(1, 8))
def test_a_schedule_keeps_to_its_limits(shape: dict[str, object], parts: int) -> None:
    """Never faster than what is slowest, nor slower than one part after the other."""
    work, trips = totals(shape), 2 * shape["rtt_seconds"]
    got = schedule_seconds(u_shape(**shape), parts)
    assert got >= max(max(work.values()), sum(work.values()) / parts + trips) - 1e-9
    assert got <= sum(work.values()) + trips + 1e-9


@given(shape=shapes())
def test_both_are_the_sum_for_a_batch_in_one_piece(shape: dict[str, object]) -> None:
    rtt = shape["rtt_seconds"]
    formula = step_seconds(**totals(shape), rtt_seconds=rtt, round_trips=2, parts=1)
    assert formula == pytest.approx(schedule_seconds(u_shape(**shape), 1))
    assert formula == pytest.approx(sum(totals(shape).values()) + 2 * rtt)


@given(shape=shapes(), parts=st.integers(1, 4))
def test_twice_the_parts_never_take_longer(shape: dict[str, object], parts: int) -> None:
    whole, halves = (schedule_seconds(u_shape(**shape), n) for n in (parts, 2 * parts))
    assert halves <= whole + 1e-9


@given(
    bottom=seconds,
    server=seconds,
    up=seconds,
    down=seconds,
    top=st.floats(0.001, 1),
    rtt=st.floats(0, 0.2),
    parts=st.sampled_from([2, 4, 8]),
)
def test_the_formula_is_near_the_schedule_of_an_ordinary_step(
    bottom: float, server: float, up: float, down: float, top: float, rtt: float, parts: int
) -> None:
    """Backward passes twice as long as forward passes, and as many bytes back as forth."""
    shape = {
        "bottom_seconds": (bottom / 3, 2 * bottom / 3),
        "server_seconds": (server / 3, 2 * server / 3),
        "up_seconds": (up / 2, up / 2),
        "down_seconds": (down / 2, down / 2),
        "top_seconds": top,
        "rtt_seconds": rtt,
    }
    link = {"rtt_seconds": rtt, "round_trips": 2}
    ratio = step_seconds(**totals(shape), **link, parts=parts) / schedule_seconds(
        u_shape(**shape), parts
    )
    assert 0.85 < ratio < 1.6
