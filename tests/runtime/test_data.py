from __future__ import annotations

from pathlib import Path

import pyarrow
import pytest
from flexp.catalog.progress import no_progress
from flexp.errors import (
    EmptyDataError,
    FieldError,
    MissingFileError,
    SyntaxFileError,
    UnknownNameError,
)
from flexp.runtime.data import Row, load_data, parse_columns, read_file, read_newsgroups
from pyarrow import parquet

ROWS = (Row(text="good, really", label="pos", client="ada"), Row(text="bad", label="neg"))


def written(folder: Path, suffix: str) -> Path:
    path = folder / f"data{suffix}"
    if suffix == ".csv":
        path.write_text('\ufefftext,label,client\n"good, really",pos,ada\n\nbad,neg\n')
    elif suffix == ".tsv":
        path.write_text("text\tlabel\tclient\ngood, really\tpos\tada\nbad\tneg\t\n")
    elif suffix == ".jsonl":
        path.write_text(
            '{"text": "good, really", "label": "pos", "client": "ada"}\n\n'
            '{"text": "bad", "label": "neg", "client": null, "extra": 1}\n'
        )
    else:
        columns = {"text": [r.text for r in ROWS], "label": [r.label for r in ROWS]}
        parquet.write_table(pyarrow.table({**columns, "client": ["ada", None]}), path)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_every_format_gives_the_same_rows(tmp_path: Path, suffix: str) -> None:
    assert read_file(written(tmp_path, suffix)).rows == ROWS


BAD_FILES = {
    "no rows": ("a.csv", "text,label\n", EmptyDataError, "holds no rows"),
    "nothing": ("a.csv", "", EmptyDataError, "holds no rows"),
    "no label": ("a.csv", "text,label\nx,\n", FieldError, r"a\.csv:2: label: empty$"),
    "no labels": (
        "a.csv",
        "text,label\n" + 'x,\ny,1\n"long\ntext",\n' * 4,
        FieldError,
        r"a\.csv:2: label: empty \(also in 4, 6, 8, 10, \.\.\.: 8 rows\)",
    ),
    "two problems": (
        "a.csv",
        "text,label\nx,\n,y\n",
        FieldError,
        r"a\.csv:2: label: empty\n.*a\.csv:3: text: empty",
    ),
    "no column": (
        "a.csv",
        "body,label\nx,y\n",
        FieldError,
        "a.csv:2: no column 'text' for the text, found body, label",
    ),
    "no such split": (
        "a.csv",
        "text,label,split\nx,y,dev\n",
        FieldError,
        "a.csv:2: split: must be train or test, found 'dev'",
    ),
    "bare comma": ("a.csv", "text,label\na, b,y\n", SyntaxFileError, "a.csv:2: 3 values for 2"),
    "bare quote": ("a.csv", 'text,label\n"a" b,y\n', SyntaxFileError, "a.csv:2: not valid CSV"),
    "semicolons": ("a.csv", "text;label\nx;y\n", SyntaxFileError, "a.csv:1: .* semicolons"),
    "two of a name": ("a.csv", "text,text\nx,y\n", SyntaxFileError, "two columns are named 'text'"),
    "no UTF-8": ("a.csv", b"text,label\nx,y\ncaf\xe9,y\n", SyntaxFileError, "a.csv:3: not UTF-8"),
    "broken JSON": (
        "a.jsonl",
        '{"text": "x", "label": "y"}\n{oops\n',
        SyntaxFileError,
        "a.jsonl:2",
    ),
    "no object": ("a.jsonl", "[1, 2]\n", SyntaxFileError, "a.jsonl:1"),
    "list for a text": (
        "a.jsonl",
        '{"text": ["x"], "label": "y"}\n',
        FieldError,
        "a.jsonl:1: text: must be text or a number, found list",
    ),
    "no Parquet": ("a.parquet", "text", SyntaxFileError, "not valid Parquet"),
    "no format": ("a.txt", "text", FieldError, ".txt is not a known data format"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files_are_refused_by_line(tmp_path: Path, case: str) -> None:
    name, content, error, message = BAD_FILES[case]
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(error, match=message):
        read_file(path)


def test_columns_of_other_names(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("Body,Topic,Site,split\nhello,greeting,north,test\n")
    columns = parse_columns("text=Body, label=Topic,client=Site")
    (row,) = read_file(path, columns).rows
    assert row == Row(text="hello", label="greeting", client="north", split="test")
    with pytest.raises(FieldError, match="no column 'Place' for the client, found Body, Topic"):
        read_file(path, columns | {"client": "Place"})


@pytest.mark.parametrize("text", ["", "text", "text=", "=Body", "txt=Body", "text=A,text=B"])
def test_bad_column_mappings_are_refused(text: str) -> None:
    with pytest.raises(FieldError, match="--columns"):
        parse_columns(text)


def test_names_that_are_nothing_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="'newsgroups'"):
        load_data("newsgroups", {}, no_progress)
    with pytest.raises(MissingFileError, match=r"nowhere\.csv"):
        load_data("nowhere.csv", {}, no_progress)
    with pytest.raises(FieldError, match="--columns: 20newsgroups is a data set"):
        load_data("20newsgroups", {"text": "Body"}, no_progress)


def test_newsgroups_skips_its_three_header_lines(tmp_path: Path) -> None:
    table = "Category\tText\nd\tstring\nclass\t\nsci.space\trocket fuel\nsci.med\t\n"
    files = {}
    for split in ("train", "test"):
        files[split] = tmp_path / f"{split}.tab"
        files[split].write_text(table)
    data = read_newsgroups(files, {"sci.space": "space"})
    assert data.rows == (
        Row(text="rocket fuel", label="sci.space", split="train"),
        Row(text="rocket fuel", label="sci.space", split="test"),
    )
    files["test"].write_text("what\tis this\n")
    with pytest.raises(SyntaxFileError, match=r"test\.tab:1"):
        read_newsgroups(files, {})


def test_the_fingerprint_follows_every_field() -> None:
    from dataclasses import replace

    from .jobs import text_data

    data = text_data()
    prints = {data.fingerprint()}
    for field in ("text", "label", "client"):
        changed = replace(data.rows[0], **{field: "other"})
        prints.add(replace(data, rows=(changed, *data.rows[1:])).fingerprint())
    assert len(prints) == 4
