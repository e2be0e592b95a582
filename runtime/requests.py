"""What a new message must be before the server computes with it."""

from __future__ import annotations

import torch
from torch import Tensor

from .message import Kind, Message
from .seat import Seat, refusal
from .step_checks import is_finite

LOWER = "lower the learning rates"


def check_message(message: Message, seat: Seat, *, width: int) -> None:
    """Raises StepError for what the server can't or must not use: a step outside the run, a wrong
    shape, numbers to train with that are not finite, a kind that it does not answer."""
    kind = message.kind
    if kind is not Kind.PREDICT and not 0 <= message.step < seat.steps:
        raise refusal(message, f"the run has steps 0 to {seat.steps - 1}")
    if kind is Kind.BACKWARD:
        assert seat.step is not None
        flight = seat.step.flights[message.part]
        _check_gradient(message, flight.crossing.entry_BTH.shape)
    elif kind in (Kind.FORWARD, Kind.PREDICT, Kind.LABELS):
        _check_activation(message, width)
    else:
        raise refusal(message, f"a server does not answer {kind.value!r}")
    if kind is Kind.LABELS and (seat.head is None or message.labels is None):
        raise refusal(message, "a step with labels needs them, and a head on the server")


def check_finite(message: Message, tensor: Tensor, what: str) -> None:
    if not is_finite(tensor):
        raise refusal(message, f"{what} is not finite", LOWER)


def _check_activation(message: Message, width: int) -> None:
    shape = message.hidden.shape
    if shape[-1] != width:
        raise refusal(message, f"the activation is {list(shape)}; the model takes [B, T, {width}]")
    if message.kind is not Kind.PREDICT:
        check_finite(message, message.hidden, "the activation")


def _check_gradient(message: Message, shape: torch.Size) -> None:
    found = message.hidden.shape
    if found != shape:
        raise refusal(message, f"the gradient is {list(found)}; the output was {list(shape)}")
    check_finite(message, message.hidden, "the gradient")
