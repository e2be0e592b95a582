"""The server: one frozen backbone, a trunk of adapters that clients share, adapters of their own.

Block l of the server computes with the effective adapter φ_l + δ_{i,l}: the shared trunk φ, the
personal δ of client i. `shared` has only φ, `personal` only δ, `aligned` both.

Messages that arrived together are served together (`handle_all`): gradients first, each applied as
a step of its own in order of arrival, then activations, which meet the trunk that results. A step
computes with the trunk as it was when the step began, so that serving together changes nothing but
the rounding of matrix products.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock

import torch
from torch import Tensor, nn

from ..catalog.models.lora import Adapter, LoraLinear, Pair, lora_linears, new_adapter
from ..catalog.models.whole import summed, whole_weights
from ..errors import FlexpError, RunError
from ..planner.fleet import ServerSide
from ..profiler.profile import Method, Optimizer
from .alignment import prox
from .batching import Crossing
from .bounds import ANYTHING, Bounds
from .grouping import Backbone
from .message import Kind, Message, decode
from .middle import Middle
from .optim import apply, learning_rate_factor
from .seat import Seat, Step, refusal
from .server_head import ServerHead
from .turn import Ticket, serve, turns
from .versions import Owned, Versions, live, optimizer_of
from .whole_pass import inside


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
    method: Method = "lora"
    """What trains in the blocks: adapters, all weights, or nothing."""
    optimizer: Optimizer = "adamw"
    frozen: bool = False
    """Nothing trains in blocks or embeddings, here or on a device: nobody asks for a gradient."""
    bounds: Bounds = ANYTHING
    """What a message may hold."""
    personal_rate_factor: float = 0.3
    """Learning rate of δ beside the trunk's, where both are trained."""


class Server:
    """Serves whatever messages arrive; waits for nobody."""

    def __init__(self, backbone: nn.Module, settings: ServerSettings) -> None:
        self.settings = settings
        self.middle = Middle(backbone)
        self.middle.blocks.requires_grad_(False)  # of several owners, it is these that train
        everywhere = range(len(self.middle.blocks))
        self.linears = lora_linears(self.middle.blocks, everywhere)
        self.backbone = Backbone(self.middle, self.linears, whole=settings.method == "full")
        trained = everywhere if settings.server_side != "personal" else range(0)
        self.trunk = self._owned(trained, lambda weight: weight)
        rate = settings.learning_rate
        self.optimizer = optimizer_of(self.trunk, settings.optimizer, rate, flat=False)
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
        start = Tensor.clone if self.settings.server_side == "personal" else torch.zeros_like
        personal = self._owned(self._personal_span(span), start)
        seat = self.seats[client] = Seat(
            span,
            codec or self.settings.codec,
            personal,
            self._personal_rate(),
            head,
            steps or self.settings.steps,
            self.settings.optimizer,
        )
        seat.alone = self.backbone.whole

    def adopt(self, client: str, personal: Adapter) -> None:
        """Give a client another personal adapter, of any ranks, on any of the blocks that it
        crosses."""
        seat = self.seats[client]
        usual = new_adapter(self._inside(self._personal_span(seat.span)), self.settings.rank)
        alone = _shapes(personal) != _shapes(usual)
        seat.adopt(personal, self._personal_rate(), alone=alone)

    def _personal_span(self, span: range) -> range:
        """The blocks in which a client has something of its own from the start."""
        return range(0) if self.settings.server_side == "shared" else span

    def _inside(self, span: range) -> dict[str, LoraLinear]:
        return {
            path: linear
            for path, linear in self.linears.items()
            if int(path.partition(".")[0]) in span
        }

    def _owned(self, span: range, start: Callable[[Tensor], Tensor]) -> Owned:
        """What one owner trains in these blocks: adapters, or weights that begin with `start` of
        the backbone's."""
        if self.settings.method == "full":
            return whole_weights(self.middle.blocks, span, start)
        return new_adapter(self._inside(span), self.settings.rank).seed(self.settings.seed)

    def _personal_rate(self) -> float:
        rate = self.settings.learning_rate
        return rate * self.settings.personal_rate_factor if len(self.trunk) else rate

    def _owners(self, seat: Seat) -> list[Owned]:
        """Those whose parts add up in the client's blocks."""
        return [owned for owned in (self.trunk, seat.personal) if len(owned)]

    def effective(self, client: str) -> dict[str, list[Pair]]:
        """The pairs whose sum is the client's adapter, for each layer of its server blocks."""
        seat = self.seats[client]
        adapters = [owned for owned in self._owners(seat) if isinstance(owned, Adapter)]
        return {
            path: [adapter.pairs[path] for adapter in adapters if path in adapter.pairs]
            for path in self._inside(seat.span)
        }

    def effective_weights(self, client: str) -> dict[str, Tensor]:
        """The client's weights of its server blocks, where all weights train."""
        seat = self.seats[client]
        return summed([inside(live(owned), seat.span) for owned in self._owners(seat)])

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
        if any(other.step for other in self.seats.values() if other is not seat):
            self._versions.keep()
        for owner, gradients in zip(self._owners(seat), step.total(), strict=True):
            owner.take_gradients(gradients)
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


def _shapes(adapter: Adapter) -> dict[str, torch.Size]:
    return {path: next(pair.parameters()).shape for path, pair in adapter.pairs.items()}
