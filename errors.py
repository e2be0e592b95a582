"""Every error that flexp raises on purpose, with the exit code that the command line gives it.

    FlexpError                 1   a failure that fits nothing below
    ├── MissingFileError       3   a file or folder that was named does not exist
    ├── SyntaxFileError        4   a file is not readable YAML, JSON, CSV, ...
    ├── FieldError             5   a file or option holds a value that is not allowed
    ├── UnknownNameError       6   no such model, device type, link or data set
    ├── EmptyDataError         7   a data set without usable rows
    ├── LabelError             8   labels and clients do not fit together
    ├── UnsupportedModelError  9   a model that cannot be split
    ├── PlanError             10   a plan that does not fit its model, profile or devices
    ├── InfeasibleError       11   no plan exists for this fleet
    ├── DownloadError         12   a pinned package could not be fetched or verified
    ├── MissingExtraError     13   an optional dependency is not installed
    ├── RunError              14   training stopped, or a run that can't be resumed
    │   └── StepError         17   a client's step with bad numbers, labels or shapes
    ├── UnreachableError      15   nothing at an address answers as it should
    └── PredictionError       16   a prediction that measuring does not bear out

2 is a misused command line (typer's own) and 130 an interrupt (Ctrl-C).
"""

from __future__ import annotations

from pathlib import Path

INTERRUPTED = 130
"""Exit code after Ctrl-C."""
MOST_NAMES = 24
"""Names that a hint lists."""
LISTED_BY = {
    "model": "flexp catalog models",
    "device type": "flexp catalog devices",
    "link": "flexp catalog links",
    "data set": "flexp catalog data",
}


class FlexpError(Exception):
    """Base of all: `message` says what was found, `hint` what to do about it."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class MissingFileError(FlexpError):
    exit_code = 3

    def __init__(self, path: Path | str, hint: str = "") -> None:
        super().__init__(f"{path}: no such file or folder", hint)


class SyntaxFileError(FlexpError):
    exit_code = 4


class FieldError(FlexpError):
    exit_code = 5


class UnknownNameError(FlexpError):
    """`kind` is what was looked for ("device type"), `known` the names that exist."""

    exit_code = 6

    def __init__(self, kind: str, name: str, known: list[str], where: str = "") -> None:
        from difflib import get_close_matches

        close = get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(known)}"
        if not close and len(known) > MOST_NAMES and kind in LISTED_BY:
            hint = f"{len(known)} are known: `{LISTED_BY[kind]}` lists them"
        super().__init__(f"{where}unknown {kind} {name!r}", hint)


class EmptyDataError(FlexpError):
    exit_code = 7


class LabelError(FlexpError):
    exit_code = 8


class UnsupportedModelError(FlexpError):
    exit_code = 9


class PlanError(FlexpError):
    exit_code = 10


class InfeasibleError(FlexpError):
    exit_code = 11


class DownloadError(FlexpError):
    exit_code = 12


class MissingExtraError(FlexpError):
    exit_code = 13

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra [{extra}]", f'pip install "flexp[{extra}]"')


class RunError(FlexpError):
    exit_code = 14


class UnreachableError(FlexpError):
    exit_code = 15


class PredictionError(FlexpError):
    exit_code = 16


class StepError(RunError):
    """A step of one client that can't be taken: numbers that are not finite, a label or a token out
    of range, a shape that does not fit. The others can go on, and so can this client with its next
    step: nothing of its own has changed."""

    exit_code = 17

    def __init__(self, client: str, step: int, found: str, hint: str = "") -> None:
        super().__init__(f"client {client!r}, step {step}: {found}", hint)
        self.client, self.step = client, step
