"""docs/fleet.md names every field and header, and its examples are as it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flexp.catalog.files import Contract
from flexp.errors import UnknownNameError
from flexp.planner.fleet import ClientEntry, Fragment, Policy, ServerEntry
from flexp.planner.inventory.columns import HEADERS
from flexp.planner.resolve import read_fleet

TEXT = (Path(__file__).parents[2] / "docs" / "fleet.md").read_text(encoding="utf-8")
SMALL, OWN = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)[:2]


def section(title: str) -> str:
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize(
    ("title", "contract"),
    [("Clients", ClientEntry), ("Servers", ServerEntry), ("Policy", Policy)],
)
def test_every_field_has_its_row(title: str, contract: type[Contract]) -> None:
    rows = [line for line in section(title).splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row.split(" | ")[0])}
    assert named == set(contract.model_fields) - {"codec"}


def test_what_files_may_include() -> None:
    for field in Fragment.model_fields.keys() - {"schema_version"}:
        assert f"`{field}`" in section("Several files")


def test_every_header_is_in_the_table() -> None:
    rows = dict(
        re.findall(r"^\| `(\w+)` \| ([^|]+) \|", section("From an inventory"), re.MULTILINE)
    )
    assert {field: tuple(text.split(", ")) for field, text in rows.items()} == HEADERS


def test_the_small_fleet(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text(SMALL + OWN)
    assert read_fleet(path).members == 13
    path.write_text(SMALL.replace("device: pi-5", "device: pi5"))
    with pytest.raises(UnknownNameError) as caught:
        read_fleet(path)
    told = f"{caught.value.message}\n    hint: {caught.value.hint}".replace(f"{tmp_path}/", "")
    assert f"error: {told}" in TEXT
