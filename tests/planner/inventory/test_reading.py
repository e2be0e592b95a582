from __future__ import annotations

from pathlib import Path

import pytest
from flexp.errors import EmptyDataError, FieldError, FlexpError, MissingFileError, SyntaxFileError
from flexp.planner.inventory.reading import Row, read_inventory


def rows(folder: Path, text: str | bytes) -> tuple[Row, ...]:
    path = folder / "devices.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_inventory(path, {}).rows


@pytest.mark.parametrize("sign", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_files_of_several_programs(tmp_path: Path, sign: str, mark: str, end: str) -> None:
    lines = (f"Name{sign}Model{sign}Serial", f'"pc{sign}1"{sign} pi-5 {sign}', "", f"pc 2{sign}")
    found = rows(tmp_path, mark + end.join(lines))
    assert [(row.line, row.text("name"), row.text("device")) for row in found] == [
        (2, f"pc{sign}1", "pi-5"),
        (4, "pc 2", ""),
    ]


def test_lines_are_counted_across_cells_of_several(tmp_path: Path) -> None:
    found = rows(tmp_path, 'name,site\na,"Tower\n4th floor"\nb,Tower\n')
    assert [row.line for row in found] == [2, 4]


def test_columns_left_out_are_named(tmp_path: Path) -> None:
    path = tmp_path / "devices.csv"
    path.write_text("name,Serial,Owner\na,1,2\n")
    assert read_inventory(path, {}).ignored == ("Serial", "Owner")


def row(folder: Path, header: str, cell: str) -> Row:
    return rows(folder, f"name;{header}\na;{cell}\n")[0]


@pytest.mark.parametrize(
    ("header", "cell", "field", "value"),
    [
        ("RAM", "8 GiB", "ram", 2**33),
        ("RAM (GB)", "8", "ram", 8e9),
        ("RAM (GB)", "512 MB", "ram", 512e6),
        ("ram_gib", "7.8", "ram", 7.8 * 2**30),
        ("Up", "20 Mbit/s", "up", 2e7),
        ("Ping (ms)", "0", "rtt", 0),
        ("RAM (GB)", "", "ram", None),
    ],
)
def test_quantities(
    tmp_path: Path, header: str, cell: str, field: str, value: float | None
) -> None:
    assert row(tmp_path, header, cell).quantity(field) == value


@pytest.mark.parametrize(("cell", "value"), [("Yes", True), ("x", True), ("0", False), ("", False)])
def test_flags(tmp_path: Path, cell: str, value: bool) -> None:
    assert row(tmp_path, "Optional", cell).flag("optional") is value


# header, cell, how it is asked for, what the message says after "devices.csv:2: column 2 (...): "
WRONG_CELLS = [
    ("RAM", "8", "quantity", "ram", "'8' has no unit"),
    ("RAM", "eight", "quantity", "ram", "expected a number with one of the units B, kB"),
    ("RAM (GB)", "8 gig", "quantity", "ram", "found '8 gig'"),
    ("RAM (GB)", "-8 GB", "quantity", "ram", "must be above 0, found '-8 GB'"),
    ("RAM (GB)", "0", "quantity", "ram", "must be above 0"),
    ("Up", "20 Mbit", "quantity", "up", "did you mean Mbit/s?"),
    ("Count", "1,000", "whole", "count", "expected a whole number from 1, found '1,000'"),
    ("Count", "0", "whole", "count", "expected a whole number"),
    ("Optional", "maybe", "flag", "optional", "expected yes or no, found 'maybe'"),
]


@pytest.mark.parametrize(("header", "cell", "ask", "field", "message"), WRONG_CELLS)
def test_wrong_cells(
    tmp_path: Path, header: str, cell: str, ask: str, field: str, message: str
) -> None:
    with pytest.raises(FieldError) as caught:
        getattr(row(tmp_path, header, cell), ask)(field)
    assert f"devices.csv:2: column 2 ({header}): " in caught.value.message
    assert message in caught.value.message


WRONG_FILES: dict[str, tuple[str | bytes, type[FlexpError], str]] = {
    "no rows": ("name,device\n", EmptyDataError, "devices.csv: holds no devices"),
    "nothing": ("", FieldError, "devices.csv:1: no column is understood, found nothing"),
    "no headers": ("pc1,pi-5\npc2,pi-5\n", FieldError, "no column is understood, found pc1, pi-5"),
    "a cell too many": ("name,site\na,b\nc,d,e\n", SyntaxFileError, "devices.csv:3: 3 cells"),
    "open quotes": ('name,site\na,b\nc,"d\n', SyntaxFileError, "devices.csv:3: not valid CSV"),
    "latin-1": ("name,site\na,b\nc,K\xf6ln\n".encode("latin-1"), SyntaxFileError, ":3: not UTF-8"),
}


@pytest.mark.parametrize("case", WRONG_FILES)
def test_wrong_files(tmp_path: Path, case: str) -> None:
    text, kind, message = WRONG_FILES[case]
    with pytest.raises(kind) as caught:
        rows(tmp_path, text)
    assert message in caught.value.message


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        read_inventory(tmp_path / "no.csv", {})
