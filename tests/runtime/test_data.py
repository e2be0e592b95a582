from __future__ import annotations

from pathlib import Path

import pyarrow
import pytest
from flexp.catalog.progress import no_progress
from flexp.errors import (
    EmptyDataError,
    FieldError,
    FlexpError,
    MissingFileError,
    SyntaxFileError,
    UnknownNameError,
)
from flexp.runtime.data import Row, load_data, read_file, read_newsgroups
from pyarrow import parquet

ROWS = (Row(text="good, really", label="pos", client="ada"), Row(text="bad", label="neg"))


def written(folder: Path, suffix: str) -> Path:
    path = folder / f"data{suffix}"
    if suffix == ".csv":
        path.write_text('text,label,client\n"good, really",pos,ada\nbad,neg,\n')
    elif suffix == ".jsonl":
        path.write_text(
            '{"text": "good, really", "label": "pos", "client": "ada"}\n\n'
            '{"text": "bad", "label": "neg", "client": null, "extra": 1}\n'
        )
    else:
        columns = {"text": [r.text for r in ROWS], "label": [r.label for r in ROWS]}
        parquet.write_table(pyarrow.table({**columns, "client": ["ada", None]}), path)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_every_format_gives_the_same_rows(tmp_path: Path, suffix: str) -> None:
    assert read_file(written(tmp_path, suffix)).rows == ROWS


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("a.csv", "text,label\n", EmptyDataError, "holds no rows"),
        ("a.csv", "", EmptyDataError, "holds no rows"),
        ("a.csv", "text,label\nx,\n", FieldError, "a.csv:2: label"),
        ("a.csv", "body,label\nx,y\n", FieldError, "a.csv:2: text.*found columns body, label"),
        ("a.csv", "text,label,split\nx,y,dev\n", FieldError, "train or test, found 'dev'"),
        ("a.jsonl", '{"text": "x", "label": "y"}\n{oops\n', SyntaxFileError, "a.jsonl:2"),
        ("a.jsonl", "[1, 2]\n", SyntaxFileError, "a.jsonl:1"),
        ("a.parquet", "text", SyntaxFileError, "not valid Parquet"),
        ("a.txt", "text", FieldError, ".txt is not a known data format"),
    ],
)
def test_bad_files_are_refused_by_line(
    tmp_path: Path, name: str, content: str, error: type[FlexpError], message: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(error, match=message):
        read_file(path)


def test_names_that_are_nothing_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="'newsgroups'"):
        load_data("newsgroups", no_progress)
    with pytest.raises(MissingFileError, match=r"nowhere\.csv"):
        load_data("nowhere.csv", no_progress)


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
