"""A Japanese report says everything in Japanese, what the planner says too."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from flexp.catalog.files import read_mapping, write_contract
from flexp.cli.html.of_runs import run_section
from flexp.cli.html.page import page
from flexp.cli.html.read import section
from flexp.cli.html.words import FILES, Translation, japanese, words
from flexp.planner.plan import Plan

from ..conftest import Type
from .samples import samples
from .test_report import Reader

SCENARIOS = """\
schema_version: 1
scenarios:
  - {name: s1, set: {board.memory: 401 MiB}}
  - {name: s2, set: {clients.budget: 1 kB}}
  - {name: s3, set: {policy.step_deadline_seconds: 0.001}}
  - {name: s4, set: {policy.energy_budget_wh: 0.001, clients.watts: 10 W}}
  - {name: s5, set: {policy.energy_budget_wh: 0.001}}
  - {name: s6, set: {clients.min_depth: 9}}
  - {name: s7, set: {server.memory: 401 MiB}}
  - {name: s8, set: {server.speed: 1 GFLOP/s, policy.step_deadline_seconds: 2}}
  - {name: s9, set: {server.up: 1 kbit/s, server.down: 1 kbit/s}}
  - {name: s10, set: {clients.memory: 401 MiB}, add: ["40:board"]}
  - {name: s11, add: ["2:board", "1:pi-5"], servers: "+1"}
"""
NAMES = frozenset(
    (
        "left",
        "right",
        "desk",
        "wire",
        "board",
        "new-board",
        "server",
        "tiny",
        "workstation",
        "flexp",
    )
)
ENGLISH = re.compile(r"[A-Za-z]{2,}(?:'[a-z]+)? [a-z]{2,}\b(?!_)")
"""Two words."""


def english(text: str) -> list[str]:
    """What a reader of a page sees, or hears, in English: two words in a row, or a whole text of
    one that is no name. Commands between 「」, figures' names and addresses don't count."""
    reader = Reader(text)
    seen = [
        line
        for tag, lines in reader.texts.items()
        if tag not in ("script", "style")
        for line in lines
    ]
    for _, attrs in reader.seen:
        seen += [attrs[name] or "" for name in ("aria-label", "title", "alt") if name in attrs]
    found = []
    for line in map(str.strip, seen):
        left = re.sub(r"「[^」]*」|https?://\S+|\b\w+[_.]\w+\b", "", line)
        alone = re.fullmatch(r"[a-z][a-z -]{3,}", line)
        if ENGLISH.search(left) or (alone and line not in NAMES):
            found.append(line)
    return found


def in_japanese(*paths: Path) -> str:
    pairs = [section(path, words("ja")) for path in paths]
    return page([one for one, _ in pairs], [content for _, content in pairs], "ja")


PROFILE = ("--profile", "profile.json", "--time-limit", "2")


def test_scenarios_without_a_plan(typed: Type, folder: Path) -> None:
    (folder / "s.yaml").write_text(SCENARIOS, encoding="utf-8")
    options = ("--scenarios", "s.yaml", "--jobs", "1", "-o", "out.json")
    result = typed("whatif", "fleet.yaml", *PROFILE, *options)
    assert result.exit_code == 0, result.output
    text = in_japanese(folder / "out.json")
    assert english(text) == []
    assert "right は tiny では参加できません。" in text and "回線 wire の上限は" in text


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("--drop", "name=left", "--servers", "+1"), "除外 name=left, サーバー +1: 学習の終了まで"),
        (("--set", "clients.memory=401MiB"), "clients.memory=401MiB: 計画は成立不可"),
    ],
)
def test_one_scenario(typed: Type, folder: Path, change: tuple[str, ...], says: str) -> None:
    result = typed("whatif", "fleet.yaml", *PROFILE, *change, "-o", "out.json")
    assert result.exit_code == 0, result.output
    found, _ = section(folder / "out.json", words("ja"))
    assert found.verdicts[0].startswith(says)
    assert english(in_japanese(folder / "out.json")) == []


@pytest.mark.parametrize("usable", ["2 GiB", "401 MiB"])
@pytest.mark.parametrize("command", ["roi", "spend"])
def test_money_with_a_plan_and_without(
    typed: Type, folder: Path, command: str, usable: str
) -> None:
    fleet = (folder / "fleet.yaml").read_text(encoding="utf-8")
    text = fleet.replace("usable_memory_bytes: 2 GiB", f"usable_memory_bytes: {usable}")
    text = text.replace("name: desk", "name: workstation")  # whose price is known
    (folder / "fleet.yaml").write_text(text, encoding="utf-8")
    result = typed(command, "fleet.yaml", *PROFILE, "-o", "out.json")
    assert result.exit_code == 0, result.output
    assert english(in_japanese(folder / "out.json")) == []


@pytest.mark.slow  # over thirty plans
@pytest.mark.usefixtures("any_model")
def test_limits(typed: Type, folder: Path) -> None:
    result = typed("limits", "fleet.yaml", *PROFILE, "--models", "tiny", "-o", "out.json")
    assert result.exit_code == 0, result.output
    assert english(in_japanese(folder / "out.json")) == []


def test_a_pilot_open_stopped_and_done(typed: Type, folder: Path) -> None:
    typed("pilot", "fleet.yaml", *PROFILE, "-o", "open.json")
    measured = ("--measured", "all.lost=0.4", "--measured", "all.gain=-1")
    typed("pilot", "--checklist", "open.json", *measured, "-o", "stopped.json")
    assert english(in_japanese(folder / "open.json", folder / "stopped.json")) == []


@pytest.mark.parametrize("kind", ["plan", "comparison"])
def test_what_speaks_with_the_reports_words_alone(kind: str, tmp_path: Path, plan: Plan) -> None:
    path = tmp_path / f"{kind}.json"
    write_contract(samples(plan)[kind], path)
    assert english(in_japanese(path)) == []


def test_a_run(plan: Plan) -> None:
    accuracy = SimpleNamespace(personal=0.5, overall=0.4)
    promise = SimpleNamespace(predicted=1000.0, measured=1001.0)
    client = SimpleNamespace(
        **{"depth": 2, "steps": 90, "steps_planned": 100, "before": accuracy, "after": accuracy},
        **{"up_bytes_per_step": promise, "down_bytes_per_step": promise},
    )
    notes = (
        "3 rows of 'bob' are left out: the plan has no such client",
        "7 rows are left out: their column is empty",
        "rows of 'sport' go to left, right",
    )
    summary = SimpleNamespace(
        clients={"left": client},
        mean=lambda when, what: 0.5,
        **{"model": "tiny", "data": "rows.csv", "notes": notes, "fleet_seconds": 60.0},
    )
    found = run_section(summary, plan, words("ja"))  # type: ignore[arg-type]
    assert english(page([found], [], "ja")) == []


def test_english_is_found() -> None:
    said = "<p>a little more</p><td>scenario</td><b aria-label='no plan'>計画</b><td>left</td>"
    assert english(said) == ["a little more", "scenario", "no plan"]


def test_sentences_are_known_by_their_templates() -> None:
    say = Translation({"{} of {}": "{1}の{0}", "at {}": "{}で", ";": "。", "a b": "い"}).say
    assert say("ann of lan") == "lanのann"
    assert say("at noon; at x") == "noonで。xで"
    assert say("a b of bob; nobody knows this: a b") == "bobのい。nobody knows this: い"
    assert (say("of"), say("a")) == ("of", "a")


def test_each_text_has_one_translation() -> None:
    root = Path(words.__code__.co_filename).parent
    own, planner = (set(read_mapping(root / name)) for name in FILES)
    assert own & planner == set()


def test_translations_keep_the_places() -> None:
    for english, other in japanese().texts.items():
        places = english.count("{}")
        numbers = sorted(int(number) for number in re.findall(r"\{(\d)\}", other))
        assert other.count("{}") == places or numbers == list(range(places)), english


def test_every_translation_is_of_something_that_is_said() -> None:
    """Texts of the report's own stand in its modules as they are."""
    root = Path(words.__code__.co_filename).parents[2]
    sources = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("cli", "planner")
        for path in (root / folder).rglob("*")
        if path.suffix in (".py", ".j2")
    )
    known = read_mapping(root / "cli/html/ja.yaml")
    assert [text for text in known if text not in sources] == []
