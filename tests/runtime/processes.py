"""Real `flexp` processes that a test can kill at any moment."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

PARENT = """
import os, shlex, sys
import peft, flexp.runtime.train, transformers.models.bert.modeling_bert
from flexp.cli.app import app
print("ready", flush=True)
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        app(shlex.split(line), prog_name="flexp")
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Process(Protocol):
    pid: int

    def wait(self) -> int:
        """The exit code, or minus the signal that ended it."""


class Starter(Protocol):
    def __call__(self, words: list[str]) -> Process: ...


def spawn(words: list[str]) -> Process:
    """A fresh interpreter: some seconds until it trains."""
    command = [sys.executable, "-m", "flexp", *words]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class _Forked:
    def __init__(self, parent: subprocess.Popen[str], words: list[str]) -> None:
        assert parent.stdin and parent.stdout
        self.answers = parent.stdout
        parent.stdin.write(shlex.join(words) + "\n")
        parent.stdin.flush()
        self.pid = int(self.answers.readline())

    def wait(self) -> int:
        return int(self.answers.readline())


@contextmanager
def forks() -> Iterator[Starter]:
    """Starts processes as copies of one that has the libraries in memory and has computed nothing
    yet: a tenth of a second instead of several."""
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        assert parent.stdin and parent.stdout
        assert parent.stdout.readline() == "ready\n"
        yield lambda words: _Forked(parent, words)
        parent.stdin.close()


def kill(process: Process) -> int:
    os.kill(process.pid, signal.SIGKILL)
    return process.wait()
