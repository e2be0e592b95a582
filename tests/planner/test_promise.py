"""What is written into a plan, looked up once for clients that are alike."""

from __future__ import annotations

import numpy as np
import pytest
from flexp.catalog.device import Link
from flexp.planner.deepest import Deepest, keeps_limits
from flexp.planner.fleet import ResolvedFleet
from flexp.planner.guests import Guests
from flexp.planner.machine_load import workload
from flexp.planner.menu import make_menu
from flexp.planner.predict import predict_step
from flexp.planner.strategies import plan_by
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
    same = Guests(made.server, menu, made.clients, [0] * len(drawn), [1] * len(drawn))
    found = Deepest(menu, made).of(same)
    for client, deepest in zip(made.clients, found, strict=True):
        fitting = [
            variant.placement.depth
            for variant, demand in zip(menu.variants, menu.demands, strict=True)
            if keeps_limits(demand, variant, client, made.server, menu, made)
        ]
        assert deepest == max(fitting, default=0)


@pytest.mark.parametrize("labels_may_leave", [False, True])
def test_the_workload_of_guests_is_that_of_each(
    profile: Profile, office: ResolvedFleet, labels_may_leave: bool
) -> None:
    """Device, wire, server and round trips of a step add up to the step, less what is hidden; they
    are those of each client computed alone."""
    policy = {"labels_may_leave": labels_may_leave, "micro_batches": (1, 4)}
    made = office.model_copy(update={"policy": office.policy.model_copy(update=policy)})
    menu, server = make_menu({16: profile}, made.policy), made.server
    options = [
        (client, variant) for client in made.clients for variant in range(len(menu.variants))
    ]
    clients, variants = zip(*options, strict=True)
    guests = Guests(server, menu, clients, variants, members=[2] * len(options))
    visits, step = guests.asked("visits"), guests.step
    assert set(visits) == ({1, 2} if labels_may_leave else {2})
    found = workload(guests)
    seconds = found.elsewhere_seconds() + (found.server_seconds * found.used()).sum(axis=1)
    assert seconds == pytest.approx(step.step_seconds, rel=1e-12)
    for row, (client, variant) in enumerate(options):
        demand = menu.demands[variant]
        speed = client.device.training_flops_per_second
        whole = np.array(demand.device_flops) / speed
        stages = found.device_seconds[row]
        assert (stages[: demand.visits + 1] <= whole * (1 + 1e-12)).all()
        assert not stages[demand.visits + 1 :].any()
        assert not found.server_seconds[row, demand.visits :].any()
        alone = predict_step(demand, menu.variants[variant], client, server)
        assert [float(part[row]) for part in step] == list(alone)


@given(order=st.permutations(range(12)))
def test_no_figure_depends_on_the_order_of_clients(profile: Profile, order: list[int]) -> None:
    clients = [
        (f"c{i}", device(f"d{i}", 20.0 + 7 * i, 460 + 9 * i), link(up=3 + 1.7 * i))
        for i in range(12)
    ]
    server = (device("server", 300), link("fibre", 300, 300))
    plans = [
        plan_by("memory-only", {16: profile}, fleet(made, server))
        for made in (clients, [clients[i] for i in order])
    ]
    one, other = ({entry.name: entry for entry in plan.clients} for plan in plans)
    assert one == other
    assert plans[0].servers == plans[1].servers
    assert [entry.name for entry in plans[1].clients] == [f"c{i}" for i in order]
