"""The report in a real headless Chromium: no message on the console, nothing asked of a network,
charts drawn, tables that sort, both languages, dark and printed. Skipped where there is none."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from flexp.catalog.files import write_contract
from flexp.cli.html.page import page
from flexp.cli.html.read import section
from flexp.cli.html.words import words
from flexp.planner.plan import Plan

from .samples import samples

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
]
PROBE = """
<script>
const seen = {errors: [], charts: [], sorted: []};
addEventListener("error", (event) => seen.errors.push(event.message));
addEventListener("securitypolicyviolation", (event) => seen.errors.push(event.blockedURI));
addEventListener("load", () => {
  for (const svg of document.querySelectorAll("figure svg")) {
    const box = svg.getBoundingClientRect();
    seen.charts.push([box.width, box.height, svg.querySelectorAll("path").length]);
  }
  const table = document.querySelector("#s2 table");
  const column = 5;
  const value = (row) => row.cells[column].dataset.value ?? null;
  const values = () => [...table.tBodies[0].rows].map(value);
  const button = table.querySelectorAll("th")[column].querySelector("button");
  for (let click = 0; click < 2; click++) { button.click(); seen.sorted.push(values()); }
  seen.background = [getComputedStyle(document.body).backgroundColor];
  document.getElementById("theme").click();
  seen.background.push(getComputedStyle(document.body).backgroundColor);
  seen.focusable = document.querySelectorAll("a[href], button, [tabindex='0']").length;
  seen.json = document.getElementById("json").href.length;
  document.title = "PROBED" + JSON.stringify(seen);
});
</script>
"""


def browse(path: Path, *more: str) -> subprocess.CompletedProcess[str]:
    assert CHROMIUM is not None
    log = path.with_suffix(".netlog")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--log-net-log={log}"]
    command += ["--no-first-run", "--disable-background-networking", "--enable-logging=stderr"]
    command += [f"--user-data-dir={path.parent / 'profile'}", *more, path.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


@pytest.fixture
def pages(tmp_path: Path, plan: Plan) -> dict[str, Path]:
    files = []
    for kind, content in samples(plan).items():
        files.append(tmp_path / f"{kind}.json")
        write_contract(content, files[-1])
    found = {}
    for language in ("en", "ja"):
        pairs = [section(path, words(language)) for path in files]
        text = page([one for one, _ in pairs], [content for _, content in pairs], language)
        found[language] = tmp_path / f"{language}.html"
        found[language].write_text(text, encoding="utf-8")
    return found


@pytest.mark.parametrize("language", ["en", "ja"])
def test_in_a_browser(language: str, pages: dict[str, Path]) -> None:
    path = pages[language]
    text = path.read_text(encoding="utf-8")
    charts = text.count("<figure")
    path.write_text(text.replace("<body>", "<body>" + PROBE, 1), encoding="utf-8")
    done = browse(path, "--dump-dom")
    found = re.search(r"<title>PROBED(\{.*?\})</title>", done.stdout, re.DOTALL)
    assert found is not None, done.stdout[:500]
    seen = json.loads(found[1].replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))
    assert seen["errors"] == [] and "CONSOLE" not in done.stderr
    assert len(seen["charts"]) == charts > 5
    assert all(width > 300 and height > 50 and paths > 3 for width, height, paths in seen["charts"])
    up, down = ([None if v is None else float(v) for v in values] for values in seen["sorted"])
    known = [value for value in up if value is not None]
    assert known == sorted(known) and len(set(known)) > 1 and up[-1] is None
    assert [value for value in down if value is not None] == known[::-1] and down[-1] is None
    assert seen["background"][0] != seen["background"][1]
    assert seen["focusable"] > 30 and seen["json"] > 1000
    assert requested(path.with_suffix(".netlog")) == []


def requested(log: Path) -> list[str]:
    """Addresses that the page had asked a network for."""
    text = log.read_text(encoding="utf-8", errors="replace")
    urls = set(re.findall(r'"url":"((?:https?|wss?)://[^"]*)"', text))
    return sorted(url for url in urls if not re.search(r"google|gvt1|chrome", url))


@pytest.mark.parametrize("language", ["en", "ja"])
def test_printed_on_a4(language: str, pages: dict[str, Path]) -> None:
    path = pages[language]
    file = path.with_suffix(".pdf")
    browse(path, f"--print-to-pdf={file}", "--no-pdf-header-footer")
    held = file.read_bytes()
    assert held.startswith(b"%PDF")
    boxes = {
        tuple(map(float, box)) for box in re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", held)
    }
    assert boxes and all(abs(w - 595) < 2 and abs(h - 842) < 2 for w, h in boxes)
