"""The fleet's clock: golden times, no barrier but where there is one, and what goes wrong."""

from __future__ import annotations

import pytest
from flexp.runtime.fleet_clock import Course, Kind, StepTimes, events, rounds_of, steps_until
from flexp.runtime.scenario import CALM, Moment, Outage, RandomOutages, Scenario, Slow
from hypothesis import given, settings
from hypothesis import strategies as st

HOUR = 3600.0
SPLIT = StepTimes(
    device_seconds=(1.0, 0.5, 1.5),
    up_seconds=(0.2, 0.2),
    server_seconds=(0.1, 0.2),
    down_seconds=(0.2, 0.2),
    round_trip_seconds=0.1,
)
"""4.3 s alone: 3 on the device, 0.8 on the wire, 0.3 at the server, two round trips."""
LOCAL = StepTimes(device_seconds=(4.0,))


def course(times: StepTimes, steps: int = 3, round_steps: int | None = None) -> Course:
    if round_steps is None:
        return Course(times=times, steps=steps)
    barriers = rounds_of(steps, round_steps)
    return Course(
        times=times, steps=steps, barriers=barriers, send_seconds=0.5, receive_seconds=0.25
    )


def told(
    courses: dict[str, Course], scenario: Scenario = CALM
) -> list[tuple[float, str, str, int]]:
    return [(round(e.seconds, 6), e.kind, e.client, e.step) for e in events(courses, scenario)]


def test_one_step_alone_part_by_part() -> None:
    """Device 1, half a trip .05, up .2, server .1; down .05 + .2, device .5, up .25, server .2;
    down .25, device 1.5."""
    assert told({"a": course(SPLIT, 1)}) == [
        (1.35, "meet", "a", 0),
        (2.55, "apply", "a", 0),
        (4.3, "done", "a", 0),
    ]


def test_a_step_without_a_server_is_one_computation() -> None:
    assert told({"a": course(LOCAL, 2)}) == [
        (t, kind, "a", step)
        for step, t in enumerate((4.0, 8.0))
        for kind in ("meet", "apply", "done")
    ]


def test_the_server_serves_one_after_the_other_and_accelerators_side_by_side() -> None:
    slow_server = StepTimes(
        device_seconds=(1.0, 1.0), up_seconds=(0.0,), server_seconds=(5.0,), down_seconds=(0.0,)
    )
    courses = {"a": course(slow_server, 1), "b": course(slow_server, 1)}
    assert [e.seconds for e in events(courses, CALM) if e.kind is Kind.DONE] == [7.0, 12.0]
    assert [e.seconds for e in events(courses, CALM, 2) if e.kind is Kind.DONE] == [7.0, 7.0]


def test_messages_share_the_servers_link() -> None:
    """Two messages of 1 s, each of which could fill the link alone, take 2 s together."""
    full = StepTimes(
        device_seconds=(1.0, 0.0),
        up_seconds=(1.0,),
        server_seconds=(0.0,),
        down_seconds=(0.0,),
        up_share=1.0,
        down_share=1.0,
    )
    courses = {"a": course(full, 1), "b": course(full, 1)}
    assert [e.seconds for e in events(courses, CALM) if e.kind is Kind.DONE] == [3.0, 3.0]


def test_a_round_ends_when_its_last_member_has_sent_its_weights() -> None:
    slow = StepTimes(device_seconds=(10.0,))
    courses = {"a": course(LOCAL, 2, 1), "b": course(slow, 2, 1)}
    found = [(e.seconds, e.members) for e in events(courses, CALM) if e.kind is Kind.AVERAGE]
    assert found == [(10.5, ("a", "b")), (21.25, ("a", "b"))]
    done = [(e.client, e.seconds) for e in events(courses, CALM) if e.kind is Kind.DONE]
    assert done == [("a", 4.0), ("b", 10.0), ("a", 14.75), ("b", 20.75)]


@pytest.mark.parametrize(
    ("steps", "each", "until", "ends"),
    [(10, 4, None, {3, 7, 9}), (8, 4, None, {3, 7}), (10, 4, 6, {3, 5}), (3, 5, None, {2})],
)
def test_rounds(steps: int, each: int, until: int | None, ends: set[int]) -> None:
    assert rounds_of(steps, each, until) == ends


def test_without_a_barrier_a_client_20_times_slower_costs_the_others_nothing_to_speak_of() -> None:
    """And with one it costs them nearly everything: the same scenario."""
    names = [f"c{number}" for number in range(4)]
    scenario = Scenario(slow=(Slow(client="c0", device=20.0, link=20.0),))
    lost = {}
    for name, times, each in (("free", SPLIT, None), ("split", SPLIT, 5), ("fedavg", LOCAL, 5)):
        courses = {n: course(times, 900, each) for n in names}
        before, after = (steps_until(courses, one, HOUR) for one in (Scenario(), scenario))
        others = [n for n in names if n != "c0"]
        lost[name] = 1 - sum(after[n] for n in others) / sum(before[n] for n in others)
    assert lost["free"] <= 0.05
    assert lost["split"] > 0.8 and lost["fedavg"] > 0.8


def test_a_client_that_leaves_is_waited_for_no_longer() -> None:
    scenario = Scenario(jitter=0, dropouts=(Moment(client="b", at_seconds=12.0),))
    courses = {"a": course(LOCAL, 3, 1), "b": course(StepTimes(device_seconds=(9.0,)), 3, 1)}
    found = told(courses, scenario)
    assert (12.0, "leave", "b", 0) in found
    rounds = [(e.seconds, e.members) for e in events(courses, scenario) if e.kind is Kind.AVERAGE]
    assert rounds == [(9.5, ("a", "b")), (14.25, ("a",)), (19.0, ("a",))]
    assert sum(kind == "done" and name == "b" for _, kind, name, _ in found) == 1


def test_a_latecomer_joins_the_next_round() -> None:
    scenario = Scenario(jitter=0, joins=(Moment(client="b", at_seconds=1.0),))
    courses = {"a": course(LOCAL, 2, 1), "b": course(LOCAL, 1, 1)}
    rounds = [(e.seconds, e.members) for e in events(courses, scenario) if e.kind is Kind.AVERAGE]
    assert rounds == [(4.5, ("a",)), (9.25, ("a", "b"))]


def test_a_latecomer_after_the_last_round_has_rounds_of_its_own() -> None:
    scenario = Scenario(jitter=0, joins=(Moment(client="b", at_seconds=5.0),))
    tuned = Course(times=LOCAL, steps=20, barriers=frozenset({0}), send_seconds=0.5)
    found = told({"a": tuned, "b": course(LOCAL, 1, 1)}, scenario)
    assert [t for t, kind, name, _ in found if kind == "done" and name == "b"] == [9.0]


@pytest.mark.parametrize(
    ("outage", "done"),
    [((1.0, 5.0), 9.0), ((3.5, 1.0), 5.0), ((4.0, 9.0), 4.0), ((0.0, 2.0), 6.0)],
)
def test_work_stands_still_in_an_outage(outage: tuple[float, float], done: float) -> None:
    scenario = Scenario(
        jitter=0, outages=(Outage(client="a", from_seconds=outage[0], lasts_seconds=outage[1]),)
    )
    assert told({"a": course(LOCAL, 1)}, scenario)[-1] == (done, "done", "a", 0)


def test_a_message_begins_after_an_outage() -> None:
    scenario = Scenario(
        jitter=0, outages=(Outage(client="a", from_seconds=1.02, lasts_seconds=2.0),)
    )
    assert told({"a": course(SPLIT, 1)}, scenario)[0] == (3.32, "meet", "a", 0)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 1000),
    round_steps=st.sampled_from([None, 2]),
    leaves=st.floats(0, 60),
    joins=st.floats(0, 60),
)
def test_whatever_goes_wrong_every_step_is_taken_once_and_in_order(
    seed: int, round_steps: int | None, leaves: float, joins: float
) -> None:
    scenario = Scenario(
        seed=seed,
        dropouts=(Moment(client="a", at_seconds=leaves),),
        joins=(Moment(client="b", at_seconds=joins),),
        random_outages=RandomOutages(every_seconds=20, lasts_seconds=5),
    )
    courses = {name: course(SPLIT, 5, round_steps) for name in ("a", "b", "c")}
    found = list(events(courses, scenario))
    assert found == list(events(courses, scenario))
    assert [e.seconds for e in found] == sorted(e.seconds for e in found)
    for name in ("b", "c"):
        own = [(e.kind, e.step) for e in found if e.client == name]
        assert own == [(k, s) for s in range(5) for k in (Kind.MEET, Kind.APPLY, Kind.DONE)]
    left = [e.seconds for e in found if e.kind is Kind.LEAVE]
    assert all(e.seconds <= leaves for e in found if e.client == "a") and len(left) <= 1
