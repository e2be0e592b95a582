"""A device type: the published facts of a machine that nobody can reach, and what flexp makes of
them. docs/catalog.md explains the rules and how far they are off."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PositiveInt

from .device import Device
from .files import Contract
from .speed_rules import SpeedRule, speed_rules
from .units import (
    Bytes,
    BytesPerSecond,
    FlopsPerSecond,
    Hertz,
    Watts,
    format_flops,
    format_hertz,
)

Kind = Literal["board", "jetson", "phone", "tablet", "laptop", "desktop", "server", "gpu"]

_GIB = 2**30
_MIB = 2**20


def _not_a_float(value: object) -> object:
    if isinstance(value, float):
        raise ValueError('write an amount of money in quotes: "59.90"')
    return value


class Price(Contract):
    """What one cost new."""

    amount: Annotated[Decimal, BeforeValidator(_not_a_float), Field(gt=0)]
    currency: str = Field(pattern="^[A-Z]{3}$")
    """ISO 4217."""
    year: int
    basis: Literal["list", "street"]
    """list: the manufacturer's price; street: what sellers asked, ±30%."""


class Processor(Contract):
    """Equal cores of a chip, or the lanes of a GPU."""

    name: str = Field(min_length=1)
    units: PositiveInt
    clock_hertz: Hertz
    """Sustained: a CPU's base clock, or the lowest one that is published for all cores."""
    flops_per_cycle: PositiveInt
    """FP32, of one unit; a multiply-add counts 2."""

    @property
    def peak_flops_per_second(self) -> float:
        return self.units * self.clock_hertz * self.flops_per_cycle


class MeasuredSpeed(Contract):
    """A speed that somebody measured on this type; it takes the place of the rule's."""

    training_flops_per_second: FlopsPerSecond
    uncertainty: float = Field(gt=0)
    evidence: str = Field(min_length=1)


class DeviceType(Contract):
    """An entry of data/devices: published facts, and what follows from them by rule."""

    name: str = Field(min_length=1)
    kind: Kind
    title: str = Field(min_length=1)
    """A product of this type, which the figures are of."""
    year: int
    """When it came out."""
    ram_bytes: Bytes
    """A GPU's own memory; shared with the CPU on a Jetson and on Apple's chips."""
    memory_bytes_per_second: BytesPerSecond
    """Peak bandwidth of that memory."""
    processors: tuple[Processor, ...] = Field(min_length=1)
    """What trains."""
    cores: PositiveInt | None = None
    """CPU cores, where they are not the processors' units."""
    rule: str
    """The name of its speed rule."""
    measured: MeasuredSpeed | None = None
    power_watts: Watts
    """Under load, rounded: a GPU's board power, else the machine's without a screen of its own."""
    price: Price
    links: tuple[str, ...] = Field(min_length=1)
    """Typical links, the likeliest one first."""
    note: str | None = None
    """What else is to be known, such as what keeps flexp from running there."""
    sources: tuple[str, ...] = Field(min_length=1)

    @property
    def speed_rule(self) -> SpeedRule:
        return speed_rules()[self.rule]

    @property
    def peak_flops_per_second(self) -> float:
        """FP32, of all processors together: Σ units · clock · FLOPs a cycle."""
        return sum(processor.peak_flops_per_second for processor in self.processors)

    @property
    def rule_flops_per_second(self) -> float:
        """What the rule alone gives: share of the peak.

        Example: 4 cores at 2.4 GHz with 16 FLOPs a cycle peak at 153.6 GFLOP/s; 30% of it are
        46.08 GFLOP/s.
        """
        return self.speed_rule.training_share * self.peak_flops_per_second

    @property
    def training_flops_per_second(self) -> float:
        """The measured speed, else the rule's."""
        if self.measured is not None:
            return self.measured.training_flops_per_second
        return self.rule_flops_per_second

    @property
    def uncertainty(self) -> float:
        return (self.measured or self.speed_rule).uncertainty

    @property
    def accelerator(self) -> str | None:
        """The GPU that trains, if one does."""
        return self.processors[0].name if self.rule == "gpu" else None

    @property
    def usable_memory_bytes(self) -> int:
        """Half where people run other programs; 90% of a server or GPU; on a board that does
        nothing else all but 1 GiB, or 3/4 where that is more.

        Example: of 8 GiB, a laptop gives 4, a board 7.
        """
        if self.kind in ("server", "gpu"):
            return self.ram_bytes * 9 // 10
        if self.kind in ("board", "jetson"):
            return max(self.ram_bytes - _GIB, self.ram_bytes * 3 // 4)
        return self.ram_bytes // 2

    @property
    def runtime_bytes(self) -> int:
        """400 MiB, measured on Linux x86-64 (370 MiB) and rounded up; 600 MiB with a GPU's context
        and libraries, assumed."""
        return (600 if self.accelerator else 400) * _MIB

    @property
    def derivation(self) -> str:
        """How the speed comes about, in words and figures."""
        parts = " + ".join(
            f"{processor.units} × {format_hertz(processor.clock_hertz)} × "
            f"{processor.flops_per_cycle} FLOPs a cycle ({processor.name})"
            for processor in self.processors
        )
        rule = (
            f"{parts} = {format_flops(self.peak_flops_per_second)}/s FP32 peak; "
            f"{self.speed_rule.training_share:.3g} of it (rule {self.rule}) is "
            f"{format_flops(self.rule_flops_per_second)}/s"
        )
        if self.measured is None:
            return rule
        return f"{self.measured.evidence} The rule alone, not used: {rule}"

    def device(self) -> Device:
        """As a fleet takes it."""
        units = sum(processor.units for processor in self.processors)
        return Device(
            name=self.name,
            ram_bytes=self.ram_bytes,
            usable_memory_bytes=self.usable_memory_bytes,
            runtime_bytes=self.runtime_bytes,
            training_flops_per_second=self.training_flops_per_second,
            cores=self.cores or (None if self.accelerator else units),
            accelerator=self.accelerator,
            watts=self.power_watts,
            source=f"{self.title}: {self.derivation}; {format_uncertainty(self.uncertainty)}. "
            f"{' '.join(self.sources)}",
        )


def format_uncertainty(uncertainty: float) -> str:
    """0.3 -> "±30%"; 18 -> "within a factor of 19"."""
    if uncertainty < 1:
        return f"±{uncertainty:.0%}"
    return f"within a factor of {1 + uncertainty:g}"
