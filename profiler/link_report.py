"""What was measured of a link. Torch is not needed to read it."""

from __future__ import annotations

from pydantic import Field, NonNegativeInt

from ..catalog.device import Link
from ..catalog.files import Contract
from ..catalog.units import format_bit_rate, format_seconds
from ..errors import FlexpError
from .spread import Spread


class LinkReport(Contract):
    """Measured figures between this machine and a listener, over one TCP connection and UDP.
    What could not be measured is None; `notes` says why."""

    machine: str
    server: str
    """HOST:PORT of the listener."""
    date: str
    up_bits_per_second: Spread | None
    """Of rounds in which TCP had its speed already, as the receiver saw them."""
    down_bits_per_second: Spread | None
    rtt_seconds: Spread | None
    """Round trips of small messages."""
    jitter_seconds: Spread | None
    """Of each round, the mean of |RTT[i] - RTT[i-1]|. RFC 3550, section 6.4.1, smooths the same
    differences of one-way times, which need two clocks that agree."""
    loss: Spread | None
    """Of each round, the share of UDP datagrams that did not come back."""
    datagrams_sent: NonNegativeInt
    datagrams_lost: NonNegativeInt
    notes: tuple[str, ...] = Field(default=())

    @property
    def loss_share(self) -> float | None:
        """Of all datagrams; the loss of one way is about half of it."""
        return self.datagrams_lost / self.datagrams_sent if self.loss is not None else None

    def link(self) -> Link:
        """As a fleet takes it, with medians. Raises FlexpError if a figure is missing."""
        up, down, rtt = self.up_bits_per_second, self.down_bits_per_second, self.rtt_seconds
        if up is None or down is None or rtt is None:
            raise FlexpError(
                f"the link to {self.server} could not be measured: {'; '.join(self.notes)}",
                "probe again, or choose a link of the catalogue",
            )
        shown = [
            f"up {format_bit_rate(up.min)} to {format_bit_rate(up.max)} in {up.samples} rounds",
            f"down {format_bit_rate(down.min)} to {format_bit_rate(down.max)} in "
            f"{down.samples} rounds",
            f"round trip {format_seconds(rtt.min)} to {format_seconds(rtt.max)}",
        ]
        if self.jitter_seconds is not None:
            shown.append(f"jitter {format_seconds(self.jitter_seconds.median)}")
        shown.append("loss unknown" if self.loss_share is None else f"loss {self.loss_share:.2%}")
        return Link(
            name=f"{self.machine} to {self.server}",
            up_bits_per_second=up.median,
            down_bits_per_second=down.median,
            rtt_seconds=rtt.median,
            source=f"measured by flexp probe on {self.date}, medians: {', '.join(shown)}",
        )
