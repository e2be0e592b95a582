"""Whatever a retrying network does to messages, every step is applied exactly once."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from flexp.errors import RunError, StepError
from flexp.runtime.message import Kind, decode
from flexp.runtime.server import Server
from hypothesis import given, settings
from hypothesis import strategies as st

from .servers import ask, data, new_server, same_weights, train, weights

CLIENTS = (("ada", 1), ("bo", 2), ("cy", 3))


@dataclass
class Script:
    """The messages of a client, in the order in which it sends each for the first time."""

    messages: list[bytes]
    sent: int = 0
    answers: dict[int, bytes] = field(default_factory=dict)


def script(client: str, parts: int, head: bool, steps: int = 3) -> Script:
    kinds = (Kind.LABELS,) if head else (Kind.FORWARD, Kind.BACKWARD)
    return Script(
        [
            data(kind, client, step, part, parts)
            for step in range(steps)
            for kind in kinds
            for part in range(parts)
        ]
    )


def scripts(parts: int) -> dict[str, Script]:
    return {name: script(name, parts, head=name == "cy") for name, _ in CLIENTS}


def deliver(server: Server, script: Script, index: int) -> None:
    """A message arrives; where it came before, the answer is the same or a refusal."""
    try:
        answer = server.handle(script.messages[index])
    except StepError as error:
        assert index in script.answers and "over" in str(error)
        return
    assert script.answers.setdefault(index, answer) == answer


@pytest.mark.parametrize("server_side", ["shared", "personal", "aligned"])
@settings(max_examples=15, deadline=None)
@given(
    parts=st.integers(1, 2),
    events=st.lists(
        st.tuples(st.sampled_from([name for name, _ in CLIENTS]), st.integers(0, 20)), max_size=60
    ),
)
def test_duplicates_delays_and_reordering_change_nothing(
    server_side: str, parts: int, events: list[tuple[str, int]]
) -> None:
    """An event is a client's next message (0), or one of its earlier ones once more."""
    lossy, clean = (new_server(server_side, *CLIENTS, heads=("cy",)) for _ in range(2))
    clients = scripts(parts)
    first: list[bytes] = []
    drained = [(name, 0) for name in clients for _ in clients[name].messages]
    for name, back in events + drained:
        one = clients[name]
        if back == 0 and one.sent < len(one.messages):
            first.append(one.messages[one.sent])
            one.sent += 1
            deliver(lossy, one, one.sent - 1)
        elif one.sent:
            deliver(lossy, one, max(0, one.sent - max(1, back)))
    for message in first:
        clean.handle(message)
    assert all(one.sent == len(one.messages) for one in clients.values())
    assert same_weights(lossy, clean)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_parts_may_arrive_in_any_order(order: tuple[int, ...]) -> None:
    server, straight = (new_server("aligned", ("ada", 1)) for _ in range(2))
    for one, parts in ((server, order), (straight, (0, 1, 2))):
        for kind in (Kind.FORWARD, Kind.BACKWARD):
            for part in parts:
                before = weights(one)
                one.handle(data(kind, "ada", 0, part, 3))
                last = kind is Kind.BACKWARD and part == parts[-1]
                moved = any(not torch.equal(t, before[n]) for n, t in weights(one).items())
                assert moved == last
    assert same_weights(server, straight)


def test_a_step_computes_with_the_trunk_that_it_found() -> None:
    server = new_server("shared", ("ada", 1), ("bo", 1))
    ask(server, Kind.FORWARD, "ada", 0)
    train(server, "bo", 0)
    late = ask(server, Kind.BACKWARD, "ada", 0)
    assert torch.equal(late, train(new_server("shared", ("ada", 1)), "ada", 0))


def test_a_client_that_goes_on_without_a_gradient_leaves_its_step() -> None:
    server = new_server("personal", ("ada", 1))
    ask(server, Kind.FORWARD, "ada", 0)
    train(server, "ada", 1)
    with pytest.raises(StepError, match=r"'ada', step 0.*over"):
        ask(server, Kind.BACKWARD, "ada", 0)
    alone = new_server("personal", ("ada", 1))
    train(alone, "ada", 1)
    assert same_weights(server, alone)


def test_parts_of_one_step_agree_on_their_number() -> None:
    server = new_server("shared", ("ada", 1))
    server.handle(data(Kind.FORWARD, "ada", 0, 0, 2))
    with pytest.raises(StepError, match=r"step 0: 3 parts; it began with 2"):
        server.handle(data(Kind.FORWARD, "ada", 0, 1, 3))


def test_answers_outlive_a_restart() -> None:
    """A server that comes back from a checkpoint answers the step that it had applied."""
    before = new_server("personal", ("ada", 1))
    forward, backward = (data(kind, "ada", 0) for kind in (Kind.FORWARD, Kind.BACKWARD))
    answers = [before.handle(forward), before.handle(backward)]
    after = new_server("personal", ("ada", 1))
    after.seats["ada"].personal.load(before.seats["ada"].personal.tensors())
    after.seats["ada"].applied = before.seats["ada"].applied
    after.seats["ada"].recall(before.seats["ada"].memory())
    assert [after.handle(forward), after.handle(backward)] == answers
    assert same_weights(before, after)


def test_one_client_twice_in_a_batch_is_served_in_turn() -> None:
    server, straight = (new_server("personal", ("ada", 1)) for _ in range(2))
    forward, backward = (data(kind, "ada", 0) for kind in (Kind.FORWARD, Kind.BACKWARD))
    answers = server.handle_all([forward, forward, backward, backward, forward])
    assert all(isinstance(answer, bytes) for answer in answers)
    assert answers[0] == answers[1] == answers[4] and answers[2] == answers[3]
    assert decode(straight.handle(forward)).kind is Kind.ACTIVATION
    straight.handle(backward)
    assert same_weights(server, straight)


def test_a_gradient_without_its_forward_pass_is_refused() -> None:
    server = new_server("shared", ("ada", 1))
    ask(server, Kind.FORWARD, "ada", 4)
    with pytest.raises(RunError, match=r"'ada'.*step 5"):
        ask(server, Kind.BACKWARD, "ada", 5)
