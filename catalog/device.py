"""A device and its link: what the planner knows of a machine. Both are written by hand, taken
from the catalogue, or measured by `flexp probe`."""

from __future__ import annotations

from pydantic import Field, PositiveInt, model_validator

from .files import Contract
from .units import BitsPerSecond, Bytes, FlopsPerSecond, Seconds, Watts, format_bytes


class Device(Contract):
    """One machine that trains."""

    name: str = Field(min_length=1)
    """A device type ("laptop-2019") or, when measured, the machine's own name."""
    ram_bytes: Bytes
    """Physical memory, or the container's limit where that is lower."""
    usable_memory_bytes: Bytes
    """Peak resident memory that a training process may take on it."""
    runtime_bytes: Bytes
    """Resident memory of a training process without its model: interpreter, torch, transformers."""
    training_flops_per_second: FlopsPerSecond
    """Sustained speed of forward and backward over real blocks, 2 FLOPs per multiply-add."""
    cores: PositiveInt | None = None
    """CPU cores that the process may use."""
    accelerator: str | None = None
    watts: Watts | None = None
    """Power while training; none: unknown."""
    source: str = Field(min_length=1)
    """Where the figures come from: a measurement and its date, or a reference."""

    @model_validator(mode="after")
    def _memory_nests(self) -> Device:
        if not self.runtime_bytes < self.usable_memory_bytes <= self.ram_bytes:
            raise ValueError(
                "needs runtime_bytes < usable_memory_bytes <= ram_bytes, got "
                f"{format_bytes(self.runtime_bytes)}, {format_bytes(self.usable_memory_bytes)}, "
                f"{format_bytes(self.ram_bytes)}"
            )
        return self


class Link(Contract):
    """A device's way to the server."""

    name: str = Field(min_length=1)
    up_bits_per_second: BitsPerSecond
    down_bits_per_second: BitsPerSecond
    rtt_seconds: Seconds
    """Round-trip time of a small message."""
    data_budget_bytes: Bytes | None = None
    """Bytes up and down together that one training run may use (a metered link); none: no limit."""
    source: str = Field(min_length=1)
