"""The server: one frozen backbone, a trunk of adapters that clients share, adapters of their own.

Block l of the server computes with the effective adapter φ_l + δ_{i,l}: the shared trunk φ, the
personal δ of client i. `shared` has only φ, `personal` only δ, `aligned` both.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..catalog.models.lora import (
    Adapter,
    LoraLinear,
    LoraPair,
    activate,
    lora_linears,
    new_adapter,
)
from ..errors import RunError
from ..planner.fleet import ServerSide
from .alignment import prox
from .message import Kind, Message, decode, encode
from .middle import Middle
from .optim import adamw, apply, learning_rate_factor
from .server_head import ServerHead


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    server_side: ServerSide
    codec: str
    steps: int
    """Steps that each client will run: the learning rate follows a client's own progress."""
    learning_rate: float
    lambdas: tuple[float, ...]
    """λ per block: how strongly δ is held at zero, hence to the trunk."""
    rank: int
    seed: int
    personal_rate_factor: float = 0.3
    """Learning rate of δ beside the trunk's, where both are trained."""


@dataclass
class _Flight:
    """A forward pass that waits for its gradient."""

    step: int
    entry_BTH: Tensor
    output_BTH: Tensor


class Seat:
    """What the server keeps for one client."""

    def __init__(
        self, span: range, personal: Adapter, learning_rate: float, head: ServerHead | None
    ) -> None:
        self.span = span
        """The blocks that the server runs for the client."""
        self.head = head
        """None where the client has its head."""
        self.personal = personal
        self.rate = learning_rate
        self.optimizer = adamw(personal.parameters(), learning_rate) if personal.pairs else None
        self.flight: _Flight | None = None
        self.applied = -1
        """The last step whose gradient was applied."""
        self.reply = b""
        """The answer to it, sent again if the client asks again."""


class Server:
    """Serves whatever message arrives; waits for nobody."""

    def __init__(self, backbone: nn.Module, settings: ServerSettings) -> None:
        self.settings = settings
        self.middle = Middle(backbone.requires_grad_(False))
        self.linears = lora_linears(self.middle.blocks, range(len(self.middle.blocks)))
        trained = settings.server_side != "personal"
        self.trunk = self._new_adapter(self.linears if trained else {})
        self.optimizer = adamw(self.trunk.parameters(), settings.learning_rate) if trained else None
        self.seats: dict[str, Seat] = {}

    def admit(self, client: str, depth: int, top: int = 0, head: ServerHead | None = None) -> None:
        """Take a client that keeps blocks [0, depth) and the last `top`, and that leaves its head
        here where one is given. It may come at any time."""
        span = range(depth, len(self.middle.blocks) - top)
        own = {
            path: linear
            for path, linear in self.linears.items()
            if int(path.partition(".")[0]) in span
        }
        side, rate = self.settings.server_side, self.settings.learning_rate
        personal = self._new_adapter(own if side != "shared" else {})
        if side == "aligned":
            rate *= self.settings.personal_rate_factor
        self.seats[client] = Seat(span, personal, rate, head)

    def _new_adapter(self, linears: dict[str, LoraLinear]) -> Adapter:
        return new_adapter(linears, self.settings.rank).seed(self.settings.seed)

    def handle(self, data: bytes) -> bytes:
        """One request, one reply. A gradient is applied once, however often it is sent."""
        message = decode(data)
        seat = self.seats.get(message.client)
        if seat is None:
            raise RunError(f"the server does not know client {message.client!r}")
        if message.kind is Kind.BACKWARD:
            return self._backward(seat, message)
        if message.kind is Kind.LABELS:
            return self._labels(seat, message)
        if message.kind in (Kind.FORWARD, Kind.PREDICT):
            return self._forward(seat, message)
        raise RunError(f"the server does not answer a message of kind {message.kind.value!r}")

    def effective(self, client: str) -> dict[str, list[LoraPair]]:
        """The pairs whose sum is the client's adapter, for each layer of its server blocks."""
        seat = self.seats[client]
        return {
            path: [a.pairs[path] for a in (self.trunk, seat.personal) if path in a.pairs]
            for path in self.linears
            if int(path.partition(".")[0]) in seat.span
        }

    def _forward(self, seat: Seat, message: Message) -> bytes:
        training = message.kind is Kind.FORWARD
        flight = self._run(seat, message, training)
        if training:
            seat.flight = flight
        elif seat.head is not None:
            logits = seat.head.predict(flight.output_BTH, message.masks, message.shapes)
            return self._reply(message, Kind.LOGITS, logits)
        return self._reply(message, Kind.ACTIVATION, flight.output_BTH)

    def _run(self, seat: Seat, message: Message, training: bool) -> _Flight:
        """The client's blocks, with what a backward pass needs where it is `training`."""
        activate(self.linears, self.trunk, seat.personal)
        calls = self.middle.recipe(message.masks, message.shapes)
        entry = message.hidden.requires_grad_(training)
        with torch.set_grad_enabled(training):
            output = self.middle.run(entry, seat.span, calls)
        return _Flight(message.step, entry, output)

    def _labels(self, seat: Seat, message: Message) -> bytes:
        """A whole step of a client whose head is here."""
        if message.step == seat.applied:
            return seat.reply
        if seat.head is None or message.labels is None:
            raise RunError(
                f"client {message.client!r}, step {message.step}: a step with labels needs them, "
                "and a head on the server"
            )
        flight = self._run(seat, message, training=True)
        loss, gradient = seat.head.train_step(
            flight.output_BTH, message.masks, message.shapes, message.labels, message.step
        )
        return self._update(seat, message, flight, gradient, loss)

    def _backward(self, seat: Seat, message: Message) -> bytes:
        if message.step == seat.applied:
            return seat.reply
        flight = seat.flight
        if flight is None or flight.step != message.step:
            raise RunError(
                f"client {message.client!r} sent a gradient for step {message.step}, "
                "which has no forward pass"
            )
        if not bool(torch.isfinite(message.hidden).all()):
            raise RunError(
                f"client {message.client!r}, step {message.step}: the gradient is not finite",
                "lower the learning rate",
            )
        return self._update(seat, message, flight, message.hidden)

    def _update(
        self,
        seat: Seat,
        message: Message,
        flight: _Flight,
        gradient_BTH: Tensor,
        loss: float | None = None,
    ) -> bytes:
        """Backward through the client's blocks, and one step of what trains in them."""
        torch.autograd.backward(flight.output_BTH, gradient_BTH)
        with torch.enable_grad():  # embedded, this runs inside the client's own backward pass
            penalty = prox(seat.personal, self.settings.lambdas, seat.span.start)
        if penalty is not None:
            penalty.backward()
        factor = learning_rate_factor(message.step, self.settings.steps)
        if self.optimizer is not None:
            apply(self.optimizer, [self.settings.learning_rate], factor)
        if seat.optimizer is not None:
            apply(seat.optimizer, [seat.rate], factor)
        entry_gradient = flight.entry_BTH.grad
        assert entry_gradient is not None
        seat.flight, seat.applied = None, message.step
        seat.reply = self._reply(message, Kind.GRADIENT, entry_gradient, loss)
        return seat.reply

    def _reply(
        self, request: Message, kind: Kind, hidden: Tensor, loss: float | None = None
    ) -> bytes:
        reply = Message(
            kind=kind, client=request.client, step=request.step, hidden=hidden, loss=loss
        )
        return encode(reply, self.settings.codec)
