"""The table of a comparison: a row for each algorithm, its figures as means over seeds, and their
paired differences against a reference."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from pydantic import NonNegativeInt

from ...catalog.files import Contract
from .cell import CellResult
from .intervals import Estimate, estimate


class Row(Contract):
    """Figures of one algorithm."""

    label: str
    personal: Estimate
    """Accuracy on a client's own test rows, mean over the clients, 0 to 1."""
    worst: Estimate
    """Of the worst client."""
    overall: Estimate
    """Accuracy of a client's model on everyone's test rows, mean over the clients."""
    client_bytes: Estimate
    """Up and down in the run, mean over the clients."""
    device_flops: Estimate
    """In the run, mean over the clients."""
    peak_memory_bytes: Estimate
    """Of the device with the most, as planned."""
    misfits: NonNegativeInt
    """Devices that do not have so much memory."""
    seconds: Estimate
    """On the fleet's clock, until the last client was done."""
    target_seconds: Estimate | None
    """Until the target was reached, over the seeds in which it was."""
    reached: NonNegativeInt
    """Seeds in which it was."""
    personal_difference: Estimate | None
    """The reference's less this row's, over the seeds that both have; none for the reference."""
    overall_difference: Estimate | None
    time_ratio: Estimate | None
    """This row's time to the target over the reference's."""


class Table(Contract):
    schema_version: Literal[1] = 1
    reference: str
    target: float | None
    """Personal accuracy; none: in each seed the lowest that an algorithm ended with, which all
    reach."""
    rows: tuple[Row, ...]

    def row(self, label: str) -> Row:
        return next(row for row in self.rows if row.label == label)


def make_table(results: Sequence[CellResult], target: float | None) -> Table:
    """Of at least one result; the reference is the first one's algorithm. Labels keep the order in
    which they come."""
    by_label: dict[str, dict[int, CellResult]] = {}
    for result in results:
        by_label.setdefault(result.label, {})[result.seed] = result
    reference = next(iter(by_label))
    targets = {
        seed: target if target is not None else lowest(results, seed)
        for seed in {result.seed for result in results}
    }
    rows = tuple(_row(label, own, by_label[reference], targets) for label, own in by_label.items())
    return Table(reference=reference, target=target, rows=rows)


def lowest(results: Sequence[CellResult], seed: int) -> float:
    """The lowest mean personal accuracy that an algorithm ended with in a seed."""
    return min(result.personal for result in results if result.seed == seed)


def _row(
    label: str,
    own: Mapping[int, CellResult],
    reference: Mapping[int, CellResult],
    targets: Mapping[int, float],
) -> Row:
    def over(figure: Callable[[CellResult], float]) -> Estimate:
        found = estimate([figure(result) for result in own.values()])
        assert found is not None
        return found

    def paired(figure: Callable[[CellResult, CellResult, float], float | None]) -> Estimate | None:
        if own is reference:
            return None
        both = [
            figure(reference[seed], own[seed], targets[seed]) for seed in own if seed in reference
        ]
        return estimate([value for value in both if value is not None])

    times = [
        seconds
        for seed, result in own.items()
        if (seconds := result.seconds_to(targets[seed])) is not None
    ]
    return Row(
        label=label,
        personal=over(lambda result: result.personal),
        worst=over(lambda result: result.worst),
        overall=over(lambda result: result.overall),
        client_bytes=over(lambda result: _mean(result, "up_bytes") + _mean(result, "down_bytes")),
        device_flops=over(lambda result: _mean(result, "device_flops")),
        peak_memory_bytes=over(
            lambda result: max(client.peak_memory_bytes for client in result.clients.values())
        ),
        misfits=max(
            sum(not client.fits for client in result.clients.values()) for result in own.values()
        ),
        seconds=over(lambda result: max(c.seconds for c in result.clients.values())),
        target_seconds=estimate(times),
        reached=len(times),
        personal_difference=paired(lambda ref, row, _: ref.personal - row.personal),
        overall_difference=paired(lambda ref, row, _: ref.overall - row.overall),
        time_ratio=paired(_time_ratio),
    )


def _time_ratio(reference: CellResult, row: CellResult, target: float) -> float | None:
    ours, theirs = reference.seconds_to(target), row.seconds_to(target)
    return None if not ours or theirs is None else theirs / ours


def _mean(result: CellResult, field: str) -> float:
    values = [getattr(client, field) for client in result.clients.values()]
    return sum(values) / len(values)


def csv_text(table: Table) -> str:
    """A line for each row; an estimate is two columns, NAME and NAME_95."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    header = ["label", "seeds", "misfits", "reached"]
    estimates = [name for name in Row.model_fields if name not in header]
    writer.writerow([*header, *(f"{n}{end}" for n in estimates for end in ("", "_95"))])
    for row in table.rows:
        line: list[object] = [row.label, row.personal.seeds, row.misfits, row.reached]
        for name in estimates:
            found: Estimate | None = getattr(row, name)
            line += ["", ""] if found is None else [found.mean, found.half_width]
        writer.writerow(["" if value is None else value for value in line])
    return file.getvalue()
