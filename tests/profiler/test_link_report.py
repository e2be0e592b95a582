"""A measured link becomes a link of a fleet."""

from __future__ import annotations

from flexp.catalog.device import Link
from flexp.profiler.link_report import LinkReport
from flexp.profiler.spread import Spread


def test_a_report_becomes_a_link() -> None:
    def spread(median: float) -> Spread:
        return Spread(min=median / 2, median=median, max=2 * median, samples=5)

    found = LinkReport(
        machine="board",
        server="desk:7070",
        date="2026-11-01",
        up_bits_per_second=spread(8e6),
        down_bits_per_second=spread(30e6),
        rtt_seconds=spread(0.05),
        jitter_seconds=spread(0.002),
        loss=spread(0.01),
        datagrams_sent=200,
        datagrams_lost=3,
    )
    assert found.link() == Link(
        name="board to desk:7070",
        up_bits_per_second=8e6,
        down_bits_per_second=30e6,
        rtt_seconds=0.05,
        source="measured by flexp probe on 2026-11-01, medians: up 4 Mbit/s to 16 Mbit/s in 5 "
        "rounds, down 15 Mbit/s to 60 Mbit/s in 5 rounds, round trip 25 ms to 100 ms, jitter 2 ms, "
        "loss 1.50%",
    )
