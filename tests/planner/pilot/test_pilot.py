"""The pilot: the smallest cover against every subset, thresholds, and the decision."""

from __future__ import annotations

import itertools
import subprocess
import sys

import pytest
from flexp.planner.fleet import ResolvedFleet
from flexp.planner.pilot.checklist import Check, Pilot
from flexp.planner.pilot.cover import Group, covers, smallest_cover
from flexp.planner.pilot.make import binding_links, make_pilot
from flexp.planner.pilot.markdown import markdown
from flexp.planner.plan import Plan
from flexp.planner.value import DEFAULT_CURVE
from hypothesis import given, settings
from hypothesis import strategies as st

names = st.sampled_from("abcd")


@settings(max_examples=15, deadline=None)
@given(
    sizes=st.dictionaries(st.tuples(names, names), st.integers(1, 50), min_size=1, max_size=7),
    binding=st.sets(names),
)
def test_smallest_cover(sizes: dict[Group, int], binding: set[str]) -> None:
    every = {element for group in sizes for element in covers(group, binding)}

    def covered(groups: tuple[Group, ...]) -> bool:
        return every == {element for group in groups for element in covers(group, binding)}

    least = next(
        count
        for count in range(1, len(sizes) + 1)
        if any(covered(groups) for groups in itertools.combinations(sizes, count))
    )
    found = smallest_cover(sizes, binding)
    assert covered(found) and len(found) == least
    equally = (g for g in itertools.combinations(sizes, least) if covered(g))
    assert sum(sizes[g] for g in found) == max(sum(sizes[g] for g in gs) for gs in equally)


def test_the_solver_says_nothing() -> None:
    """Its banner would go to the file descriptor, past Python, and into --json."""
    script = (
        "from flexp.planner.pilot.cover import smallest_cover\n"
        "smallest_cover({('a', 'b'): 1, ('c', 'b'): 2}, {'b'})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


def test_a_link_that_does_not_bind_needs_nobody() -> None:
    sizes = {("laptop", "lan"): 5, ("laptop", "lte"): 2}
    assert smallest_cover(sizes, set()) == (("laptop", "lan"),)
    assert smallest_cover(sizes, {"lte"}) == (("laptop", "lte"),)
    assert len(smallest_cover(sizes, {"lte", "lan"})) == 2


@pytest.fixture
def pilot(office_plan: Plan, office: ResolvedFleet) -> Pilot:
    return make_pilot(office_plan, office, DEFAULT_CURVE, 8.0)


def test_every_class_and_binding_link(
    pilot: Pilot, office_plan: Plan, office: ResolvedFleet
) -> None:
    stands = {text for member in pilot.members for text in member.stands_for}
    wanted = {f"device {client.device.name}" for client in office.clients}
    wanted |= {f"link {name}" for name in binding_links(office_plan, office)}
    assert stands == wanted
    assert (len(pilot.members), pilot.devices) == (4, 5)
    assert pilot.least_steps == 62  # (1.96 · 0.2 / 0.05)², rounded up
    plan = {entry.name: entry for entry in office_plan.clients}
    checks = {check.id: check for check in pilot.checks}
    for member in pilot.members:
        entry = plan[member.name]
        alone = entry.predicted.step_seconds - entry.predicted.wait_seconds
        assert member.hours == pytest.approx(100 * alone / 3600)
        step, memory = checks[f"{member.name}.step"], checks[f"{member.name}.memory"]
        assert step.expected == pytest.approx(alone, rel=0.01)
        assert (step.go / step.expected, step.stop / step.expected) == pytest.approx(
            (1.15, 1.5), rel=0.02
        )
        assert memory.stop == pytest.approx(entry.memory_limit_bytes / 2**20, abs=0.1)
        assert memory.expected <= memory.go <= memory.stop
    for check in pilot.checks:
        sign = 1 if check.better == "less" else -1
        assert sign * check.expected <= sign * check.go <= sign * check.stop and check.because


def test_a_budget_that_a_run_fills_binds(office_plan: Plan, office: ResolvedFleet) -> None:
    entry = next(one for one in office_plan.clients if one.name == "eve")
    predicted = entry.predicted
    moved = entry.steps * (predicted.up_bytes_per_step + predicted.down_bytes_per_step)

    def with_budget(share: float) -> ResolvedFleet:
        return office.model_copy(
            update={
                "clients": tuple(
                    client.model_copy(
                        update={
                            "link": client.link.model_copy(
                                update={"data_budget_bytes": round(moved / share)}
                            )
                        }
                    )
                    if client.name == "eve"
                    else client
                    for client in office.clients
                )
            }
        )

    assert ("ethernet" in binding_links(office_plan, with_budget(0.9))) is True
    assert ("ethernet" in binding_links(office_plan, with_budget(0.5))) is False


@pytest.mark.parametrize(
    ("better", "measured", "verdict"),
    [
        ("less", 10.0, "go"),
        ("less", 10.1, "conditional"),
        ("less", 20.0, "conditional"),
        ("less", 20.1, "stop"),
        ("less", None, "open"),
        ("more", 10.0, "go"),
        ("more", 9.9, "conditional"),
        ("more", 4.9, "stop"),
    ],
)
def test_verdict(better: str, measured: float | None, verdict: str) -> None:
    stop = 20.0 if better == "less" else 5.0
    limits = {"expected": 10, "go": 10, "stop": stop, "better": better, "measured": measured}
    check = Check(id="a.b", who="a", what="b", unit="s", because="made up", **limits)
    assert check.verdict == verdict


def test_decision(pilot: Pilot) -> None:
    expected = {check.id: check.expected for check in pilot.checks}
    assert pilot.outcome.decision == "conditional" and "not measured" in pilot.outcome.reasons[0]
    assert pilot.filled(expected).outcome.decision == "go"
    between = pilot.filled({**expected, "all.lost": 0.2}).outcome
    assert (between.decision, between.reasons) == (
        "conditional",
        ("all.lost: 0.2, more than 0.1",),
    )
    worse = pilot.filled({**expected, "all.lost": 0.2, "all.gain": -0.1}).outcome
    assert (worse.decision, worse.reasons) == ("no-go", ("all.gain: -0.1, less than 0",))


def test_markdown(pilot: Pilot) -> None:
    text = markdown(pilot.filled({"all.lost": 0.2, "all.gain": 0.3}))
    assert text.startswith("# Pilot of test: 4 of 5 devices\n")
    assert "Measured: 0.2: conditional" in text and "- [x] `all.gain`" in text
    for member in pilot.members:
        assert f"| {member.name} |" in text
    assert text.count("____") == len(pilot.checks) - 2
