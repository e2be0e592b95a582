"""What the server keeps for one client, and what it remembers so that nothing is done twice.

A message is named by (client, step, part). A network may deliver any message again, late, or in
another order: what was answered before is answered from memory, what is over is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..errors import StepError
from .batching import Weights
from .grouping import Flight
from .message import Kind, Message
from .server_head import ServerHead
from .versions import Owned, optimizer_of

Replies = dict[tuple[Kind, int], bytes]
"""The answers of one step, by the message's kind and part."""


@dataclass
class Step:
    """The step that a client is in: one batch, in one or more parts."""

    number: int
    parts: int
    adapters: tuple[Weights, ...]
    """As the step found them: all its parts compute with these."""
    flights: dict[int, Flight] = field(default_factory=dict)
    """By part."""
    gradients: dict[int, tuple[Weights, ...]] = field(default_factory=dict)
    """Of the adapters, by part."""
    head_gradients: dict[int, list[Tensor]] = field(default_factory=dict)
    """Of a head on the server, by part."""
    replies: Replies = field(default_factory=dict)

    def total(self) -> tuple[Weights, ...]:
        """The batch's gradient: the parts are added in their own order, not that of arrival."""
        (_, total), *rest = sorted(self.gradients.items())
        for _, part in rest:
            total = tuple(
                {
                    path: tuple(one + other for one, other in zip(mine, more[path], strict=True))
                    for path, mine in own.items()
                }
                for own, more in zip(total, part, strict=True)
            )
        return total

    def head_parts(self) -> list[list[Tensor]]:
        """The parts' gradients of the head, in their own order."""
        return [own for _, own in sorted(self.head_gradients.items())]


class Seat:
    """What the server keeps for one client."""

    def __init__(
        self,
        span: range,
        codec: str,
        personal: Owned,
        learning_rate: float,
        head: ServerHead | None,
        steps: int,
        optimizer: str = "adamw",
    ) -> None:
        self.span = span
        """The blocks that the server runs for the client."""
        self.steps = steps
        """That the client will run."""
        self.codec = codec
        self.head = head
        """None where the client has its head."""
        self._optimizer_name = optimizer
        self.adopt(personal, learning_rate)
        self.step: Step | None = None
        self.applied = -1
        """The last step whose gradient was applied."""
        self.replies: Replies = {}
        """The answers to that step."""

    def adopt(self, personal: Owned, learning_rate: float, *, alone: bool = False) -> None:
        """Take `personal` as the client's own, with an optimizer that has seen nothing yet. `alone`
        where it is of another form than other clients', which can't go through blocks with it."""
        self.personal, self.rate, self.alone = personal, learning_rate, alone
        self.optimizer = optimizer_of(personal, self._optimizer_name, learning_rate, flat=True)

    def remembered(self, message: Message) -> bytes | None:
        """The answer to a message of training that was answered before; None for a new one.

        Raises StepError for a step that is over and for a gradient without its forward pass.
        """
        key, step = (message.kind, message.part), self.step
        if message.step == self.applied and key in self.replies:
            return self.replies[key]
        latest = step.number if step is not None else self.applied
        if message.step < latest or message.step == self.applied:
            raise refusal(message, f"this step is over; the last was {latest}")
        under_way = self.under_way(message)
        if under_way is not None and under_way.parts != message.parts:
            raise refusal(message, f"{message.parts} parts; it began with {under_way.parts}")
        if under_way is not None and key in under_way.replies:
            return under_way.replies[key]
        flights = under_way.flights if under_way is not None else {}
        if message.kind is Kind.BACKWARD and message.part not in flights:
            raise refusal(message, "a gradient came that has no forward pass")
        return None

    def under_way(self, message: Message) -> Step | None:
        """The step of `message`, if it has begun and is not over."""
        return self.step if self.step is not None and self.step.number == message.step else None

    def enter(self, message: Message, adapters: tuple[Weights, ...]) -> Step:
        """The step of `message`; a new one ends the one before, whose gradient never came."""
        step = self.under_way(message)
        if step is None:
            self.leave()
            self.step = step = Step(message.step, message.parts, adapters)
        return step

    def leave(self) -> None:
        """Give the step up: nothing of it will be applied."""
        for flight in self.step.flights.values() if self.step is not None else ():
            flight.leave()
        self.step = None

    def finish(self, step: Step) -> None:
        """The step was applied."""
        self.applied, self.replies, self.step = step.number, step.replies, None

    def memory(self) -> dict[str, Tensor]:
        """The answers to the last step that was applied, for a checkpoint."""
        return {
            f"{kind.value}.{part}": torch.frombuffer(bytearray(reply), dtype=torch.uint8)
            for (kind, part), reply in self.replies.items()
        }

    def recall(self, memory: Mapping[str, Tensor]) -> None:
        """Have the answers of `memory`. A step that was under way then must be sent again."""
        self.leave()
        self.replies = {}
        for name, reply in memory.items():
            kind, _, part = name.partition(".")
            self.replies[Kind(kind), int(part)] = reply.numpy().tobytes()


def refusal(message: Message, what: str, hint: str = "") -> StepError:
    return StepError(message.client, message.step, what, hint)
