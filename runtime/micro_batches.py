"""Micro-batches: the parts of a batch overlap, so that a slow link is not waited for.

Every part goes through the client's model on a thread of its own. One part computes at a time;
while it is on the wire, the next one computes. The order is fixed: all parts from the inputs to the
wire, then all from the server's output to the loss and back, then all from the gradient that
arrived down to the inputs. So gradients add up in one order, and a step gives the same bits every
time.

Each part's loss counts by its share of the batch: the gradients are those of the whole batch, but
for rounding. Device memory: all parts are in flight together, so the saved activations are those of
the whole batch; what a block needs for a moment is a part's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor

from ..catalog.models.heads import Inputs
from .split import Remote
from .wire import Part, Wire

Work = Callable[[Part, Inputs, Tensor], float]
"""What is done with a part, its inputs and its labels; the loss that it adds."""


def divide(
    inputs: Inputs, labels: Tensor, parts: int, counted: Callable[[Tensor], int]
) -> list[tuple[Part, Inputs, Tensor]]:
    """The rows of a batch in up to `parts` runs of equal length, give or take one, each with its
    share of the labels that count. Rows of which none counts add nothing, and are left out."""
    pieces = []
    start = 0
    for piece in labels.tensor_split(min(parts, len(labels))):
        end = start + len(piece)
        pieces.append((counted(piece), {k: t[start:end] for k, t in inputs.items()}, piece))
        start = end
    total = sum(count for count, _, _ in pieces)
    kept = [piece for piece in pieces if piece[0]]
    return [
        (Part(index, len(kept), count / total), rows, piece)
        for index, (count, rows, piece) in enumerate(kept)
    ]


class _StoppedError(Exception):
    """Another part of the batch has failed."""


class Turns:
    """Which part computes. Its n-th turn comes after the (n-1)-th of every part and after the
    n-th of the parts before it."""

    def __init__(self, parts: int) -> None:
        self.parts = parts
        self.taken = 0
        self.stopped = False
        self._changed = threading.Condition()

    def take(self, part: int, turn: int) -> None:
        """Wait for it."""
        with self._changed:
            self._changed.wait_for(lambda: self.stopped or self.taken == turn * self.parts + part)
            if self.stopped:
                raise _StoppedError

    def give(self) -> None:
        with self._changed:
            self.taken += 1
            self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self.stopped = True
            self._changed.notify_all()


@dataclass
class _Lane:
    """A part on its way."""

    part: Part
    turns: Turns
    turn: int = 0
    below: Tensor | None = None
    """The bottom's output."""
    above: Tensor | None = None
    """What the server made of it, a leaf: the backward pass runs in two pieces, so that autograd,
    which has one thread on a GPU, never waits for the wire."""

    @contextmanager
    def away(self) -> Iterator[None]:
        """Inside, the next part computes."""
        self.turns.give()
        yield
        self.turn += 1
        self.turns.take(self.part.index, self.turn)


class Lanes:
    """The remote of a client whose batches come in parts: what a thread sends goes to the wire with
    the part that the thread carries."""

    def __init__(self, wire: Wire, parts: int) -> None:
        self.wire, self.parts = wire, parts
        self.frozen = wire.frozen
        self._carried = threading.local()
        self._threads = ThreadPoolExecutor(parts, f"part of {wire.client}")

    def run(self, parts: list[tuple[Part, Inputs, Tensor]], work: Work) -> float:
        """`work` on every part, overlapped; the sum of their losses. The first error ends all."""
        turns = Turns(len(parts))
        futures = [self._threads.submit(self._carry, turns, work, *part) for part in parts]
        try:
            wait(futures)
        finally:
            turns.stop()  # where this thread was interrupted
            wait(futures)
        return sum(_results(futures))

    def _carry(self, turns: Turns, work: Work, part: Part, inputs: Inputs, labels: Tensor) -> float:
        self._carried.lane = _Lane(part, turns)
        try:
            turns.take(part.index, 0)
            loss = work(part, inputs, labels)
            turns.give()
            return loss
        except BaseException:
            turns.stop()
            raise
        finally:
            del self._carried.lane

    @property
    def _lane(self) -> _Lane:
        return self._carried.lane

    def forward(self, h_BTH: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
        with self._lane.away():
            return self.wire.forward(h_BTH, inputs, self._lane.part)

    def backward(self, gradient_BTH: Tensor) -> Tensor:
        with self._lane.away():
            return self.wire.backward(gradient_BTH, self._lane.part)

    def labels(
        self, h_BTH: Tensor, inputs: Mapping[str, Tensor], labels: Tensor
    ) -> tuple[float, Tensor]:
        with self._lane.away():
            return self.wire.labels(h_BTH, inputs, labels, self._lane.part)

    def predict(self, h_BTH: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
        return self.wire.predict(h_BTH, inputs)

    def cross(self, remote: Remote, inputs: Mapping[str, Tensor], h_BTH: Tensor) -> Tensor:
        """The server's output as a leaf; `backpropagate` carries its gradient on."""
        lane = self._lane
        lane.below = h_BTH
        lane.above = self.forward(h_BTH.detach(), inputs).requires_grad_()
        return lane.above

    def backpropagate(self, loss: Tensor) -> None:
        """The whole backward pass of a part, the server's included."""
        if not loss.requires_grad:  # all that trains is the server's
            return
        loss.backward()
        below, above = self._lane.below, self._lane.above
        if below is None or above is None:  # nothing to send back, or the head is the server's
            return
        assert above.grad is not None
        gradient_BTH = self.backward(above.grad)
        if below.requires_grad:
            below.backward(gradient_BTH)


def _results(futures: list[Future[float]]) -> list[float]:
    """Raises the error that stopped the parts, not those of the parts that it stopped."""
    errors = [error for future in futures if (error := future.exception())]
    for error in errors:
        if not isinstance(error, _StoppedError):
            raise error
    return [future.result() for future in futures]
