"""What a plan is to be best at: metrics, their mixes, and one after another.

total                      seconds of a round, summed over the clients by their weights
slowest,energy             the slowest client first; among the best, the least energy
total+0.5*energy           one mixed objective: 1 second counts as much as 2 joules
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import FieldError
from .figures import Figures
from .machines import Clients, Servers
from .menu import Menu
from .solver.problem import FloatArray
from .value import ValueCurve

SLOWEST = "slowest"
ABSENT = "absent"
TERM = re.compile(r"(?:(?P<weight>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\*)?(?P<metric>[a-z]+)\Z")


@dataclass(frozen=True, eq=False)
class Setting:
    """What metrics are computed from."""

    menu: Menu
    clients: Clients
    servers: Servers
    figures: Figures
    blocks: int
    value: ValueCurve


@dataclass(frozen=True)
class Metric:
    """cost = time · step seconds with waiting + fixed, for one client that takes a variant."""

    unit: str
    meaning: str
    fixed: Callable[[Setting], FloatArray] | None = None
    """[n, O, K], or a shape that broadcasts to it."""
    per_second: Callable[[Setting], FloatArray] | None = None


def _rounds(setting: Setting) -> FloatArray:
    return setting.menu.steps_per_round[None, :, None]


def _weighted_rounds(setting: Setting) -> FloatArray:
    return setting.clients.weight[:, None, None] * _rounds(setting)


def _server_seconds(setting: Setting) -> FloatArray:
    return setting.figures.server_seconds * _rounds(setting)


def _cost(setting: Setting) -> FloatArray:
    per_second = setting.servers.cost_per_hour / setting.servers.accelerators / 3600
    return _server_seconds(setting) * per_second[None, None, :]


def _energy(setting: Setting) -> FloatArray:
    device = setting.figures.device_seconds * setting.clients.watts[:, None, None]
    server = setting.figures.server_seconds * np.nan_to_num(setting.servers.watts)[None, None, :]
    return (device + server) * _rounds(setting)


def _server_blocks(setting: Setting) -> FloatArray:
    return (setting.blocks - setting.menu.private_blocks).astype(float)[None, :, None]


def _lost_value(setting: Setting) -> FloatArray:
    values = setting.value.at(setting.menu.depth / setting.blocks)
    best = setting.value.best
    return (best - values)[None, :, None] * setting.clients.weight[:, None, None]


def _bytes(setting: Setting) -> FloatArray:
    moved = setting.menu.column("up_bytes") + setting.menu.column("down_bytes")
    return (moved * setting.menu.steps_per_round)[None, :, None]


METRICS: dict[str, Metric] = {
    "total": Metric("s", "seconds of everyone's round, by weight", per_second=_weighted_rounds),
    SLOWEST: Metric("s", "seconds of the slowest client's round", per_second=_rounds),
    "server": Metric("s", "the server's work for everyone's round", _server_seconds),
    "cost": Metric("money", "the server's hours for everyone's round, as priced", _cost),
    "energy": Metric("J", "energy of devices and server for everyone's round", _energy),
    "depth": Metric("blocks", "blocks that are not on their client's device", _server_blocks),
    "value": Metric("value", "what the depths lose of the curve's best, by weight", _lost_value),
    "bytes": Metric("bytes", "bytes up and down of everyone's round", _bytes),
    ABSENT: Metric("weight", "weight of the optional clients that take no part"),
}


@dataclass(frozen=True)
class Objective:
    """A metric, or a weighted sum of several."""

    terms: tuple[tuple[float, str], ...]

    @property
    def slowest(self) -> bool:
        return self.terms[0][1] == SLOWEST

    @property
    def name(self) -> str:
        return "+".join(m if w == 1 else f"{w:g}*{m}" for w, m in self.terms)

    @property
    def unit(self) -> str:
        units = {METRICS[metric].unit for _, metric in self.terms}
        return units.pop() if len(units) == 1 and len(self.terms) == 1 else ""

    def per_second(self, setting: Setting) -> FloatArray:
        parts = [
            weight * metric.per_second(setting)
            for weight, name in self.terms
            if (metric := METRICS[name]).per_second is not None
        ]
        return sum(parts[1:], parts[0]) if parts else np.zeros((1, 1, 1))

    def fixed(self, setting: Setting) -> FloatArray:
        parts = [
            weight * metric.fixed(setting)
            for weight, name in self.terms
            if (metric := METRICS[name]).fixed is not None
        ]
        return sum(parts[1:], parts[0]) if parts else np.zeros((1, 1, 1))

    def uses(self, metric: str) -> bool:
        return any(name == metric for _, name in self.terms)


def parse_objective(text: str) -> tuple[Objective, ...]:
    """ "slowest,total+0.5*energy" -> two objectives. Raises FieldError with what can be given."""
    objectives = []
    for part in text.split(","):
        terms = []
        for word in part.split("+"):
            found = TERM.match(word.strip())
            if found is None or found["metric"] not in METRICS:
                raise FieldError(
                    f"--objective: {word.strip()!r} is not a metric, in {text!r}",
                    f"metrics are {', '.join(METRICS)}; a comma puts one after the other, as in "
                    "slowest,energy, and + mixes them, as in total+0.5*energy",
                )
            terms.append((float(found["weight"] or 1), found["metric"]))
        if len(terms) > 1 and any(metric == SLOWEST for _, metric in terms):
            raise FieldError(
                f"--objective: {SLOWEST} can't be mixed with others, in {part.strip()!r}",
                f"put it before or after the others: {SLOWEST},total",
            )
        objectives.append(Objective(tuple(terms)))
    return tuple(objectives)


def check_known(objectives: tuple[Objective, ...], clients: Clients, servers: Servers) -> None:
    """Raises FieldError where a figure that a metric needs is not known."""
    for metric, values, what, where in (
        ("energy", clients.watts, "the power of every client's device", "watts in its device"),
        ("cost", servers.cost_per_hour, "what every server costs", "cost_per_hour in the server"),
    ):
        if any(objective.uses(metric) for objective in objectives) and np.isnan(values).any():
            raise FieldError(
                f"--objective {metric}: needs {what}, unknown for {int(np.isnan(values).sum())} "
                f"of {len(values)}",
                f"add {where}, or choose another objective",
            )
