"""`flexp quickstart` runs the commands that it shows, through the same parser."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from flexp.cli import quickstart
from flexp.cli.app import app
from flexp.errors import MissingFileError
from typer.testing import Result


@pytest.fixture
def context() -> typer.Context:
    return typer.Context(typer.main.get_command(app))


def test_the_line_shown_is_the_line_run(
    context: typer.Context, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quickstart.run_as_typed(context, "flexp schema device -o 'two words'")
    assert capsys.readouterr().out.strip() == "$ flexp schema device -o 'two words'"
    assert (folder / "two words" / "device.schema.json").is_file()


def test_an_error_ends_it(context: typer.Context, folder: Path) -> None:
    with pytest.raises(MissingFileError):
        quickstart.run_as_typed(context, "flexp train no.yaml --data 20newsgroups")


def test_an_interrupted_command_ends_it(
    context: typer.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("flexp.cli.schema.contracts", interrupt)
    with pytest.raises(typer.Exit) as ended:
        quickstart.run_as_typed(context, "flexp schema")
    assert ended.value.exit_code == 130


@pytest.mark.parametrize("folder_name", ["flexp-quickstart", "two words"])
def test_every_line_can_be_typed(folder_name: str, typed: Callable[..., Result]) -> None:
    lines = quickstart.command_lines(Path(folder_name))
    commands = [shlex.split(line)[1] for line in lines]
    assert commands == ["probe", "profile", "plan", "train"]
    group = typer.main.get_command(app)
    for line in lines:
        program, name, *words = shlex.split(line)
        command = group.get_command(typer.Context(group), name)  # type: ignore[attr-defined]
        assert program == "flexp"
        command.make_context(name, list(words))
