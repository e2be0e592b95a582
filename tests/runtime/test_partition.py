from __future__ import annotations

import re
from collections import Counter

import pytest
from flexp.errors import EmptyDataError, FieldError, FlexpError, LabelError
from flexp.runtime.data import Row, TextData
from flexp.runtime.partition import Partition, columns_read, divide
from hypothesis import given, settings
from hypothesis import strategies as st

CLIENTS = ("ada", "bo", "cy")


def data(*rows: Row) -> TextData:
    return TextData(name="toy.csv", rows=rows, class_names={})


def pool(count: int, classes: int = 4, **fields: str) -> list[Row]:
    return [
        Row(text=f"text {n} {fields}", label=f"label-{n % classes}", **fields) for n in range(count)
    ]


def split_by(
    rows: list[Row], scheme: str | None = "iid", seed: int = 0, train: int | None = None
) -> Partition:
    return divide(
        data(*rows), CLIENTS, scheme=scheme, seed=seed, train_samples=train, test_samples=None
    )


@settings(max_examples=30)
@given(
    count=st.integers(60, 300),
    seed=st.integers(0, 1000),
    scheme=st.sampled_from(["iid", "dirichlet:0.1", "dirichlet:5"]),
)
def test_no_row_is_given_twice_and_training_and_test_do_not_meet(
    count: int, seed: int, scheme: str
) -> None:
    result = split_by(pool(count), scheme, seed)
    given_rows = [row for part in result.clients.values() for row in (*part.train, *part.test)]
    assert len(given_rows) == len({row.text for row in given_rows})
    trained = {row.label for part in result.clients.values() for row in part.train}
    assert set(result.classes) == trained
    assert split_by(pool(count), scheme, seed) == result


def test_a_small_alpha_gives_each_client_few_classes() -> None:
    def classes(scheme: str) -> float:
        parts = split_by(pool(2000, classes=20), scheme, train=100).clients.values()
        return sum(len({row.label for row in part.train}) for part in parts) / len(parts)

    assert classes("dirichlet:0.05") < classes("dirichlet:0.5") < classes("iid")


@pytest.mark.parametrize("scheme", [None, "by:site"])
def test_the_client_column_decides(scheme: str | None) -> None:
    rows = [row for name in CLIENTS for row in pool(20, client=name)]
    result = split_by(rows, scheme)
    for name, part in result.clients.items():
        assert {row.client for row in (*part.train, *part.test)} == {name}
        assert len(part.train) + len(part.test) == 20


def test_rows_of_a_stranger_are_left_out_and_said_so() -> None:
    rows = [row for name in (*CLIENTS, "eve") for row in pool(20, client=name)]
    result = split_by(rows, None)
    assert result.notes == ("20 rows of 'eve' are left out: the plan has no such client",)


def test_a_split_column_is_kept() -> None:
    rows = [
        row
        for name in CLIENTS
        for row in (*pool(8, client=name, split="train"), *pool(4, client=name, split="test"))
    ]
    for part in split_by(rows, None).clients.values():
        assert Counter(row.split for row in part.train) == {"train": 8}
        assert Counter(row.split for row in part.test) == {"test": 4}


def test_without_a_client_column_rows_are_drawn() -> None:
    assert split_by(pool(90), None) == split_by(pool(90), "dirichlet:0.3")


def test_a_scheme_that_is_named_passes_over_the_client_column() -> None:
    parts = split_by(pool(90, client="ada"), "iid").clients
    assert [len(part.train) for part in parts.values()] == [24, 24, 24]


def rows_of(result: Partition, name: str) -> Counter[str | None]:
    return Counter(r.client for r in (*result.clients[name].train, *result.clients[name].test))


def test_values_that_are_no_names_go_to_clients_whole() -> None:
    sizes = {"north": 40, "south": 24, "east": 20, "west": 12}
    rows = [row for value, size in sizes.items() for row in pool(size, client=value)]
    result = split_by(rows, "by:site")
    assert rows_of(result, "ada") == {"north": 40}
    assert rows_of(result, "bo") == {"south": 24}
    assert rows_of(result, "cy") == {"east": 20, "west": 12}
    assert result.notes[0] == "rows of 'north' go to ada"


def test_a_value_is_shared_where_there_are_fewer_values_than_clients() -> None:
    rows = [*pool(40, client="north"), *pool(20, client="south"), *pool(7)]
    result = split_by(rows, "by:site")
    assert rows_of(result, "bo") == {"south": 20}
    assert sum((rows_of(result, name) for name in ("ada", "cy")), Counter()) == {"north": 40}
    assert abs(len(result.clients["ada"].train) - len(result.clients["cy"].train)) <= 1
    assert "7 rows are left out: their column is empty" in result.notes


def test_a_bound_takes_rows_of_every_class() -> None:
    """A file that is sorted by class gives a client all its classes, not the first ones."""
    rows = [
        Row(text=f"{n}", label=f"{n // 30}", client=name) for name in CLIENTS for n in range(90)
    ]
    for part in split_by(rows, None, train=30).clients.values():
        assert len({row.label for row in part.train}) == 3


@pytest.mark.parametrize("scheme", ["iid", None, "by:site"])
def test_a_client_has_at_most_100_test_rows_unless_more_are_asked_for(scheme: str | None) -> None:
    value = {"iid": "{}", None: "{}", "by:site": "site of {}"}[scheme]
    rows = [row for name in CLIENTS for row in pool(150, client=value.format(name), split="test")]
    rows += [row for name in CLIENTS for row in pool(9, client=value.format(name), split="train")]
    assert {len(part.test) for part in split_by(rows, scheme).clients.values()} == {100}
    asked = divide(
        data(*rows), CLIENTS, scheme=scheme, seed=0, train_samples=None, test_samples=140
    )
    assert {len(part.test) for part in asked.clients.values()} == {140}


@pytest.mark.parametrize(
    ("columns", "scheme", "read"),
    [
        ({}, None, {}),
        ({"text": "Body"}, "iid", {"text": "Body"}),
        ({"text": "Body"}, "by:Site", {"text": "Body", "client": "Site"}),
        ({"client": "Site"}, "by:Site", {"client": "Site"}),
    ],
)
def test_by_column_names_the_clients_column(
    columns: dict[str, str], scheme: str | None, read: dict[str, str]
) -> None:
    assert columns_read(columns, scheme) == read


@pytest.mark.parametrize("scheme", ["by:", "by:Place"])
def test_two_columns_for_the_client_are_refused(scheme: str) -> None:
    with pytest.raises(FieldError, match="--partition 'by:"):
        columns_read({"client": "Site"}, scheme)


@pytest.mark.parametrize(
    ("rows", "scheme", "train", "error", "message"),
    [
        (pool(20, client="ada"), None, None, EmptyDataError, "client 'bo' has no training rows"),
        (pool(2), "iid", None, EmptyDataError, "no training rows"),
        (pool(60), "iid", 50, EmptyDataError, "at most 1[5-7] rows"),
        (pool(60), "by-hand", None, FieldError, "--partition 'by-hand'"),
        (pool(60), "dirichlet:-1", None, FieldError, "--partition"),
        (pool(60), "dirichlet:x", None, FieldError, "--partition"),
        (
            [r for n in CLIENTS for r in pool(20, client=n)]
            + [Row(text="odd", label="odd", client="eve")],
            None,
            None,
            LabelError,
            "label 'odd' is seen by no client",
        ),
    ],
)
def test_bad_data_are_refused(
    rows: list[Row], scheme: str | None, train: int | None, error: type[FlexpError], message: str
) -> None:
    with pytest.raises(error) as caught:
        split_by(rows, scheme, train=train)
    assert re.search(message, f"{caught.value.message} {caught.value.hint}")
