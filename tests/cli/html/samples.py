"""One result of each kind, small and made by hand."""

from __future__ import annotations

from decimal import Decimal

from flexp.catalog.files import Contract
from flexp.planner.pilot.checklist import Check, Member, Pilot
from flexp.planner.plan import Plan
from flexp.planner.roi.costs import Assumption
from flexp.planner.roi.result import Alternative, Line, Roi, Swing
from flexp.planner.whatif.carries import Limits
from flexp.planner.whatif.front import Front, Point
from flexp.planner.whatif.limits import Limit
from flexp.planner.whatif.outcome import ClassOutcome, Figures, Outcome, WhatIf
from flexp.planner.whatif.spend import Bought, Purchase, Ranked, Spend
from flexp.runtime.comparison.intervals import Estimate
from flexp.runtime.comparison.table import Row, Table

HOSTILE = "<script>alert(1)</script>"
"""A name that a page must not run."""


def figures(seconds: float) -> Figures:
    return Figures(
        devices=3,
        absent=0,
        mean_depth=2.5,
        mean_round_seconds=seconds,
        slowest_round_seconds=2 * seconds,
        finish_hours=seconds,
        finish_days=seconds / 24,
        bytes_per_day=1e9,
        run_bytes=1e9,
        energy_wh=12.0,
        unknown_power=0,
        server_hours=seconds,
    )


def outcome(name: str, seconds: float | None) -> Outcome:
    said = {"name": name, "model": "tiny", "batches": (16,)}
    if seconds is None:
        return Outcome(**said, status="infeasible", why=("memory of server: a little more",))
    classes = (ClassOutcome(name="tablets", devices=3, mean_depth=2.5),)
    return Outcome(**said, status="optimal", figures=figures(seconds), classes=classes)


def samples(plan: Plan) -> dict[str, Contract]:
    """By the kind of file."""
    source = {"source": "a price list", "date": "2025-01"}
    price = Assumption(
        name="hour_of_work", amount=Decimal("33.5"), currency="EUR", own=True, **source
    )
    line = Line(name="value", when="yearly", amount=Decimal("12.50"), how="3 × 4", assumes=("a",))
    kinds = ("none", "central", "fedavg", "new devices", "flexp")
    estimate = Estimate(mean=0.7, half_width=0.02, seeds=3)
    row = dict.fromkeys(
        ("personal", "worst", "overall", "client_bytes", "device_flops", "peak_memory_bytes"),
        estimate,
    )
    unknown = ("target_seconds", "personal_difference", "overall_difference", "time_ratio")
    return {
        "plan": plan,
        "what-if": WhatIf(
            fleet=HOSTILE,
            objective="total",
            blocks=6,
            assumptions=("a run is 100 rounds",),
            baseline=outcome("baseline", 3.0),
            scenarios=(outcome("wifi", 2.0), outcome("small", None)),
        ),
        "roi": Roi(
            fleet="office",
            model="tiny",
            devices=3,
            currency="EUR",
            years=3,
            alternatives=tuple(
                Alternative(kind=kind, devices=3, lines=(line,), npv=Decimal(10 * index))
                for index, kind in enumerate(kinds)
            ),
            tornado=(
                Swing(
                    name="value", low="-50%", high="+50%", npv_low=Decimal(-5), npv_high=Decimal(90)
                ),
                Swing(
                    name="bandwidth",
                    low="-35%",
                    high="+50%",
                    npv_low=Decimal(38),
                    npv_high=Decimal(41),
                    beyond=("no plan at -40%: memory of server (C4): a little more is needed",),
                ),
            ),
            assumptions=(price,),
        ),
        "limits": Limits(
            fleet="office",
            model="tiny",
            blocks=6,
            limits=(Limit(name="batch", most="76", beyond="77", why=("memory",)),),
            fronts=(
                Front(
                    metric="cost",
                    unit="money",
                    meaning="the server's hours",
                    missed=("5%",),
                    points=(
                        Point(mark="optimized", time=1, other=9, mean_depth=2, on_front=True),
                        Point(mark="front", time=2, other=5, mean_depth=3, on_front=True),
                        Point(mark="static", time=4, other=5, mean_depth=5, on_front=False),
                    ),
                ),
            ),
        ),
        "spend": Spend(
            fleet="office",
            currency="EUR",
            hours_per_day=8,
            baseline=outcome("baseline", 3.0),
            ranked=(
                Ranked(
                    name="+1 GiB for tablets",
                    once=Decimal(15),
                    a_year=Decimal(5),
                    status="optimal",
                    saved_days=0.5,
                    finish_saved_days=0.1,
                    per_money=0.1,
                    assumes=("memory_per_gib",),
                ),
            ),
            assumptions=(price,),
        ),
        "purchase": Spend(
            fleet="office",
            currency="EUR",
            hours_per_day=8,
            baseline=outcome("baseline", None),
            ranked=(),
            purchase=Purchase(
                parts=(Bought(name="+1 GiB", count=2, once=Decimal(30), a_year=Decimal(10)),),
                once=Decimal(30),
                a_year=Decimal(10),
                proven=True,
            ),
            assumptions=(),
        ),
        "pilot": Pilot(
            fleet="office",
            model="tiny",
            devices=8,
            binding_links=("wifi",),
            members=(
                Member(
                    name="ann",
                    device="laptop",
                    link="wifi",
                    stands_for=("device laptop",),
                    devices=4,
                    depth=2,
                    codec="bf16",
                    batch=16,
                    steps=100,
                    hours=0.5,
                ),
            ),
            least_steps=62,
            least_days=5,
            hours_per_day=8,
            checks=(
                Check(
                    id="all.lost",
                    who="all",
                    what="lost steps",
                    unit="",
                    expected=0,
                    go=0.1,
                    stop=0.3,
                    because="x",
                    measured=0.4,
                ),
            ),
            assumptions=("a working week",),
        ),
        "comparison": Table(
            reference="flexp",
            target=None,
            rows=(
                Row(
                    label="flexp",
                    seconds=estimate,
                    misfits=0,
                    reached=3,
                    **row,
                    **dict.fromkeys(unknown),
                ),
            ),
        ),
    }
