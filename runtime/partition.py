"""Which client holds which rows: by a column of the data, or drawn with a seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import cycle
from random import Random

import numpy as np

from ..errors import EmptyDataError, FieldError, LabelError
from .data import Row, TextData

DEFAULT = "dirichlet:0.3"
"""For data without a client column."""
MOST_TEST_ROWS = 100
"""Of a client, where nothing is said: evaluation takes time."""
TEST_SHARE = 0.2
"""Share of the rows kept for testing where the data do not say."""


@dataclass(frozen=True, kw_only=True)
class ClientData:
    train: tuple[Row, ...]
    test: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True)
class Partition:
    """Every client's rows, and what had to be left out."""

    classes: tuple[str, ...]
    clients: dict[str, ClientData]
    notes: tuple[str, ...] = ()


def columns_read(columns: Mapping[str, str], scheme: str | None) -> dict[str, str]:
    """The columns of a file, with that of "by:COLUMN" as the client's. Raises FieldError."""
    kind, _, column = (scheme or "").partition(":")
    if kind != "by":
        return dict(columns)
    if not column or columns.get("client", column) != column:
        raise FieldError(
            f"--partition {scheme!r}: "
            + (f"--columns has client={columns['client']}" if column else "names no column"),
            "give the column once, as in --partition by:Site",
        )
    return {**columns, "client": column}


def divide(
    data: TextData,
    clients: tuple[str, ...],
    *,
    scheme: str | None,
    seed: int,
    train_samples: int | None,
    test_samples: int | None,
) -> Partition:
    """The rows of each of `clients`, by `scheme`:

    iid              every client draws from the same rows, without replacement
    dirichlet:ALPHA  so too, each by class shares of its own, drawn from Dirichlet(ALPHA)
    by:COLUMN        by the value in `Row.client`, read from that column: where clients are named
                     so, theirs; else each value's rows go together to a client, or are shared by
                     several where there are more clients than values
    none             by the client column, whose values are names; without one, DEFAULT

    `train_samples` and `test_samples` bound the rows of a client; None takes all there are, of the
    test rows at most MOST_TEST_ROWS.

    Raises EmptyDataError, LabelError or FieldError.
    """
    train, test = _split(data, seed)
    values = {row.client for row in data.rows} - {None}
    if scheme is None and not values:
        scheme = DEFAULT
    if scheme is not None and not scheme.startswith("by:"):
        alpha = _alpha(scheme)
        partition = _drawn(data, train, test, clients, alpha, seed, train_samples, test_samples)
    elif scheme is None or values & set(clients):
        partition = _by_name(data, train, test, clients, train_samples, test_samples)
    else:
        partition = _by_value(data, train, test, clients, train_samples, test_samples)
    for name, rows in partition.clients.items():
        if not rows.train or not rows.test:
            kind = "test" if rows.train else "training"
            raise EmptyDataError(
                f"client {name!r} has no {kind} rows in {data.name}",
                "give it rows, or take it out of the fleet",
            )
    _check_labels(data, partition)
    return partition


def _split(data: TextData, seed: int) -> tuple[list[Row], list[Row]]:
    """Training and test rows; where the data do not say, a seeded split that leaves every
    (client, label) pair at least one training row."""
    train = [row for row in data.rows if row.split == "train"]
    test = [row for row in data.rows if row.split == "test"]
    rest: dict[tuple[str | None, str], list[Row]] = {}
    for row in data.rows:
        if row.split is None:
            rest.setdefault((row.client, row.label), []).append(row)
    random = Random(seed)
    for group in rest.values():
        random.shuffle(group)
        held_out = int(len(group) * TEST_SHARE + random.random())
        held_out = min(held_out, len(group) - 1)
        test += group[:held_out]
        train += group[held_out:]
    for rows in (train, test):
        random.shuffle(rows)  # a file is often sorted, and a client may take the first rows only
    return train, test


def _by_name(
    data: TextData,
    train: list[Row],
    test: list[Row],
    clients: tuple[str, ...],
    train_samples: int | None,
    test_samples: int | None,
) -> Partition:
    known = set(clients)
    foreign = Counter(row.client or "(none)" for row in data.rows if row.client not in known)
    notes = [
        f"{count} rows of {name!r} are left out: the plan has no such client"
        for name, count in sorted(foreign.items())
    ]
    parts = {
        name: ClientData(
            train=tuple(row for row in train if row.client == name)[:train_samples],
            test=tuple(row for row in test if row.client == name)[: test_samples or MOST_TEST_ROWS],
        )
        for name in clients
    }
    return Partition(classes=data.classes, clients=parts, notes=tuple(notes))


def _by_value(
    data: TextData,
    train: list[Row],
    test: list[Row],
    clients: tuple[str, ...],
    train_samples: int | None,
    test_samples: int | None,
) -> Partition:
    """The largest value first, to the client with the fewest rows so far."""
    counts = Counter(row.client for row in data.rows)
    nameless = counts.pop(None, 0)
    owners: dict[str | None, list[str]] = {value: [] for value, _ in counts.most_common()}
    if len(owners) >= len(clients):
        given = dict.fromkeys(clients, 0)
        for value in owners:
            owner = min(given, key=lambda name: given[name])
            given[owner] += counts[value]
            owners[value].append(owner)
    else:
        for client, value in zip(clients, cycle(owners), strict=False):
            owners[value].append(client)
    notes = [f"rows of {value!r} go to {', '.join(names)}" for value, names in owners.items()]
    if nameless:
        notes.append(f"{nameless} rows are left out: their column is empty")
    parts: dict[str, tuple[list[Row], list[Row]]] = {name: ([], []) for name in clients}
    for place, rows in enumerate((train, test)):
        turns = {value: cycle(names) for value, names in owners.items()}
        for row in rows:
            if row.client is not None:
                parts[next(turns[row.client])][place].append(row)
    return Partition(
        classes=data.classes,
        clients={
            name: ClientData(
                train=tuple(own[:train_samples]),
                test=tuple(held_out[: test_samples or MOST_TEST_ROWS]),
            )
            for name, (own, held_out) in parts.items()
        },
        notes=tuple(notes),
    )


def _alpha(scheme: str) -> float:
    """Dirichlet's concentration; infinity for iid."""
    if scheme == "iid":
        return float("inf")
    kind, _, value = scheme.partition(":")
    try:
        alpha = float(value)
    except ValueError:
        alpha = 0.0
    if kind != "dirichlet" or not alpha > 0:
        raise FieldError(
            f"--partition {scheme!r} is not known",
            "use iid, dirichlet:ALPHA (as in dirichlet:0.3) or by:COLUMN",
        )
    return alpha


def _drawn(
    data: TextData,
    train: list[Row],
    test: list[Row],
    clients: tuple[str, ...],
    alpha: float,
    seed: int,
    train_samples: int | None,
    test_samples: int | None,
) -> Partition:
    random = np.random.default_rng(seed)
    classes = data.classes
    pools = [_by_class(rows, classes, random) for rows in (train, test)]
    counts = [
        _per_client(rows, len(clients), asked, kind)
        for rows, asked, kind in (
            (train, train_samples, "training"),
            (test, test_samples, "test"),
        )
    ]
    if test_samples is None:
        counts[1] = min(counts[1], MOST_TEST_ROWS)
    frequencies = np.array([len(pool) for pool in pools[0]], dtype=float)
    weights = [
        frequencies if np.isinf(alpha) else random.dirichlet([alpha] * len(classes)) + 1e-9
        for _ in clients
    ]
    trained = _draw(pools[0], weights, counts[0], random)
    seen = np.isin(classes, [row.label for rows in trained for row in rows])
    tested = _draw(pools[1], [weight * seen for weight in weights], counts[1], random)
    parts = {
        name: ClientData(train=tuple(own), test=tuple(held_out))
        for name, own, held_out in zip(clients, trained, tested, strict=True)
    }
    return Partition(classes=tuple(np.array(classes)[seen].tolist()), clients=parts)


def _per_client(rows: list[Row], clients: int, asked: int | None, kind: str) -> int:
    available = len(rows) // clients
    if asked is None:
        return available
    if asked > available:
        raise EmptyDataError(
            f"{clients} clients with {asked} {kind} rows each need {asked * clients}; "
            f"the data hold {len(rows)}",
            f"ask for at most {available} rows a client",
        )
    return asked


def _by_class(
    rows: list[Row], classes: tuple[str, ...], random: np.random.Generator
) -> list[list[Row]]:
    pools: dict[str, list[Row]] = {label: [] for label in classes}
    for row in rows:
        pools[row.label].append(row)
    for pool in pools.values():
        random.shuffle(pool)
    return list(pools.values())


def _draw(
    pools: list[list[Row]], weights: list[np.ndarray], count: int, random: np.random.Generator
) -> list[list[Row]]:
    """`count` rows for each client by its class weights, without replacement, the clients taking
    turns; an emptied class passes its weight on to the others."""
    rows: list[list[Row]] = [[] for _ in weights]
    for _ in range(count):
        for own, weight in zip(rows, weights, strict=True):
            left = weight * np.array([len(pool) > 0 for pool in pools])
            if left.sum() > 0:
                own.append(pools[random.choice(len(pools), p=left / left.sum())].pop())
    return rows


def _check_labels(data: TextData, partition: Partition) -> None:
    trained = {row.label for part in partition.clients.values() for row in part.train}
    for label in partition.classes:
        if label not in trained:
            owners = sorted({row.client or "(none)" for row in data.rows if row.label == label})
            raise LabelError(
                f"{data.name}: label {label!r} is seen by no client in training "
                f"(its rows belong to {', '.join(owners)})",
                "give a client of the plan training rows with this label, or drop the label",
            )
