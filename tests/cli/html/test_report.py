"""The report's file: every kind of result, both languages, nothing fetched, no name that runs."""

from __future__ import annotations

import base64
import csv
import io
import json
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
from flexp.catalog.files import write_contract
from flexp.cli import report
from flexp.cli.html.charts import inline
from flexp.cli.html.of_runs import run_section
from flexp.cli.html.page import page
from flexp.cli.html.parts import row
from flexp.cli.html.read import section
from flexp.cli.html.words import words
from flexp.errors import FieldError, RunError
from flexp.planner.plan import Plan

from ..conftest import Type
from .samples import HOSTILE, samples

KINDS = ["plan", "what-if", "roi", "limits", "spend", "purchase", "pilot", "comparison"]


class Reader(HTMLParser):
    """Attributes and text of a page by element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta", "link"):
            self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.inside[-1] if self.inside else "", []).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.seen if name == tag]


@pytest.fixture
def written(tmp_path: Path, plan: Plan) -> dict[str, Path]:
    found = {}
    for kind, content in samples(plan).items():
        found[kind] = tmp_path / f"{kind}.json"
        write_contract(content, found[kind])
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind(kind: str, written: dict[str, Path]) -> None:
    found, content = section(written[kind], words("en"))
    text = page([found], [content], "en")
    reader = Reader(text)
    assert found.verdicts and found.tables
    assert len(reader.all("svg")) == len(found.charts)
    assert "".join(reader.texts["strong"]) == found.verdicts[0]
    (data,) = [t for t in reader.texts["script"] if t.startswith("[")]
    assert json.loads(data) == [content.model_dump(mode="json")]
    links = [a for a in reader.all("a") if "csv" in (a.get("class") or "")]
    assert len(links) == len(found.tables)
    for link, table in zip(links, found.tables, strict=True):
        held = base64.b64decode((link["href"] or "").partition("base64,")[2]).decode()
        rows = list(csv.reader(io.StringIO(held)))
        assert tuple(rows[0]) == table.columns and len(rows) == 1 + len(table.rows)


def test_nothing_is_fetched_or_run(written: dict[str, Path]) -> None:
    pairs = [section(path, words("en")) for path in written.values()]
    text = page([one for one, _ in pairs], [content for _, content in pairs], "en")
    assert HOSTILE not in text
    reader = Reader(text)
    addresses = [
        value
        for _, attrs in reader.seen
        for name, value in attrs.items()
        if name in ("src", "href", "xlink:href", "action", "srcset") and value
    ]
    assert addresses and all(value.startswith(("#", "data:")) for value in addresses)
    assert "@import" not in text and "url(http" not in text
    assert len(reader.all("script")) == 2
    assert any("default-src 'none'" in (meta.get("content") or "") for meta in reader.all("meta"))


def test_a_table_is_sorted_by_exact_values() -> None:
    cells = row("a", 1234.5678, None)
    assert [cell.text for cell in cells] == ["a", "1,235", "–"]
    assert [cell.value for cell in cells] == [None, 1234.5678, None]


def test_a_chart_takes_the_pages_colour() -> None:
    made = inline('<?xml?><svg width="10pt" height="5pt"><text fill="#010203"/></svg>')
    assert made == '<svg><text fill="currentColor"/></svg>'


def test_command(typed: Type, folder: Path) -> None:
    result = typed("report", "plan.yaml", "-o", "out.html", "--lang", "ja")
    assert (result.exit_code, result.stderr) == (0, "wrote out.html\n"), result.output
    assert "結論" in (folder / "out.html").read_text(encoding="utf-8")


def test_other_files(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("colour: red\n", encoding="utf-8")
    with pytest.raises(FieldError, match="holds none of plan, what-if"):
        section(tmp_path / "x.yaml", words("en"))
    with pytest.raises(RunError, match="no complete run"):
        section(tmp_path, words("en"))


def test_the_extra_is_named(typed: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = SimpleNamespace(missing=lambda name: None if name == "jinja2" else find_spec(name))
    monkeypatch.setattr(report, "find_spec", missing.missing)
    result = typed("report", "plan.yaml")
    assert result.exit_code == 13 and "[report]" in result.stderr


def test_a_run(plan: Plan) -> None:
    """Two clients, one of which measured 10% more bytes than planned."""

    def client(measured: float) -> SimpleNamespace:
        accuracy = SimpleNamespace(personal=0.5, overall=0.4)
        promise = SimpleNamespace(predicted=1000.0, measured=measured)
        return SimpleNamespace(
            **{"depth": 2, "steps": 90, "steps_planned": 100, "before": accuracy},
            **{"after": accuracy, "up_bytes_per_step": promise, "down_bytes_per_step": promise},
        )

    summary = SimpleNamespace(
        clients={"ann": client(1000.0), "bob": client(1100.0)},
        mean=lambda when, what: {"before": 0.5, "after": 0.75}[when],
        **{"model": "tiny", "data": "rows", "notes": ("a note",), "fleet_seconds": 60.0},
    )
    found = run_section(summary, plan, words("en"))  # type: ignore[arg-type]
    assert found.verdicts == ("personal accuracy from 50% to 75%; bytes within 10.0% of the plan",)
    assert found.good is True and found.remarks[0] == "a note"
    (table,) = found.tables
    cells = dict(zip(table.columns, table.rows[1], strict=True))
    assert (cells["difference"].text, cells["lost steps"].value) == ("+10.0%", 10.0)
    assert len(found.charts) == 2
