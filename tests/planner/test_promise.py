"""What is written into a plan, looked up once for clients that are alike."""

from __future__ import annotations

import numpy as np
import pytest
from flexp.catalog.device import Link
from flexp.planner.fleet import ResolvedFleet
from flexp.planner.machine_load import Guest, workload
from flexp.planner.menu import make_menu
from flexp.planner.predict import predict_step
from flexp.planner.promise import Deepest, keeps_limits
from flexp.profiler.profile import Profile
from hypothesis import given, settings
from hypothesis import strategies as st

from .conftest import device, fleet, link, minilm

LINKS = (link(), link("metered", data_budget_bytes=10**8), link("meagre", data_budget_bytes=10**6))
CLIENTS = st.lists(
    st.tuples(
        st.integers(430, 560), st.integers(300, 360), st.sampled_from(LINKS), st.integers(1, 4)
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(drawn=CLIENTS, timed=st.sampled_from([{}, {"step_deadline_seconds": 4.0}]))
def test_the_deepest_split_is_that_of_every_variant_tried(
    drawn: list[tuple[int, int, Link, int]], timed: dict[str, float]
) -> None:
    profile = minilm()
    made = fleet(
        [
            (f"c{i}", device(f"d{i}", 20.0 + i, usable, runtime), wire, depth)
            for i, (usable, runtime, wire, depth) in enumerate(drawn)
        ],
        codecs=["fp32", "int8"],
        checkpointing="allowed",
        **timed,
    )
    menu = make_menu({16: profile}, made.policy)
    deepest = Deepest(menu, made)
    for client in made.clients:
        fitting = [
            variant.placement.depth
            for variant, demand in zip(menu.variants, menu.demands, strict=True)
            if keeps_limits(demand, variant, client, made.server, menu, made)
        ]
        assert deepest.of(client) == max(fitting, default=0)


@pytest.mark.parametrize("labels_may_leave", [False, True])
def test_the_workload_of_guests_is_that_of_each(
    profile: Profile, office: ResolvedFleet, labels_may_leave: bool
) -> None:
    """Device, wire, server and round trips of a step add up to the step, less what is hidden."""
    policy = {"labels_may_leave": labels_may_leave, "micro_batches": (1, 4)}
    made = office.model_copy(update={"policy": office.policy.model_copy(update=policy)})
    menu, server = make_menu({16: profile}, made.policy), made.server
    guests = [
        Guest(2, client, predict_step(demand, variant, client, server), demand)
        for client in made.clients
        for variant, demand in zip(menu.variants, menu.demands, strict=True)
    ]
    assert {guest.demand.visits for guest in guests} == ({1, 2} if labels_may_leave else {2})
    found = workload(server, guests)
    seconds = found.elsewhere_seconds() + (found.server_seconds * found.used()).sum(axis=1)
    assert seconds == pytest.approx([guest.step.step_seconds for guest in guests], rel=1e-12)
    for row, guest in enumerate(guests):
        speed, visits = guest.client.device.training_flops_per_second, guest.demand.visits
        whole = np.array(guest.demand.device_flops) / speed
        stages = found.device_seconds[row]
        assert (stages[: visits + 1] <= whole * (1 + 1e-12)).all()
        assert not stages[visits + 1 :].any()
        assert not found.server_seconds[row, visits:].any()
