"""What a run folder holds, as contracts.

plan.yaml               the plan that was run
run.json                what else determines the run: data, seed, rates
metrics.jsonl           one line per step
checkpoint/             the last two states, until the run is complete (checkpoint.py)
summary.json            accuracies, traffic, predicted beside measured
clients/NAME/           a PEFT adapter or, where all weights train, a checkpoint; head.safetensors
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from ..catalog.files import Contract
from ..profiler.profile import Method, Task
from .evaluate import Accuracy
from .state import Move
from .statistics import DataStatistics

LEARNING_RATES: dict[Method, float] = {"lora": 3e-3, "full": 1e-4, "head": 3e-3}
"""By what trains; where only heads do, nothing has this rate."""
OnBadNumbers = Literal["stop-client", "skip-step", "stop-run"]


class TrainSettings(Contract):
    """All that determines a run beside its plan. A resumed run must have the same, but for
    `on_bad_numbers`."""

    schema_version: Literal[1] = 1
    plan_hash: str
    data: str
    """A catalogue data set, or a file."""
    data_hash: str
    model: str
    """Where the weights came from: a catalogue name, a folder or a hub id."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Field (text, label, client, split) to the column of the file that has another name."""
    partition: str | None = None
    """iid, dirichlet:ALPHA or by:COLUMN; none: by the client column, else dirichlet:0.3."""
    train_samples: PositiveInt | None = None
    """Training rows of a client; none: all there are."""
    test_samples: PositiveInt | None = None
    """Test rows of a client; none: all there are, at most 100."""
    steps: PositiveInt
    """Rounds: steps of a client at the profile's batch. Smaller batches take more."""
    seed: NonNegativeInt = 0
    together: PositiveInt = 1
    """Clients that take a step at the same time; their messages are served as one batch."""
    learning_rate: PositiveFloat = 3e-3
    """Of the adapters, or of all weights but the head's."""
    head_rate: PositiveFloat = 3e-3
    alignment: str = "none"
    """λ by block: none, constant:X, linear:X or a list."""
    label_prior: bool = False
    """Logits are adjusted by each client's own label frequencies (label_prior.py)."""
    checkpoint_every: PositiveInt = 40
    """Steps of all clients together between two checkpoints."""
    evaluate_every: PositiveInt | None = None
    """Steps of a client between two measurements of its accuracy on its own test rows; none: only
    before and after training."""
    on_bad_numbers: OnBadNumbers = "stop-client"
    """What becomes of a client whose step can't be taken (errors.StepError)."""


class StepRecord(Contract):
    """A line of metrics.jsonl."""

    step: NonNegativeInt
    """Counted over all clients."""
    client: str
    client_step: NonNegativeInt
    loss: float | None
    """Before the step; none where the step could not be taken."""
    problem: str | None = None
    """Why it could not."""
    accuracy: NonNegativeFloat | None = None
    """On the client's own test rows after this step, where it was measured."""
    fleet_seconds: NonNegativeFloat
    """On the planned fleet's clock, queueing left out."""
    waiting_seconds: NonNegativeFloat
    """On this machine's clock: how long the client waited for the server's answers."""
    step_seconds: NonNegativeFloat | None = None
    """On this machine's clock: the whole step, waiting included."""
    up_bytes: NonNegativeInt
    """Of this step."""
    down_bytes: NonNegativeInt


class Promise(Contract):
    """A planned figure beside the measured one."""

    predicted: float
    measured: float


class ClientSummary(Contract):
    depth: PositiveInt
    data: DataStatistics
    before: Accuracy
    after: Accuracy
    steps_planned: PositiveInt
    steps: NonNegativeInt
    """That were taken."""
    skipped_steps: NonNegativeInt = 0
    """That could not be taken: bad numbers."""
    stopped: str | None = None
    """Why the client took no more steps, if it did not take all."""
    first_loss: float | None
    last_loss: float | None
    """Means over the first and the last tenth of the steps taken; none without a step."""
    waiting_seconds: NonNegativeFloat
    """For the server's answers, over all steps."""
    step_seconds: NonNegativeFloat | None = None
    """Of all steps on the clock of the machine that ran them, waiting included."""
    up_bytes: NonNegativeInt
    down_bytes: NonNegativeInt
    up_bytes_per_step: Promise
    down_bytes_per_step: Promise


class Summary(Contract):
    schema_version: Literal[1] = 1
    plan_hash: str
    model: str
    task: Task = "classification"
    data: str
    classes: tuple[str, ...]
    seed: NonNegativeInt
    steps: PositiveInt
    """Rounds."""
    wall_seconds: NonNegativeFloat
    """Of this machine, over all sittings of a resumed run, evaluation included."""
    peak_memory_bytes: PositiveInt
    """Of this process, which holds the server and every client."""
    fleet_seconds: NonNegativeFloat
    """On the planned fleet's clock, when the slowest client is done."""
    clients: dict[str, ClientSummary] = Field(min_length=1)
    moves: tuple[Move, ...] = ()
    """Clients whose depth changed in the middle of the run."""
    notes: tuple[str, ...] = ()

    def mean(self, when: Literal["before", "after"], what: Literal["personal", "overall"]) -> float:
        values = [getattr(getattr(c, when), what) for c in self.clients.values()]
        return sum(values) / len(values)
