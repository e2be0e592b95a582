"""YAML as people write it: anchors and merges are taken, a key that stands twice is not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import pytest
import yaml
from flexp.catalog.files import Contract, content_hash, read_mapping
from flexp.catalog.lines import Place, file_line
from flexp.catalog.problems import LIMIT, Problems
from flexp.errors import FieldError, FlexpError, SyntaxFileError, UnknownNameError
from pydantic import Field, create_model


def test_merged_mappings_may_be_changed(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: &a {k: 1}\nb: &b {<<: *a, k: 2}\nc: {<<: *b, z: 3}\nd: [*a, *b, *b]\n")
    found = read_mapping(path)
    assert (found["b"], found["c"]) == ({"k": 2}, {"k": 2, "z": 3})
    assert found["d"] == [{"k": 1}, {"k": 2}, {"k": 2}]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "a: 0.10\nb: [+1, {c: null, d: 2024-12}]\n"),
        ("a.json", '{"a": 0.10, "b": [1, {"c": "null", "d": "2024-12"}]}'),
    ],
)
def test_as_written(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    found = read_mapping(path, as_written=True)
    assert found["a"] == "0.10" and found["b"][1] == {"c": "null", "d": "2024-12"}
    assert found["b"][0] == ("+1" if name == "a.yaml" else "1")
    assert read_mapping(path)["a"] == 0.1


def test_a_key_stands_once_as_written(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: 1\na: 2\n")
    with pytest.raises(SyntaxFileError, match=r"a\.yaml:2: .* stands twice"):
        read_mapping(path, as_written=True)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: 2\na: 3\n", 3),
        ("x:\n - {a: 1}\n - a: 1\n   a: 1\n", 4),
        ("a: &a {b: 1, b: 2}\n", 1),
        ("a: 1\nc: {<<: {b: 1, b: 2}}\n", 2),
        ("a: 1\nc: !!set {b, b}\n", 2),
        ("a: [{b: &b {x: 1}}]\nc: {<<: *b,\n<<: *b, x: 2, x: 3}\n", 3),
    ],
)
def test_a_key_stands_once(tmp_path: Path, text: str, line: int) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(SyntaxFileError, match=rf"a\.yaml:{line}: .* stands twice"):
        read_mapping(path)


@pytest.mark.parametrize("as_written", [False, True])
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\n[b, c]: 2\n", "2: .*a list or mapping can't be a key"),
        ("a: 1\nb: &b\n  c: *b\n", "2: .*recursive"),
        ("a: &a [1, *a]\n", "1: .*recursive"),
        ("a: {b: 1\nc: 2\n", "2: "),
        ("a: *b\n", "1: .*undefined alias"),
    ],
)
def test_what_is_no_tree_is_told(tmp_path: Path, text: str, problem: str, as_written: bool) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(SyntaxFileError, match=rf"a\.yaml:{problem}"):
        read_mapping(path, as_written=as_written)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: !!map [1]\n", "1: .*expected a mapping node"),
        ("a: !!seq {b: 1}\n", "1: .*expected a sequence node"),
        ("a: 1\nb: {<<: 1}\n", "2: .*expected a mapping or list of mappings"),
        ("a: !!python/tuple [1]\n", "1: .*could not determine a constructor"),
    ],
)
def test_tags_mean_what_they_say(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(SyntaxFileError, match=rf"a\.yaml:{problem}"):
        read_mapping(path)


def test_values_are_yamls_own(tmp_path: Path) -> None:
    text = """\
a: &a {n: 1, x: 1e-3, f: 1.5, t: yes, none: ~, day: 2024-12-01, set: !!set {p, q}}
b: [*a, {<<: [*a, {n: 2, z: 3}], f: 2}, [], {}, !!str 7, "7", 7]
1: {2: 3}
"""
    path = tmp_path / "a.yaml"
    path.write_text(text)
    assert read_mapping(path) == yaml.load(text, Loader=yaml.SafeLoader)
    assert read_mapping(path, as_written=True) == yaml.load(text, Loader=yaml.BaseLoader)


def test_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: 1\nb:\n  - c: 1\n  -\n    c: 2\n    d: 3\n")
    assert [
        file_line(path, location).rpartition(":")[2]
        for location in ((), ("a",), ("b", 0, "c"), ("b", 1, "d"), ("b", 1, "missing"))
    ] == ["1", "1", "3", "6", "5"]
    place = Place(path, ("b", 1), "client 'x'") / "d"
    assert str(place) == f"{path}:6: b.1.d: client 'x': "
    assert str(Place(None, ("b", 1), "client 'x'")) == "client 'x': "


def test_problems_are_told_together() -> None:
    problems = Problems()
    for error in (UnknownNameError("link", "x", ["a", "b"]), FieldError("second", "do that")):
        with problems.caught():
            raise error
    with pytest.raises(UnknownNameError) as caught:
        problems.done()
    assert caught.value.message == "unknown link 'x'\n  known: a, b\nsecond\n  do that"
    assert (caught.value.hint, caught.value.exit_code) == ("", 6)


def test_one_problem_is_itself() -> None:
    problems, error = Problems(), FieldError("only", "hint")
    with problems.caught():
        raise error
    with pytest.raises(FieldError) as caught:
        problems.done()
    assert caught.value is error
    Problems().done()


def test_so_many_problems_are_enough() -> None:
    problems, seen = Problems(), 0
    with pytest.raises(FlexpError, match="there may be more"):
        for seen in range(1, 2 * LIMIT):
            with problems.caught():
                raise FieldError(f"problem {seen}")
    assert seen == LIMIT


class Inner(Contract):
    rates: dict[str, float] = Field(default_factory=dict)


class Outer(Contract):
    inner: tuple[Inner, ...]


AB = {"a": 1.0, "b": 2.0}


@pytest.mark.parametrize(
    ("kind", "of"),
    [
        (dict[str, float], lambda mapping: mapping),
        (dict[str, float] | None, lambda mapping: mapping),
        (Mapping[str, float], lambda mapping: mapping),
        (dict, lambda mapping: mapping),
        (Any, lambda mapping: mapping),
        (Annotated[tuple[dict[str, float], ...], Field(min_length=1)], lambda mapping: (mapping,)),
        (Outer, lambda mapping: Outer(inner=(Inner(rates=mapping),))),
        (list[Outer | None], lambda mapping: [None, Outer(inner=(Inner(rates=mapping),))]),
    ],
)
def test_the_order_of_keys_does_not_change_the_hash(kind: Any, of: Any) -> None:
    made = create_model("Made", __base__=Contract, plain=(int, 1), field=(kind, ...))
    one, other = (made(field=of(dict(pairs))) for pairs in (AB.items(), reversed(AB.items())))
    assert one.model_dump_json() != other.model_dump_json()
    assert content_hash(one) == content_hash(other)
    assert content_hash(one) != content_hash(made(field=of({"a": 1.0, "b": 2.5})))
