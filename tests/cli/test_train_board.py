from __future__ import annotations

from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from flexp.cli.train_board import Board
from flexp.runtime.records import StepRecord
from flexp.runtime.state import ClientState
from rich.console import Console


def record(client: str, step: int, loss: float | None, problem: str | None = None) -> StepRecord:
    return StepRecord(
        step=step,
        client=client,
        client_step=step,
        loss=loss,
        problem=problem,
        fleet_seconds=1.0,
        waiting_seconds=0.25,
        up_bytes=1_500_000,
        down_bytes=500_000,
    )


def board(
    policy: str = "stop-client", clients: int = 2, earlier: tuple[StepRecord, ...] = ()
) -> Board:
    names = [f"client-{number}" for number in range(clients)]
    start: Any = SimpleNamespace(
        plan=SimpleNamespace(
            blocks=4, clients=[SimpleNamespace(name=name, depth=2) for name in names]
        ),
        settings=SimpleNamespace(on_bad_numbers=policy),
        clients={name: ClientState(steps=10, next_step=3) for name in names},
        earlier=earlier,
    )
    made = Board()
    made.begin(start)
    return made


def drawn(made: Board, rows: int) -> str:
    console = Console(width=80, record=True, file=StringIO())
    console.print(made.table(rows))
    return console.export_text()


def test_a_line_says_depth_step_loss_bytes_and_waiting() -> None:
    made = board()
    made.add(record("client-0", 3, 2.0))
    made.add(record("client-0", 4, 1.0))
    assert made.line("client-0") == (
        "client-0: step 5 of 10, depth 2, loss 1.800, ↑3.0 ↓1.0 MB, waited 0.5 s"
    )
    assert made.line("client-1").startswith("client-1: step 3 of 10, depth 2, no loss")


def test_a_run_that_goes_on_counts_what_was_before() -> None:
    made = board(earlier=tuple(record("client-0", step, 2.0) for step in range(3)))
    made.add(record("client-0", 3, 1.0))
    assert made.line("client-0") == (
        "client-0: step 4 of 10, depth 2, loss 1.800, ↑6.0 ↓2.0 MB, waited 1.0 s"
    )
    assert made.line("client-1").startswith("client-1: step 3 of 10, depth 2, no loss, ↑0.0")


@pytest.mark.parametrize(
    ("policy", "remark"), [("stop-client", "stopped"), ("skip-step", "1 skip")]
)
def test_a_step_that_was_not_taken_shows(policy: str, remark: str) -> None:
    made = board(policy)
    made.add(record("client-0", 3, None, "client 'client-0', step 3: the loss is nan"))
    assert remark in made.line("client-0")
    assert remark in drawn(made, 5)
    assert remark not in made.line("client-1")


def test_clients_beyond_the_terminal_are_counted() -> None:
    made = board(clients=30)
    made.add(record("client-29", 7, 1.0))
    text = drawn(made, 4)
    assert "client-3 " in text and "client-4 " not in text
    assert "and 26 more" in text and "3 to 8" in text
