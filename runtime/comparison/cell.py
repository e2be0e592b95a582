"""A cell of a comparison: one algorithm with one seed, and what came of it. Both are files."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from ...catalog.device import Device, Link
from ...catalog.files import Contract, content_hash
from ...planner.fleet import ResolvedServer
from ...profiler.costs import Codec
from ...profiler.placement import HeadOn
from ...profiler.profile import Profile
from ..algorithms.algorithm import Options
from ..algorithms.registry import label_of
from ..evaluate import GLOBAL_ROWS_PER_CLIENT
from ..scenario import Scenario

HASH_LENGTH = 12


class Member(Contract):
    """A client: its device and link, and what the plan gives it."""

    device: Device
    link: Link
    depth: PositiveInt
    top: NonNegativeInt = 0
    head: HeadOn = "device"
    checkpointing: bool = False
    codec: Codec


class DataOrder(Contract):
    """Which rows, and who gets them."""

    name: str
    """A data set of the catalogue, or a file."""
    hash: str
    columns: dict[str, str] = Field(default_factory=dict)
    partition: str | None = None
    train_samples: PositiveInt | None = None
    test_samples: PositiveInt | None = None
    held_out_share: float | None = Field(default=None, gt=0, lt=1)
    """Of each client's training rows: train on the others and measure on these; the test rows are
    not looked at."""


class Cell(Contract):
    """All that determines a result."""

    schema_version: Literal[1] = 1
    algorithm: str
    options: Options
    seed: NonNegativeInt
    """Of the partition, the order of rows and the adapters."""
    data: DataOrder
    profile: Profile
    members: dict[str, Member]
    server: ResolvedServer
    steps: PositiveInt
    """Of each client."""
    evaluate_every: PositiveInt
    """Steps of a client between two measurements of its personal accuracy."""
    global_rows: PositiveInt = GLOBAL_ROWS_PER_CLIENT
    """Test rows of each client in everyone's test set."""
    scenario: Scenario = Scenario()
    bfloat16: bool = False
    """Matrix products in bfloat16."""
    model: str
    """Where the weights are."""

    @property
    def key(self) -> str:
        """A short name that no other configuration has."""
        return content_hash(self)[:HASH_LENGTH]

    @property
    def label(self) -> str:
        """The algorithm as people write it."""
        return label_of(self.algorithm, self.options)

    @property
    def file_name(self) -> str:
        return f"{self.label.replace('/', '-')}-seed{self.seed}-{self.key}.json"


class ClientResult(Contract):
    personal: NonNegativeFloat
    """Accuracy on the client's own test rows."""
    overall: NonNegativeFloat
    """On everyone's."""
    steps: NonNegativeInt
    up_bytes: NonNegativeInt
    down_bytes: NonNegativeInt
    device_flops: NonNegativeInt
    peak_memory_bytes: NonNegativeInt
    """As planned."""
    fits: bool
    """Whether the device has so much memory for it."""
    seconds: NonNegativeFloat
    """On the fleet's clock, when the client was done or left."""
    left: bool = False


class Measured(Contract):
    """A point of the course of training."""

    client: str
    step: NonNegativeInt
    """Steps that the client had done."""
    seconds: NonNegativeFloat
    accuracy: NonNegativeFloat
    """Personal."""


class CellResult(Contract):
    schema_version: Literal[1] = 1
    key: str
    label: str
    algorithm: str
    seed: NonNegativeInt
    clients: dict[str, ClientResult]
    curve: tuple[Measured, ...]
    """In order of time; it begins before the first step."""
    rounds: NonNegativeInt
    """Averages that were taken."""
    last_loss: float | None
    """Mean over the last tenth of all steps."""
    wall_seconds: NonNegativeFloat
    """Of this machine."""

    @property
    def personal(self) -> float:
        return _mean([client.personal for client in self.clients.values()])

    @property
    def worst(self) -> float:
        return min(client.personal for client in self.clients.values())

    @property
    def overall(self) -> float:
        return _mean([client.overall for client in self.clients.values()])

    def seconds_to(self, target: float) -> float | None:
        """When the mean over the clients of their last measured personal accuracy first reached
        `target`; None where it never did."""
        latest: dict[str, float] = {}
        for point in self.curve:
            latest[point.client] = point.accuracy
            if len(latest) == len(self.clients) and _mean(list(latest.values())) >= target:
                return point.seconds
        return None


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
