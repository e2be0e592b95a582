"""The wire: the one place where client and server meet, and where bytes are counted.

Embedded, `deliver` is the server's own `handle`; on a network it sends the bytes and waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import RunError
from .bounds import PUBLIC_INPUTS
from .message import Kind, Message, decode, encode

Deliver = Callable[[bytes], bytes]


@dataclass
class Traffic:
    """Bytes of one client, by direction; prediction is kept apart from training."""

    up_bytes: int = 0
    down_bytes: int = 0
    predict_up_bytes: int = 0
    predict_down_bytes: int = 0


class Wire:
    """A client's end of the wire."""

    def __init__(self, client: str, deliver: Deliver, codec: str, frozen: bool = False) -> None:
        self.client = client
        self.deliver = deliver
        self.codec = codec
        self.frozen = frozen
        self.step = 0
        self.traffic = Traffic()

    def forward(self, h_BTH: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
        """The server's output for this activation; the server keeps what `backward` needs."""
        return self._send(Kind.FORWARD, h_BTH, inputs).hidden.to(h_BTH)

    def backward(self, gradient_BTH: Tensor) -> Tensor:
        """The gradient by the activation last sent; the server applies its own update."""
        return self._send(Kind.BACKWARD, gradient_BTH, {}).hidden.to(gradient_BTH)

    def labels(
        self, h_BTH: Tensor, inputs: Mapping[str, Tensor], labels: Tensor
    ) -> tuple[float, Tensor]:
        """A whole step where the server has the head: the loss, and its gradient by `h_BTH`."""
        reply = self._send(Kind.LABELS, h_BTH, inputs, labels)
        if reply.loss is None:
            raise RunError(f"client {self.client!r}, step {self.step}: the server sent no loss")
        return reply.loss, reply.hidden.to(h_BTH)

    def predict(self, h_BTH: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
        """The server's output, or the logits where it has the head."""
        return self._send(Kind.PREDICT, h_BTH, inputs).hidden.to(h_BTH)

    def _send(
        self,
        kind: Kind,
        hidden: Tensor,
        inputs: Mapping[str, Tensor],
        labels: Tensor | None = None,
    ) -> Message:
        request = Message(
            kind=kind,
            client=self.client,
            step=self.step,
            hidden=hidden,
            masks={k: _compact(inputs[k]) for k in PUBLIC_INPUTS if k in inputs},
            shapes={k: list(v.shape) for k, v in inputs.items() if k not in PUBLIC_INPUTS},
            labels=labels,
        )
        sent = encode(request, self.codec)
        received = self.deliver(sent)
        if kind is Kind.PREDICT:
            self.traffic.predict_up_bytes += len(sent)
            self.traffic.predict_down_bytes += len(received)
        else:
            self.traffic.up_bytes += len(sent)
            self.traffic.down_bytes += len(received)
        return decode(received)


def _compact(mask: Tensor) -> Tensor:
    """A 0/1 attention mask needs one byte an element, position ids keep their type."""
    return mask.to(torch.uint8) if mask.dim() == 2 and bool((mask <= 1).all()) else mask
