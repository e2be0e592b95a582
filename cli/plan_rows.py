"""A plan as rows for people: a client each, or a class whose members may do different things."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ..planner.plan import ClientPlan, Plan

By = Literal["client", "class"]

WORDS: dict[str, Callable[[list[str]], str]] = {
    "codec": " or ".join,
    "batch": lambda values: f"batch {' or '.join(values)}",
    "micro_batches": lambda values: f"in {' or '.join(values)} parts",
    "head": lambda values: f"head on the {' or the '.join(values)}",
    "checkpointing": lambda values: {
        "True": "checkpointing",
        "False": "no checkpointing",
    }.get(" ".join(values), "some with checkpointing"),
    "server": lambda values: f"on {values[0] if len(values) == 1 else f'{len(values)} servers'}",
}
"""What is chosen beside the depth, and how it is said."""


@dataclass(frozen=True)
class Row:
    """Devices that stand in one row."""

    name: str
    count: int
    entries: tuple[ClientPlan, ...]
    """With the members of this row alone."""

    @property
    def first(self) -> ClientPlan:
        return self.entries[0]

    @cached_property
    def depths(self) -> tuple[int, int]:
        depths = [entry.depth for entry in self.entries]
        return min(depths), max(depths)

    @property
    def depth_text(self) -> str:
        """ "2", "1–3", and "2+1" with a block at the top."""
        tops = sorted({entry.top for entry in self.entries})
        top = "" if tops == [0] else f"+{_span(tops)}"
        return _span(list(self.depths)) + top

    def mean(self, figure: str) -> float:
        """Of one figure of the prediction, over the devices."""
        total = sum(entry.count * getattr(entry.predicted, figure) for entry in self.entries)
        return float(total) / self.count

    def most(self, figure: str) -> float:
        return max(getattr(entry.predicted, figure) for entry in self.entries)

    def choices(self, fields: Sequence[str]) -> list[str]:
        """In words."""
        return [WORDS[field](_values(self.entries, field)) for field in fields]


def rows(made: Plan, by: By) -> list[Row]:
    """In the order of the plan."""
    if by == "client":
        return [row for entry in made.clients for row in _members(entry)]
    classes: dict[tuple[str, ...], list[ClientPlan]] = {}
    for entry in made.clients:
        single = entry.class_size == 1
        key = ("", entry.device, entry.link) if single else (entry.name,)
        classes.setdefault(key, []).append(entry)
    return [_class_row(entries) for entries in classes.values()]


def _members(entry: ClientPlan) -> Iterator[Row]:
    one = entry.model_copy(update={"count": 1})
    return (Row(name, 1, (one,)) for name in entry.members)


def _class_row(entries: Sequence[ClientPlan]) -> Row:
    names = {entry.name for entry in entries}
    others = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
    return Row(entries[0].name + others, sum(entry.count for entry in entries), tuple(entries))


def varying(made: Plan) -> list[str]:
    """The choices that not all clients of the plan have alike."""
    return [field for field in WORDS if len(_values(made.clients, field)) > 1]


def common(made: Plan) -> list[str]:
    """What all clients have alike and not every plan has, in words."""
    usual = {"micro_batches": ["1"], "head": ["device"], "checkpointing": ["False"]}
    found = {field: _values(made.clients, field) for field in WORDS if field != "server"}
    return [
        WORDS[field](values)
        for field, values in found.items()
        if len(values) == 1 and values != usual.get(field)
    ]


def _values(entries: Sequence[ClientPlan], field: str) -> list[str]:
    values = {getattr(entry, field) for entry in entries}
    return [str(value) for value in sorted(values)]


def _span(values: Sequence[int]) -> str:
    low, high = values[0], values[-1]
    return f"{low}" if low == high else f"{low}–{high}"
