"""What a probe of a machine found. Torch is not needed to read one."""

from __future__ import annotations

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from ..catalog.device import Device
from ..catalog.files import Contract
from ..catalog.units import format_bytes
from ..errors import FlexpError
from .disk_speed import DiskReport
from .power import PowerReport
from .profile import ProfileSettings

CPU = "cpu"
BUSY_SHARE = 0.5
"""A load above this share of the cores makes a machine busy."""
SHORT_SHARE = 0.1
"""And so do other programs that take this share of what the timed threads need."""


class BlockTiming(Contract):
    """Training steps of one kind of block: forward and backward of one batch."""

    block: NonNegativeInt
    """The block that was timed, in the model's order."""
    alike: PositiveInt
    """Blocks of the model that do the same work."""
    length: PositiveInt
    """Tokens a sample."""
    batch: PositiveInt
    """Samples a step: fewer than the settings say where those would have taken too long."""
    on: str = CPU
    """The type of processor that did it: "cpu", or the accelerator's ("cuda", "mps", "xpu")."""
    step_flops: PositiveInt
    steps: PositiveInt
    """Timed steps, after some that were not."""
    min_seconds: PositiveFloat
    median_seconds: PositiveFloat


class Accelerator(Contract):
    """What torch.accelerator found. None: torch does not report it for this kind."""

    type: str
    name: str | None
    memory_bytes: PositiveInt | None
    free_memory_bytes: NonNegativeInt | None


class ProbeReport(Contract):
    """Measured figures. What could not be measured is None; `notes` says why, and what to doubt."""

    machine: str
    date: str
    model: str
    settings: ProfileSettings
    """Of the first length that was timed, which the device's speed is that of."""
    cores: PositiveFloat
    """CPU cores that this process may keep busy; a container's quota may be a fraction."""
    threads: PositiveInt
    ram_bytes: PositiveInt
    usable_memory_bytes: NonNegativeInt
    memory_limit: str
    """What sets usable_memory_bytes."""
    load_average: NonNegativeFloat | None
    """Processes that wanted a core in the minute before: near 0 on a quiet machine."""
    machine_cores: PositiveInt
    """Logical cores of the machine, those included that this process may not use."""
    other_cores: NonNegativeFloat | None
    """Cores that other programs kept busy while the blocks were timed on the CPU."""
    power: PowerReport
    accelerator: Accelerator | None
    """None: torch sees none."""
    timings: tuple[BlockTiming, ...]
    """Length by length, on the CPU first."""
    runtime_bytes: PositiveInt | None
    disk: DiskReport
    notes: tuple[str, ...] = ()

    @property
    def training_flops_per_second(self) -> float | None:
        """The CPU's, at the settings' length."""
        return self.speed(self.settings.length)

    def speed(self, length: int, on: str = CPU) -> float | None:
        """FLOPs per second: those of a step of all blocks over its median time."""
        timings = [t for t in self.timings if (t.length, t.on) == (length, on)]
        flops = sum(timing.step_flops * timing.alike for timing in timings)
        seconds = sum(timing.median_seconds * timing.alike for timing in timings)
        return flops / seconds if timings else None

    @property
    def busy(self) -> str | None:
        """How busy the machine was with other work, where that was enough to slow the timing."""
        if self.load_average is not None and self.load_average > BUSY_SHARE * self.cores:
            return f"load {self.load_average:.1f} on {self.cores:g} cores"
        if self.other_cores is not None:
            short = self.threads + self.other_cores - self.machine_cores
            if short > SHORT_SHARE * self.threads:
                return f"other programs kept {self.other_cores:.1f} cores busy"
        return None

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
        return Device(
            name=self.machine,
            ram_bytes=self.ram_bytes,
            usable_memory_bytes=self.usable_memory_bytes,
            runtime_bytes=self.runtime_bytes,
            training_flops_per_second=speed,
            cores=self.threads,
            accelerator=_shown(self.accelerator) if self.accelerator else None,
            source=self._source(),
        )

    def _source(self) -> str:
        settings = self.settings
        batch = next(t.batch for t in self.timings if (t.length, t.on) == (settings.length, CPU))
        source = (
            f"measured by flexp probe on {self.date}: blocks of {self.model}, {settings.method}, "
            f"{settings.dtype}, batch {batch} x {settings.length}, {self.threads} CPU threads"
        )
        if self.busy:
            source += f"; the machine was busy ({self.busy}): too slow, to be measured again"
        return source + (f"; {self.power.note}" if self.power.note else "")


def _shown(accelerator: Accelerator) -> str:
    return f"{accelerator.type}: {accelerator.name}" if accelerator.name else accelerator.type
