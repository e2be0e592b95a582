"""Messages that arrived together, at most one of each client, through the server.

Gradients come first, each applied as a step of its own in order of arrival; then activations, which
meet the trunk that results; then whole steps of clients whose heads are here. An error is the
answer to the message that it concerns: its client stays where it was, and the others are served.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from ..errors import FlexpError
from .batching import Weights
from .grouping import COMPUTE_ERRORS, Flight
from .message import Kind, Message, encode
from .requests import LOWER, check_finite, check_message
from .seat import Seat, Step, refusal

if TYPE_CHECKING:
    from .server import Server

NOTHING = torch.zeros(1, 1, 1)
"""In place of a gradient that nobody needs."""


@dataclass
class Ticket:
    """A message and its answer."""

    message: Message
    seat: Seat
    answer: bytes | FlexpError = b""

    @contextmanager
    def answering(self, flight: Flight | None = None) -> Iterator[None]:
        """An error inside is the answer, and `flight` gets no gradient."""
        try:
            yield
        except FlexpError as error:
            self.answer = error
            if flight is not None:
                flight.leave()

    def reply(self, kind: Kind, hidden: Tensor, loss: float | None = None) -> bytes:
        asked = self.message
        reply = Message(
            kind=kind,
            client=asked.client,
            step=asked.step,
            part=asked.part,
            parts=asked.parts,
            hidden=hidden,
            loss=loss,
        )
        return encode(reply, self.seat.codec)


class _Crossed(NamedTuple):
    ticket: Ticket
    flight: Flight
    output_BTH: Tensor


class _Due(NamedTuple):
    """A gradient by the output of a flight."""

    ticket: Ticket
    step: Step
    flight: Flight
    gradient_BTH: Tensor
    loss: float | None = None


def turns(tickets: Sequence[Ticket]) -> list[list[Ticket]]:
    """The first message of each client, then the second of each that sent more, and so on."""
    result: list[list[Ticket]] = []
    taken: Counter[str] = Counter()
    for ticket in tickets:
        number = taken[ticket.message.client]
        taken[ticket.message.client] += 1
        if number == len(result):
            result.append([])
        result[number].append(ticket)
    return result


def serve(server: Server, turn: Sequence[Ticket]) -> None:
    """Answer every ticket of `turn`, which holds at most one message of each client."""
    for ticket in turn:
        with ticket.answering():
            ticket.answer = _known(server, ticket)
    new = [ticket for ticket in turn if not ticket.answer]
    _gradients(server, [t for t in new if t.message.kind is Kind.BACKWARD])
    _activations(server, [t for t in new if t.message.kind is Kind.FORWARD])
    _predictions(server, [t for t in new if t.message.kind is Kind.PREDICT])
    _labels(server, [t for t in new if t.message.kind is Kind.LABELS])


def _known(server: Server, ticket: Ticket) -> bytes:
    """The answer if it was given before, empty for a new message; raises StepError for one that
    can't be served."""
    message, seat = ticket.message, ticket.seat
    known = None if message.kind is Kind.PREDICT else seat.remembered(message)
    if known is None:
        check_message(message, seat, width=server.middle.backbone.config.hidden_size)
    return known or b""


def _cross(server: Server, tickets: Sequence[Ticket], *, training: bool) -> list[_Crossed]:
    """The clients' blocks."""
    crossings = [server.crossing(ticket.seat, ticket.message) for ticket in tickets]
    results = server.backbone.forward(crossings, training=training)
    crossed = []
    for ticket, result in zip(tickets, results, strict=True):
        if isinstance(result, Exception):
            reason = f"the model can't compute with this input: {result}"
            ticket.answer = refusal(ticket.message, reason)
            continue
        flight, output_BTH = result
        with ticket.answering(flight):
            if ticket.message.kind is not Kind.PREDICT:
                check_finite(ticket.message, output_BTH, "the output of the server's blocks")
            crossed.append(_Crossed(ticket, flight, output_BTH))
    return crossed


def _activations(server: Server, tickets: list[Ticket]) -> None:
    frozen = server.settings.frozen
    for ticket, flight, output_BTH in _cross(server, tickets, training=not frozen):
        message, seat = ticket.message, ticket.seat
        step = seat.enter(message, flight.crossing.adapters)
        ticket.answer = ticket.reply(Kind.ACTIVATION, output_BTH)
        step.replies[Kind.FORWARD, message.part] = ticket.answer
        if not frozen:
            step.flights[message.part] = flight
        elif len(step.replies) == step.parts:  # no gradient will come
            seat.finish(step)


def _predictions(server: Server, tickets: list[Ticket]) -> None:
    for ticket, _, output_BTH in _cross(server, tickets, training=False):
        message, head = ticket.message, ticket.seat.head
        if head is None:
            ticket.answer = ticket.reply(Kind.ACTIVATION, output_BTH)
        else:
            logits = head.predict(output_BTH, message.masks, message.shapes)
            ticket.answer = ticket.reply(Kind.LOGITS, logits)


def _labels(server: Server, tickets: list[Ticket]) -> None:
    """Whole steps, or whole parts of steps, of clients whose heads are here."""
    due, frozen = [], server.settings.frozen
    for ticket, flight, output_BTH in _cross(server, tickets, training=not frozen):
        message, seat = ticket.message, ticket.seat
        assert seat.head is not None and message.labels is not None
        with ticket.answering(flight):
            try:
                loss, gradient_BTH, own = seat.head.gradient(
                    output_BTH,
                    message.masks,
                    message.shapes,
                    message.labels,
                    message.step,
                    message.share,
                )
            except COMPUTE_ERRORS as error:
                raise refusal(message, f"the loss can't be computed: {error}") from error
            step = seat.enter(message, flight.crossing.adapters)
            step.head_gradients[message.part] = own
            if frozen:
                _apply(server, ticket, step, (), ticket.reply(Kind.GRADIENT, NOTHING, loss))
            else:
                due.append(_Due(ticket, step, flight, gradient_BTH, loss))
    _backward(server, due)


def _gradients(server: Server, tickets: list[Ticket]) -> None:
    due = []
    for ticket in tickets:
        message, step = ticket.message, ticket.seat.step
        assert step is not None
        due.append(_Due(ticket, step, step.flights[message.part], message.hidden))
    _backward(server, due)


def _backward(server: Server, due: list[_Due]) -> None:
    """Backward together; then each client's own update, in order of arrival."""
    results = server.backbone.backward([d.flight for d in due], [d.gradient_BTH for d in due])
    for (ticket, step, _, _, loss), result in zip(due, results, strict=True):
        message, seat = ticket.message, ticket.seat
        if isinstance(result, Exception) or not result.finite:
            what = "failed" if isinstance(result, Exception) else "gave numbers that are not finite"
            ticket.answer = refusal(
                message, f"the backward pass {what}: the step is dropped", LOWER
            )
            seat.leave()
            continue
        answer = ticket.reply(Kind.GRADIENT, result.entry_BTH, loss)
        _apply(server, ticket, step, result.adapters, answer)


def _apply(
    server: Server, ticket: Ticket, step: Step, gradients: tuple[Weights, ...], answer: bytes
) -> None:
    """One part's gradients are there; with the last one, the step's update."""
    message, seat = ticket.message, ticket.seat
    step.flights.pop(message.part, None)
    step.gradients[message.part] = gradients
    step.replies[message.kind, message.part] = ticket.answer = answer
    if len(step.gradients) == step.parts:
        server.update(seat, step)
        seat.finish(step)
