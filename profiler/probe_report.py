"""What a probe of a machine found. Torch is not needed to read one."""

from __future__ import annotations

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from ..catalog.device import Device
from ..catalog.files import Contract
from ..catalog.units import format_bytes
from ..errors import FlexpError
from .profile import ProfileSettings


class BlockTiming(Contract):
    """Training steps of one kind of block: forward and backward of one batch."""

    block: NonNegativeInt
    """The block that was timed, in the model's order."""
    alike: PositiveInt
    """Blocks of the model that do the same work."""
    batch: PositiveInt
    """Samples a step: fewer than the settings say where those would have taken too long."""
    step_flops: PositiveInt
    steps: PositiveInt
    """Timed steps, after some that were not."""
    min_seconds: PositiveFloat
    median_seconds: PositiveFloat


class ProbeReport(Contract):
    """Measured figures. What could not be measured is None; `notes` says why, and what to doubt."""

    machine: str
    date: str
    model: str
    settings: ProfileSettings
    cores: PositiveFloat
    """CPU cores that this process may keep busy; a container's quota may be a fraction."""
    threads: PositiveInt
    ram_bytes: PositiveInt
    usable_memory_bytes: NonNegativeInt
    memory_limit: str
    """What sets usable_memory_bytes."""
    load_average: NonNegativeFloat | None
    """Processes that wanted a core in the minute before: near 0 on a quiet machine."""
    accelerator: str | None
    timings: tuple[BlockTiming, ...]
    runtime_bytes: PositiveInt | None
    notes: tuple[str, ...] = ()

    @property
    def training_flops_per_second(self) -> float | None:
        """FLOPs of a step of all blocks over its median time."""
        seconds = sum(timing.median_seconds * timing.alike for timing in self.timings)
        flops = sum(timing.step_flops * timing.alike for timing in self.timings)
        return flops / seconds if self.timings else None

    def device(self) -> Device:
        """As a fleet takes it. Raises FlexpError if a figure is missing or the memory too small."""
        speed = self.training_flops_per_second
        if speed is None or self.runtime_bytes is None:
            raise FlexpError(
                f"{self.machine} could not be measured: {'; '.join(self.notes)}",
                "probe with a smaller model, or choose a device type of the catalogue",
            )
        if self.usable_memory_bytes <= self.runtime_bytes:
            raise FlexpError(
                f"{self.machine} has {format_bytes(self.usable_memory_bytes)} to use "
                f"({self.memory_limit}); a training process without its model takes "
                f"{format_bytes(self.runtime_bytes)}",
                "close other programs, or raise the container's memory limit",
            )
        settings = self.settings
        return Device(
            name=self.machine,
            ram_bytes=self.ram_bytes,
            usable_memory_bytes=self.usable_memory_bytes,
            runtime_bytes=self.runtime_bytes,
            training_flops_per_second=speed,
            cores=self.threads,
            source=f"measured by flexp probe on {self.date}: blocks of {self.model}, "
            f"{settings.method}, {settings.dtype}, batch {self.timings[0].batch} x "
            f"{settings.length}, "
            f"{self.threads} threads",
        )
