"""What the server keeps for one client, and what it remembers so that nothing is done twice.

A step is named by (client, step). A network may deliver any message again, late, or in another
order: what was answered before is answered from memory, what is over is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..catalog.models.lora import Adapter
from ..errors import RunError
from .grouping import Flight
from .message import Kind, Message
from .optim import adamw
from .server_head import ServerHead

Replies = dict[Kind, bytes]
"""The answer to each kind of message of one step."""


@dataclass
class Step:
    """The step that a client is in."""

    number: int
    flight: Flight
    replies: Replies = field(default_factory=dict)


class Seat:
    """What the server keeps for one client."""

    def __init__(
        self,
        span: range,
        codec: str,
        personal: Adapter,
        learning_rate: float,
        head: ServerHead | None,
    ) -> None:
        self.span = span
        """The blocks that the server runs for the client."""
        self.codec = codec
        self.head = head
        """None where the client has its head."""
        self.personal = personal
        self.rate = learning_rate
        self.optimizer = (
            adamw(personal.parameters(), learning_rate, together=True) if personal.pairs else None
        )
        self.step: Step | None = None
        self.applied = -1
        """The last step whose gradient was applied."""
        self.replies: Replies = {}
        """The answers to that step."""

    def remembered(self, message: Message) -> bytes | None:
        """The answer to a message of training that was answered before; None for a new one.

        Raises RunError for a step that is over and for a gradient without its forward pass.
        """
        asked, kind, step = message.step, message.kind, self.step
        if asked == self.applied and kind in self.replies:
            return self.replies[kind]
        if step is not None and asked == step.number and kind in step.replies:
            return step.replies[kind]
        latest = step.number if step is not None else self.applied
        if asked < latest or asked == self.applied:
            raise refusal(message, f"this step is over; the last was {latest}")
        if kind is Kind.BACKWARD and (step is None or step.number != asked):
            raise refusal(message, "a gradient came that has no forward pass")
        return None

    def begin(self, step: Step) -> None:
        """The step before is left, if its gradient never came."""
        self.leave()
        self.step = step

    def finish(self, message: Message, reply: bytes) -> None:
        """`message` was the last of its step, which is applied."""
        under_way = self.step.replies if self.step is not None else {}
        self.replies = {**under_way, message.kind: reply}
        self.leave()
        self.applied = message.step

    def leave(self) -> None:
        if self.step is not None:
            self.step.flight.leave()
        self.step = None

    def memory(self) -> dict[str, Tensor]:
        """The answers to the last step that was applied, for a checkpoint."""
        return {
            kind.value: torch.frombuffer(bytearray(reply), dtype=torch.uint8)
            for kind, reply in self.replies.items()
        }

    def remember(self, applied: int, memory: Mapping[str, Tensor]) -> None:
        """Be as when `applied` was the last step. A step under way then must be sent again."""
        self.leave()
        self.applied = applied
        self.replies = {Kind(kind): t.numpy().tobytes() for kind, t in memory.items()}


def refusal(message: Message, what: str, hint: str = "") -> RunError:
    """An error that names the client and the step."""
    return RunError(f"client {message.client!r}, step {message.step}: {what}", hint)
