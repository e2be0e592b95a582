"""Cells side by side: `python -m flexp.runtime.comparison.worker FOLDER` runs cells as they come.

Each line of its stdin is a cell as JSON. Its stdout has a line for each step, "step DONE TOTAL",
and one for each cell: "cell KEY", "failed" with a StepError's fields as JSON, or "error" with those
of an error that ends the work.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TextIO

from ...catalog.progress import no_progress
from ...errors import FlexpError, RunError, StepError
from .cell import Cell, CellResult
from .study import DataSets, complete, finished

NOTHING_LEFT = None


def work(lines: TextIO, told: TextIO, folder: Path) -> None:
    """Run the cells of `lines` until there are no more."""
    data = DataSets(no_progress)

    def tell(*words: object) -> None:
        print(*words, file=told, flush=True)

    for line in lines:
        cell = Cell.model_validate_json(line)
        try:
            complete(cell, folder, data, lambda done, total: tell("step", done, total))
        except StepError as error:
            tell("failed", json.dumps([error.client, error.step, error.message, error.hint]))
            continue
        except FlexpError as error:
            tell("error", json.dumps([error.message, error.hint]))
            return
        tell("cell", cell.key)


def run_beside(
    cells: Sequence[Cell],
    folder: Path,
    jobs: int,
    on_step: Callable[[Cell, int, int], None],
    on_cell: Callable[[Cell, CellResult], None],
    on_failure: Callable[[Cell, StepError], None],
) -> None:
    """`jobs` processes with an equal share of the cores, each with a cell at a time.

    Raises RunError with what the first process to fail says.
    """
    left: SimpleQueue[Cell] = SimpleQueue()
    for cell in cells:
        left.put(cell)
    threads = max(1, (os.cpu_count() or 1) // jobs)
    command = [sys.executable, "-m", __name__, str(folder)]
    processes = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for this process, which ends the others
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        )
        for _ in range(min(jobs, len(cells)))
    ]
    happened: SimpleQueue[Callable[[], None] | BaseException | None] = SimpleQueue()
    feeders = [
        Thread(
            target=_feed,
            args=(process, left, folder, happened, on_step, on_cell, on_failure),
            daemon=True,
        )
        for process in processes
    ]
    try:
        for feeder in feeders:
            feeder.start()
        for _ in processes:
            while (what := happened.get()) is not NOTHING_LEFT:
                if isinstance(what, BaseException):
                    raise what
                what()
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _feed(
    process: subprocess.Popen[str],
    left: SimpleQueue[Cell],
    folder: Path,
    happened: SimpleQueue[Callable[[], None] | BaseException | None],
    on_step: Callable[[Cell, int, int], None],
    on_cell: Callable[[Cell, CellResult], None],
    on_failure: Callable[[Cell, StepError], None],
) -> None:
    """Give a process cells, and pass on what it says to the thread that shows it."""
    assert process.stdin is not None and process.stdout is not None
    while True:
        try:
            cell = left.get_nowait()
        except Empty:
            happened.put(NOTHING_LEFT)
            return
        process.stdin.write(cell.model_dump_json() + "\n")
        process.stdin.flush()
        for line in process.stdout:
            word, _, rest = line.strip().partition(" ")
            if word == "step":
                done, total = map(int, rest.split())
                happened.put(lambda c=cell, d=done, t=total: on_step(c, d, t))  # type: ignore[misc]
            elif word == "failed":
                error = _step_error(*json.loads(rest))
                happened.put(lambda c=cell, e=error: on_failure(c, e))  # type: ignore[misc]
                break
            elif word == "error":
                happened.put(RunError(*json.loads(rest)))
                return
            elif word == "cell":
                result = finished(cell, folder)
                assert result is not None
                happened.put(lambda c=cell, r=result: on_cell(c, r))  # type: ignore[misc]
                break
        else:
            happened.put(
                RunError(
                    f"{cell.label}, seed {cell.seed}: its process ended early, with code "
                    f"{process.wait()}",
                    "run the command again; with --jobs 1 if memory was short",
                )
            )
            return


def _step_error(client: str, step: int, message: str, hint: str) -> StepError:
    error = StepError(client, step, "", hint)
    error.message = message
    return error


if __name__ == "__main__":
    work(sys.stdin, sys.stdout, Path(sys.argv[1]))
