"""The wire: the one place where client and server meet, and where bytes are counted.

Embedded, `deliver` is the server's own `handle`; on a network it sends the bytes and waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock

import torch
from torch import Tensor

from ..errors import StepError
from .bounds import ANYTHING, PUBLIC_INPUTS, Bounds
from .message import Kind, Message, decode, encode
from .step_checks import StepChecks

Deliver = Callable[[bytes], bytes]

ANSWERS = {
    Kind.FORWARD: (Kind.ACTIVATION,),
    Kind.BACKWARD: (Kind.GRADIENT,),
    Kind.LABELS: (Kind.GRADIENT,),
    Kind.PREDICT: (Kind.ACTIVATION, Kind.LOGITS),
}


@dataclass(frozen=True)
class Part:
    """Which micro-batch of a step, of how many, and its share of the batch's loss."""

    index: int = 0
    count: int = 1
    share: float = 1.0


WHOLE = Part()
"""A batch in one piece."""


@dataclass
class Traffic:
    """Bytes of one client, by direction; prediction is kept apart from training."""

    up_bytes: int = 0
    down_bytes: int = 0
    predict_up_bytes: int = 0
    predict_down_bytes: int = 0


class Wire:
    """A client's end of the wire. Parts of one step may use it at the same time.

    Every method raises StepError where numbers that are to be trained with are not finite, or where
    the answer is not one to what was asked, and RunError where it can't be read.
    """

    def __init__(
        self,
        client: str,
        deliver: Deliver,
        codec: str,
        frozen: bool = False,
        bounds: Bounds = ANYTHING,
    ) -> None:
        self.client = client
        self.deliver = deliver
        self.codec = codec
        self.frozen = frozen
        self.bounds = bounds
        self.step = 0
        self.traffic = Traffic()
        self._counting = Lock()

    def forward(self, h_BTH: Tensor, inputs: Mapping[str, Tensor], part: Part = WHOLE) -> Tensor:
        """The server's output for this activation; the server keeps what `backward` needs."""
        return self._send(Kind.FORWARD, h_BTH, inputs, part).hidden.to(h_BTH)

    def backward(self, gradient_BTH: Tensor, part: Part = WHOLE) -> Tensor:
        """The gradient by the activation last sent; the server applies its own update."""
        return self._send(Kind.BACKWARD, gradient_BTH, {}, part).hidden.to(gradient_BTH)

    def labels(
        self, h_BTH: Tensor, inputs: Mapping[str, Tensor], labels: Tensor, part: Part = WHOLE
    ) -> tuple[float, Tensor]:
        """A whole step where the server has the head: the loss, and its gradient by `h_BTH`, which
        means nothing where all below is frozen; both are this part's share of the batch's."""
        reply = self._send(Kind.LABELS, h_BTH, inputs, part, labels)
        if reply.loss is None:
            raise StepError(self.client, self.step, "the server sent no loss")
        return reply.loss, reply.hidden.to(h_BTH)

    def predict(self, h_BTH: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
        """The server's output, or the logits where it has the head."""
        return self._send(Kind.PREDICT, h_BTH, inputs, WHOLE).hidden.to(h_BTH)

    def _send(
        self,
        kind: Kind,
        hidden: Tensor,
        inputs: Mapping[str, Tensor],
        part: Part,
        labels: Tensor | None = None,
    ) -> Message:
        checks = StepChecks(self.client, self.step)
        if kind is not Kind.PREDICT:
            what = "gradient" if kind is Kind.BACKWARD else "activation"
            checks.finite(f"the {what} that goes to the server", hidden)
        request = Message(
            kind=kind,
            client=self.client,
            step=self.step,
            part=part.index,
            parts=part.count,
            share=part.share,
            hidden=hidden,
            masks={k: _compact(inputs[k]) for k in PUBLIC_INPUTS if k in inputs},
            shapes={k: list(v.shape) for k, v in inputs.items() if k not in PUBLIC_INPUTS},
            labels=labels,
        )
        sent = encode(request, self.codec)
        received = self.deliver(sent)
        self._count(kind, len(sent), len(received))
        reply = decode(received, self.bounds)
        same_shape = reply.kind is not Kind.LOGITS and not (self.frozen and kind is Kind.LABELS)
        _check_answer(request, reply, checks, same_shape)
        if kind is not Kind.PREDICT:
            checks.finite(f"the {reply.kind.value} that came from the server", reply.hidden)
        return reply

    def _count(self, kind: Kind, up_bytes: int, down_bytes: int) -> None:
        with self._counting:
            if kind is Kind.PREDICT:
                self.traffic.predict_up_bytes += up_bytes
                self.traffic.predict_down_bytes += down_bytes
            else:
                self.traffic.up_bytes += up_bytes
                self.traffic.down_bytes += down_bytes


def _check_answer(request: Message, reply: Message, checks: StepChecks, same_shape: bool) -> None:
    asked, got = ((m.client, m.step, m.part, m.parts) for m in (request, reply))
    if asked != got or reply.kind not in ANSWERS[request.kind]:
        raise checks.fail(
            f"asked for {request.kind.value}, part {request.part} of {request.parts}, the server "
            f"answered {reply.kind.value} for client {reply.client!r}, step {reply.step}, part "
            f"{reply.part} of {reply.parts}"
        )
    if same_shape and reply.hidden.shape != request.hidden.shape:
        raise checks.fail(
            f"the server answered shape {list(reply.hidden.shape)} to "
            f"{list(request.hidden.shape)}: {reply.kind.value}"
        )


def _compact(mask: Tensor) -> Tensor:
    """A 0/1 attention mask needs one byte an element, position ids keep their type."""
    return mask.to(torch.uint8) if mask.dim() == 2 and bool((mask <= 1).all()) else mask
