"""The server: one frozen backbone, a trunk of adapters that clients share, adapters of their own.

Block l of the server computes with the effective adapter φ_l + δ_{i,l}: the shared trunk φ, the
personal δ of client i. `shared` has only φ, `personal` only δ, `aligned` both.

Messages that arrived together are served together (`handle_all`): gradients first, each applied as
a step of its own in order of arrival, then activations, which meet the trunk that results. A step
computes with the trunk as it was when the step began, so that serving together changes nothing but
the rounding of matrix products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

import torch
from torch import nn

from ..catalog.models.lora import Adapter, LoraLinear, LoraPair, lora_linears, new_adapter
from ..errors import FlexpError, RunError
from ..planner.fleet import ServerSide
from .alignment import prox
from .batching import Crossing
from .bounds import ANYTHING, Bounds
from .grouping import Backbone
from .message import Kind, Message, decode
from .middle import Middle
from .optim import adamw, apply, learning_rate_factor
from .seat import Seat, Step, refusal
from .server_head import ServerHead
from .turn import Ticket, serve, turns
from .versions import Versions, live


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    server_side: ServerSide
    codec: str
    """Of clients that are admitted without one of their own."""
    steps: int
    """Steps that each client will run: the learning rate follows a client's own progress."""
    learning_rate: float
    lambdas: tuple[float, ...]
    """λ per block: how strongly δ is held at zero, hence to the trunk."""
    rank: int
    seed: int
    bounds: Bounds = ANYTHING
    """What a message may hold."""
    personal_rate_factor: float = 0.3
    """Learning rate of δ beside the trunk's, where both are trained."""


class Server:
    """Serves whatever messages arrive; waits for nobody."""

    def __init__(self, backbone: nn.Module, settings: ServerSettings) -> None:
        self.settings = settings
        self.middle = Middle(backbone.requires_grad_(False))
        self.linears = lora_linears(self.middle.blocks, range(len(self.middle.blocks)))
        self.backbone = Backbone(self.middle, self.linears)
        trained = settings.server_side != "personal"
        self.trunk = self._new_adapter(self.linears if trained else {})
        self.optimizer = (
            adamw(self.trunk.parameters(), settings.learning_rate, together=True)
            if trained
            else None
        )
        self.seats: dict[str, Seat] = {}
        self._versions = Versions(self.trunk)
        self._lock = Lock()

    def admit(
        self,
        client: str,
        depth: int,
        top: int = 0,
        head: ServerHead | None = None,
        codec: str | None = None,
        steps: int | None = None,
    ) -> None:
        """Take a client that keeps blocks [0, depth) and the last `top`, and that leaves its head
        here where one is given. It may come at any time. Without `codec` and `steps` of its own
        it has those of the settings.

        Raises RunError where the client needs blocks that this server did not load.
        """
        span = range(depth, len(self.middle.blocks) - top)
        if missing := sorted(set(span) - self.middle.held):
            raise RunError(
                f"client {client!r} needs blocks {span.start} to {span.stop - 1} of the server, "
                f"which has no block {missing[0]}",
                "start the server for its shallowest client",
            )
        personal = self._new_adapter(self._personal_linears(span))
        rate = self._personal_rate()
        steps = steps or self.settings.steps
        self.seats[client] = Seat(span, codec or self.settings.codec, personal, rate, head, steps)

    def adopt(self, client: str, personal: Adapter) -> None:
        """Give a client another personal adapter, of any ranks, on any of the blocks that it
        crosses."""
        seat = self.seats[client]
        ranks = {pair.A.shape[0] for pair in personal.pairs.values()}
        usual = personal.pairs.keys() == self._personal_linears(seat.span).keys()
        alone = not usual or not ranks <= {self.settings.rank}
        seat.adopt(personal, self._personal_rate(), alone=alone)

    def _personal_linears(self, span: range) -> dict[str, LoraLinear]:
        """The layers that have a personal adapter from the start."""
        if self.settings.server_side == "shared":
            return {}
        return {
            path: linear
            for path, linear in self.linears.items()
            if int(path.partition(".")[0]) in span
        }

    def _personal_rate(self) -> float:
        rate = self.settings.learning_rate
        return rate * self.settings.personal_rate_factor if self.trunk.pairs else rate

    def _new_adapter(self, linears: dict[str, LoraLinear]) -> Adapter:
        return new_adapter(linears, self.settings.rank).seed(self.settings.seed)

    def effective(self, client: str) -> dict[str, list[LoraPair]]:
        """The pairs whose sum is the client's adapter, for each layer of its server blocks."""
        seat = self.seats[client]
        return {
            path: [a.pairs[path] for a in (self.trunk, seat.personal) if path in a.pairs]
            for path in self.linears
            if int(path.partition(".")[0]) in seat.span
        }

    def handle(self, data: bytes) -> bytes:
        """One request, one reply. A gradient is applied once, however often it is sent."""
        (answer,) = self.handle_all([data])
        if isinstance(answer, FlexpError):
            raise answer
        return answer

    def handle_all(self, batch: Sequence[bytes]) -> list[bytes | FlexpError]:
        """The reply to each message of `batch`, which is in order of arrival, or the error that
        concerns it alone: its client stays where it was, and the others are served."""
        with self._lock:
            taken = [self._take(data) for data in batch]
            for turn in turns([ticket for ticket in taken if isinstance(ticket, Ticket)]):
                serve(self, turn)
        return [one.answer if isinstance(one, Ticket) else one for one in taken]

    def _take(self, data: bytes) -> Ticket | FlexpError:
        try:
            message = decode(data, self.settings.bounds)
        except FlexpError as error:
            return error
        seat = self.seats.get(message.client)
        if seat is None:
            return refusal(message, "the server does not know this client")
        return Ticket(message, seat)

    def crossing(self, seat: Seat, message: Message) -> Crossing:
        """The way of an activation through the client's blocks: with the adapters that its step
        found, or as they are now."""
        step = seat.under_way(message) if message.kind is not Kind.PREDICT else None
        now = tuple(w for w in (self._versions.now(), live(seat.personal)) if w)
        return Crossing(
            entry_BTH=message.hidden,
            span=seat.span,
            masks=message.masks,
            shapes=message.shapes,
            adapters=step.adapters if step is not None else now,
            alone=seat.alone,
        )

    def update(self, seat: Seat, step: Step) -> None:
        """One step of what trains in a client's blocks, and of its head if that is here."""
        owners = [adapter for adapter in (self.trunk, seat.personal) if adapter.pairs]
        for owner, weights in zip(owners, step.total(), strict=True):
            owner.take_gradients(weights)
        with torch.enable_grad():  # embedded, this runs inside the client's own backward pass
            penalty = prox(seat.personal, self.settings.lambdas, seat.span.start)
        if penalty is not None:
            penalty.backward()
        factor = learning_rate_factor(step.number, seat.steps)
        if self.optimizer is not None:
            apply(self.optimizer, [self.settings.learning_rate], factor)
        if seat.optimizer is not None:
            apply(seat.optimizer, [seat.rate], factor)
        if seat.head is not None:
            seat.head.update(step.number, step.head_parts())
