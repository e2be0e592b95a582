"""Clients that step at the same time: the same bits every time, and what each would have alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from flexp.errors import FlexpError, RunError, StepError
from flexp.runtime.client import Client
from flexp.runtime.message import Kind, decode
from flexp.runtime.schedule import Arrival, groups
from flexp.runtime.server import Server
from flexp.runtime.together import Together

from .jobs import CLIENTS, STEPS, assert_same_end, metrics, run, small_plan

Checkpoint = Callable[[str], Path]


def order(letters: str) -> list[Arrival]:
    return [
        Arrival(float(n), client, letters[:n].count(client)) for n, client in enumerate(letters)
    ]


@pytest.mark.parametrize(
    ("letters", "size", "found"),
    [
        ("abcabc", 1, "a b c a b c"),
        ("abcabc", 2, "ab ca bc"),
        ("abcabc", 5, "abc abc"),
        ("aabacb", 3, "a ab acb"),
        ("", 3, ""),
    ],
)
def test_a_group_holds_each_client_once(letters: str, size: int, found: str) -> None:
    made = groups(order(letters), size, lambda client: False)
    assert " ".join("".join(one.client for one in group) for group in made) == found


def test_who_stops_in_a_group_is_in_none_that_follows() -> None:
    stopped: set[str] = set()
    seen = []
    for group in groups(order("abcabcabc"), 3, stopped.__contains__):
        seen.append("".join(one.client for one in group))
        stopped.add(seen[-1][0])
    assert seen == ["abc", "bc", "c"]


def echo(messages: Sequence[bytes]) -> list[bytes | FlexpError]:
    return [RunError("no") if message == b"bad" else message for message in messages]


def test_messages_of_a_group_are_served_together_in_its_order() -> None:
    batches = []

    def serve(messages: Sequence[bytes]) -> list[bytes | FlexpError]:
        batches.append(list(messages))
        return echo(messages)

    together = Together(lambda message: b"alone", serve, 3)

    def step(name: bytes, count: int) -> list[bytes]:
        return [together.deliver(name + b"%d" % number) for number in range(count)]

    lengths = {b"a": 2, b"b": 1, b"c": 3}
    steps = [lambda name=name, n=n: step(name, n) for name, n in lengths.items()]
    for _ in range(2):  # a group may follow another
        batches.clear()
        assert together.run(steps) == [[b"a0", b"a1"], [b"b0"], [b"c0", b"c1", b"c2"]]
        assert batches == [[b"a0", b"b0", b"c0"], [b"a1", b"c1"], [b"c2"]]
    assert together.run(steps[:1]) == [[b"alone", b"alone"]]


def test_one_computes_at_a_time() -> None:
    computing, most = 0, 0
    together = Together(lambda message: message, echo, 4)

    def step() -> None:
        nonlocal computing, most
        for _ in range(5):
            computing += 1
            time.sleep(0.002)  # others would begin now
            most = max(most, computing)
            computing -= 1
            together.deliver(b"")

    together.run([step] * 4)
    assert most == 1


def test_an_error_is_of_the_step_that_asked_and_the_others_end() -> None:
    together, ended = Together(lambda message: message, echo, 3), []

    def step(message: bytes) -> None:
        together.deliver(message)
        ended.append(message)

    with pytest.raises(RunError, match="no"):
        together.run([lambda m=m: step(m) for m in (b"1", b"bad", b"2")])
    assert ended == [b"1", b"2"]


def test_a_group_that_is_cut_off_leaves_no_thread_waiting() -> None:
    def serve(messages: Sequence[bytes]) -> list[bytes | FlexpError]:
        raise KeyboardInterrupt

    together, running = Together(lambda message: message, serve, 3), threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        together.run([lambda: together.deliver(b"")] * 3)
    together._threads.shutdown()  # hangs if one waits
    assert threading.active_count() <= running


def test_the_server_gets_the_messages_of_a_group_at_once(
    tmp_path: Path, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[list[tuple[Kind, str]]] = []
    real = Server.handle_all

    def handle_all(self: Server, batch: Sequence[bytes]) -> list[bytes | FlexpError]:
        if len(batch) > 1:
            batches.append([(one.kind, one.client) for one in map(decode, batch)])
        return real(self, batch)

    monkeypatch.setattr(Server, "handle_all", handle_all)
    run(small_plan(checkpoint("bert")), tmp_path, together=3)
    assert batches[:4] == [
        [(kind, client) for client in group]
        for group in (("ada", "bo.2"), ("ada", "cy"))
        for kind in (Kind.FORWARD, Kind.BACKWARD)
    ]


@pytest.mark.parametrize("stop_after", [1, 4, 9])
@pytest.mark.parametrize("server_side", ["shared", "aligned"])
def test_a_resumed_run_ends_with_the_same_bits(
    tmp_path: Path, checkpoint: Checkpoint, server_side: str, stop_after: int
) -> None:
    plan = small_plan(checkpoint("bert"), server_side=server_side)
    run(plan, tmp_path / "whole", together=2)
    run(plan, tmp_path / "again", together=2)
    assert_same_end(tmp_path / "whole", tmp_path / "again")
    assert run(plan, tmp_path / "parts", together=2, stop_after=stop_after) is None
    assert run(plan, tmp_path / "parts", together=2, resume=True) is not None
    assert_same_end(tmp_path / "whole", tmp_path / "parts")


def test_a_crash_in_the_middle_of_a_group_repeats_the_group(
    tmp_path: Path, checkpoint: Checkpoint
) -> None:
    plan = small_plan(checkpoint("bert"))
    run(plan, tmp_path / "whole", together=3)
    with pytest.raises(OSError, match="power cut"):
        run(plan, tmp_path / "parts", together=3, crash_after=8)
    assert run(plan, tmp_path / "parts", together=3, resume=True) is not None
    assert_same_end(tmp_path / "whole", tmp_path / "parts")


def test_clients_of_their_own_learn_what_they_would_alone(
    tmp_path: Path, checkpoint: Checkpoint
) -> None:
    """With nothing shared, only the rounding of larger products differs."""
    plan = small_plan(checkpoint("bert"), server_side="personal")
    alone = run(plan, tmp_path / "alone")
    group = run(plan, tmp_path / "group", together=3)
    assert alone is not None and group is not None
    mine, theirs = (
        {(line["client"], line["client_step"]): line["loss"] for line in metrics(tmp_path / name)}
        for name in ("alone", "group")
    )
    assert mine == pytest.approx(theirs, rel=1e-4)
    assert group.clients["ada"].up_bytes == alone.clients["ada"].up_bytes


@pytest.mark.parametrize("policy", ["stop-client", "skip-step", "stop-run"])
def test_one_of_a_group_whose_step_fails(
    tmp_path: Path, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    real = Client.train_step

    def train_step(self: Client, step: int, *batch: object) -> float:
        loss = real(self, step, *batch)
        if (self.name, step) == ("bo.2", 2):
            raise StepError(self.name, step, "the loss is nan")
        return loss

    monkeypatch.setattr(Client, "train_step", train_step)
    plan = small_plan(checkpoint("bert"))
    if policy == "stop-run":
        with pytest.raises(RunError, match=r"client 'bo\.2', step 2: the loss is nan"):
            run(plan, tmp_path / "parts", together=3, on_bad_numbers=policy)
        run(plan, tmp_path / "whole", together=3, on_bad_numbers="skip-step")
        run(plan, tmp_path / "parts", together=3, resume=True, on_bad_numbers="skip-step")
        assert_same_end(tmp_path / "whole", tmp_path / "parts")
        return
    summary = run(plan, tmp_path, together=3, on_bad_numbers=policy)
    assert summary is not None
    steps = [summary.clients[name].steps for name in CLIENTS]
    assert steps == [STEPS, 2 if policy == "stop-client" else STEPS - 1, STEPS]
