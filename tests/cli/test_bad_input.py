"""Bad input: one clear error with file, line and field, the documented code, nothing written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

PLAN = "plan fleet.yaml --profile profile.json"
WHATIF = "whatif fleet.yaml --profile profile.json"
ROI = "roi fleet.yaml --profile profile.json"
PILOT = "pilot fleet.yaml --profile profile.json"
TRAIN = "train plan.yaml --data rows.csv -o out"

# command, exit code, what the message says
COMMANDS = {
    "no fleet file": ("plan no.yaml --profile profile.json", 3, ["no.yaml: no such file"]),
    "no profile file": ("plan fleet.yaml --profile no.json", 3, ["no.json: no such file"]),
    "no fleet file to check": ("fleet check no.yaml", 3, ["no.yaml: no such file"]),
    "no inventory": ("fleet import no.csv", 3, ["no.csv: no such file"]),
    "no profile to check with": (
        "fleet check fleet.yaml --profile no.json",
        3,
        ["no.json: no such file"],
    ),
    "no plan file": ("train no.yaml --data rows.csv", 3, ["no.yaml: no such file"]),
    "unknown model": ("profile minilm-l7 -o out.yaml", 6, ["'minilm-l7'", "minilm-l6"]),
    "unknown model to plan": ("plan fleet.yaml --model minilm-l7", 6, ["minilm-l7", "minilm-l6"]),
    "no profile, no model": ("plan fleet.yaml", 5, ["--profile", "--model", "neither"]),
    "profile and model": (f"{PLAN} --model tiny", 5, ["--profile", "--model", "both"]),
    "objective of no kind": (f"{PLAN} --objective speed", 5, ["'speed'", "total", "slowest"]),
    "slack of one objective": (f"{PLAN} --slack 0.1", 5, ["--slack", "one objective"]),
    "slack of no number": (f"{PLAN} --slack inf", 5, ["--slack", "inf"]),
    "energy of unknown power": (f"{PLAN} --objective energy", 5, ["energy", "watts"]),
    "no value file": (f"{PLAN} --value no.yaml", 3, ["no.yaml: no such file"]),
    "no earlier plan": (f"{PLAN} --diff no.yaml", 3, ["no.yaml: no such file"]),
    "value file of another kind": (f"{PLAN} --value plan.yaml", 5, ["plan.yaml", "points"]),
    "csv of no format": (f"{PLAN} --csv out.xls", 5, ["--csv", "'.xls'"]),
    "picture of no format": (f"{PLAN} --plot out.gif", 5, ["--plot", "'.gif'"]),
    "what-if of nothing": (WHATIF, 5, ["nothing is changed", "--set"]),
    "what-if without a model": ("whatif fleet.yaml --servers 2", 5, ["--profile", "--base"]),
    "what-if of no form": (f"{WHATIF} --set board", 5, ["--set", "'board'", "WHO.FIELD=VALUE"]),
    "what-if twice": (f"{WHATIF} --set a.up=1 --set a.up=2", 5, ["a.up", "twice"]),
    "what-if of no unit": (f"{WHATIF} --set board.ram=+4apples", 5, ["--set board.ram", "GiB"]),
    "what-if of nobody": (f"{WHATIF} --set bord.ram=x2", 6, ["'bord'", "board"]),
    "what-if of no scenarios": (f"{WHATIF} --scenarios no.yaml", 3, ["no.yaml: no such file"]),
    "what-if of a huge batch": (f"{WHATIF} --batch 9999", 5, ["9,999", "1,600 samples"]),
    "no fleet to limit": ("limits no.yaml --profile profile.json", 3, ["no.yaml"]),
    "no model to try": ("limits fleet.yaml --base tiny-9", 6, ["tiny-9"]),
    "pilot of nothing": ("pilot", 5, ["--checklist", "neither"]),
    "pilot of no checklist": ("pilot --checklist no.json", 3, ["no.json: no such file"]),
    "checklist of another kind": ("pilot --checklist plan.yaml", 5, ["plan.yaml"]),
    "measured of no number": (f"{PILOT} --measured all.lost=few", 5, ["--measured", "ID=NUMBER"]),
    "measured of no figure": (f"{PILOT} --measured all.x=1", 5, ["'all.x'", "all.lost"]),
    "report of no file": ("report no.yaml", 3, ["no.yaml: no such file"]),
    "report of another file": ("report fleet.yaml", 5, ["fleet.yaml", "holds none of"]),
    "report of no format": ("report plan.yaml -o out.pdf", 5, ["--output", "'.pdf'"]),
    "drop of nobody": (f"{WHATIF} --drop kind=bord", 6, ["--drop", "'bord'", "board"]),
    "add of no device": (f"{WHATIF} --add 2:toaster", 6, ["--add", "'toaster'"]),
    "server of no number": (f"{WHATIF} --servers many", 5, ["--servers", "number"]),
    "no cost file": (f"{ROI} --costs no.yaml", 3, ["no.yaml: no such file"]),
    "costs of another kind": (f"{ROI} --costs plan.yaml", 5, ["plan.yaml:", "unknown key"]),
    "price that is not known": (ROI, 5, ["'desk'", "cost_per_hour", "server_price"]),
    "strategy of no kind": (f"{PLAN} --strategy half", 2, ["--strategy"]),
    "settings and profile": (f"{PLAN} --batch 4", 5, ["profile.json", "batch"]),
    "rank without adapters": ("profile x --method full --rank 4", 5, ["--rank", "--method full"]),
    "output is a folder": (f"{PLAN} -o .", 5, ["--output", "folder"]),
    "output of no format": (f"{PLAN} -o out.xls", 5, ["--output", "'.xls'", ".yaml"]),
    "unknown option": ("plan fleet.yaml --colour red", 2, ["--colour"]),
    "unknown command": ("plam fleet.yaml", 2, ["plam", "plan"]),
    "batch of none": ("profile x --batch 0", 2, ["--batch"]),
    "method of no kind": ("profile x --method half", 2, ["--method"]),
}

# file, what it holds, what it holds instead ("" stands for the whole file), command, exit code,
# what the message says
EDITS = {
    "broken YAML": ("fleet.yaml", "two-rooms", "[", PLAN, 4, ["fleet.yaml:4", "not valid YAML"]),
    "broken JSON": ("profile.json", '"model":', "", PLAN, 4, ["profile.json:3", "not valid JSON"]),
    "empty file": ("fleet.yaml", "", "", PLAN, 4, ["fleet.yaml", "mapping"]),
    "not text": ("fleet.yaml", "", "\x00\x01", PLAN, 4, ["fleet.yaml", "not valid YAML"]),
    "negative RAM": (
        "fleet.yaml",
        "ram_bytes: 4 GiB",
        "ram_bytes: -4",
        PLAN,
        5,
        ["fleet.yaml:24", "ram_bytes", "greater than 0", "found -4"],
    ),
    "no such unit": (
        "fleet.yaml",
        "20 GFLOP/s",
        "20 bananas",
        PLAN,
        5,
        ["fleet.yaml:27", "training_flops_per_second", "GFLOP/s", "20 bananas"],
    ),
    "unknown key": (
        "fleet.yaml",
        "link: *wire\n  - name: right",
        "link: *wire\n    colour: red\n  - name: right",
        PLAN,
        5,
        ["fleet.yaml:21", "clients.0.colour", "unknown key"],
    ),
    "missing key": (
        "fleet.yaml",
        "  link: &wire",
        "  tie: &wire",
        PLAN,
        5,
        ["server.link", "required", "server.tie", "unknown key"],
    ),
    "other version": (
        "fleet.yaml",
        "schema_version: 1",
        "schema_version: 7",
        PLAN,
        5,
        ["fleet.yaml:1: schema_version", "found 7"],
    ),
    "two of a name": ("fleet.yaml", "name: right", "name: left", PLAN, 5, ["named 'left'"]),
    "unknown device type": (
        "fleet.yaml",
        "device: *desk",
        "device: toaster",
        PLAN,
        6,
        ["unknown device type 'toaster'", "left"],
    ),
    "unknown link type": (
        "fleet.yaml",
        "link: *wire",
        "link: string",
        PLAN,
        6,
        ["unknown link", "'string'", "left"],
    ),
    "no device file": (
        "fleet.yaml",
        "device: *desk",
        "device: box.yaml",
        PLAN,
        3,
        ["box.yaml: no such file"],
    ),
    "device too small": (
        "fleet.yaml",
        "usable_memory_bytes: 2 GiB",
        "usable_memory_bytes: 401 MiB",
        PLAN,
        11,
        ["right"],
    ),
    "depth beyond the model": (
        "plan.yaml",
        "depth: 2",
        "depth: 9",
        TRAIN,
        10,
        ["plan.yaml: client 'left': depth 9", "6 blocks"],
    ),
    "depth beyond the device": (
        "plan.yaml",
        "depth: 2",
        "depth: 5",
        TRAIN,
        10,
        ["plan.yaml: client 'left': depth 5", "deepest that does is 4"],
    ),
    "depth zero": (
        "plan.yaml",
        "depth: 2",
        "depth: 0",
        TRAIN,
        5,
        ["plan.yaml:", "clients.0.depth", "found 0"],
    ),
}


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check(result: Result, code: int, says: list[str]) -> None:
    """One error, the code, every word of `says`, and an empty stdout."""
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    assert [words for words in says if words not in result.stderr] == [], result.stderr
    assert "Traceback" not in result.output
    if code != 2:
        assert result.stderr.startswith("error: ")
        assert result.stderr.count("error: ") == 1


@pytest.mark.parametrize("name", COMMANDS)
def test_wrong_command(name: str, typed: Callable[..., Result], folder: Path) -> None:
    command, code, says = COMMANDS[name]
    files = snapshot(folder)
    check(typed(*command.split()), code, says)
    assert snapshot(folder) == files


@pytest.mark.parametrize("name", EDITS)
def test_wrong_file(name: str, typed: Callable[..., Result], folder: Path) -> None:
    file, old, new, command, code, says = EDITS[name]
    path = folder / file
    held = path.read_text(encoding="utf-8")
    assert old in held
    path.write_text(held.replace(old, new) if old else new, encoding="utf-8")
    (folder / "out.yaml").write_text("an earlier result\n", encoding="utf-8")
    files = snapshot(folder)
    check(typed(*command.split(), *(["-o", "out.yaml"] if command == PLAN else [])), code, says)
    assert snapshot(folder) == files


def test_every_problem_of_a_file_is_said_once(typed: Callable[..., Result], folder: Path) -> None:
    path = folder / "fleet.yaml"
    text = path.read_text(encoding="utf-8").replace("ram_bytes: 4 GiB", "ram_bytes: -4")
    text = text.replace("  - name: left\n", "  - name: left\n    colour: red\n")
    path.write_text(text, encoding="utf-8")
    result = typed(*PLAN.split())
    assert result.stderr.splitlines() == [
        "error: fleet.yaml:19: clients.0.colour: unknown key, found 'red'",
        " " * len("error: ")
        + "fleet.yaml:25: clients.1.device.ram_bytes: Input should be greater than 0, found -4",
        "hint: `flexp schema` prints what each file may hold",
    ]
