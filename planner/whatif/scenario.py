"""Scenarios: what is changed, from a file or from options, and applied to a situation.

schema_version: 1
scenarios:
  - name: more memory
    set: {tablets.ram: +4GiB, links.wifi.up: x2}
    drop: [kind=tablet-2017]
    add: [20:laptop-2019]
    servers: +1
  - name: wifi
    set: {links.wifi.up: x0.5..x2/4}     # a sweep: four scenarios
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, PositiveInt, ValidationError

from ...catalog.device import Link
from ...catalog.field_errors import field_error
from ...catalog.files import Contract, WrittenOne, read_mapping
from ...catalog.lines import Place
from ...errors import FieldError, UnknownNameError
from ..fleet import ResolvedClient, ResolvedFleet
from .amount import parse_amount, product_of, sweep_values
from .fields import CLIENT, set_figure
from .situation import Names, Situation, Where
from .targets import server_called, set_value

KEYS = ("kind", "name", "link")
"""By which clients are dropped."""


def _sweep(value: object) -> object:
    """A list of texts as one text."""
    texts = isinstance(value, list) and all(isinstance(item, str) for item in value)
    return ",".join(value) if texts else value  # type: ignore[arg-type]


class Scenario(Contract):
    """Changes that happen together; each is text, as on the command line."""

    name: str = Field(min_length=1)
    set: dict[str, Annotated[str, BeforeValidator(_sweep)]] = Field(default_factory=dict)
    """Figures by WHO.FIELD: "+4GiB", "x2", "-10%" or a value; a range or a list is a sweep."""
    drop: tuple[str, ...] = ()
    """Clients that go: kind=DEVICE, name=NAME or link=LINK; * stands for any text."""
    add: tuple[str, ...] = ()
    """Clients that come: COUNT:DEVICE, COUNT:CLASS or COUNT:DEVICE@LINK."""
    servers: str | None = None
    """How many: "+1", "x2" or a number; a range is a sweep."""
    model: str | None = None
    """What is trained instead of the baseline's."""
    batch: PositiveInt | None = None
    """Samples a step; a round keeps its samples."""

    @property
    def changes(self) -> bool:
        """Whether it changes anything."""
        return bool(self.set or self.drop or self.add or self.servers or self.model or self.batch)


class ScenarioFile(Contract):
    schema_version: WrittenOne
    scenarios: tuple[Scenario, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Asked:
    """A scenario and where it was said."""

    scenario: Scenario
    places: Mapping[str, Where] = field(default_factory=dict)
    """Of its parts: "set.tablets.ram", "drop.0", "servers"; begins an error's message."""

    def where(self, part: str) -> Where:
        return self.places.get(part, "")


def read_scenarios(path: Path) -> tuple[Asked, ...]:
    """Raises MissingFileError, SyntaxFileError or FieldError with file, line and field.

    Values are taken as they are written: YAML would make the number 1 of "+1".
    """
    data = read_mapping(path, as_written=True)
    try:
        content = ScenarioFile.model_validate(data)
    except ValidationError as error:
        raise field_error(path, data, error) from error
    seen = set()
    for number, scenario in enumerate(content.scenarios):
        if scenario.name in seen:
            place = Place(path, ("scenarios", number, "name"))
            raise FieldError(f"{place}two scenarios are named {scenario.name!r}", "rename one")
        seen.add(scenario.name)
    return tuple(
        Asked(scenario, _places(path, number, scenario))
        for number, scenario in enumerate(content.scenarios)
    )


def _places(path: Path, number: int, scenario: Scenario) -> dict[str, Where]:
    root = Place(path, ("scenarios", number), f"scenario {scenario.name!r}")
    places: dict[str, Where] = {part: root / part for part in ("servers", "model", "batch")}
    for target in scenario.set:
        places[f"set.{target}"] = root / "set" / target
    for part, words in (("drop", scenario.drop), ("add", scenario.add)):
        for index in range(len(words)):
            places[f"{part}.{index}"] = root / part / index
    return places


def expand(asked: Asked) -> Iterator[Asked]:
    """Every scenario of a sweep; the scenario itself where it has none. Raises FieldError."""
    scenario = asked.scenario
    sweeps: dict[str, tuple[str, ...]] = {}
    swept = {f"set.{key}": value for key, value in scenario.set.items()}
    if scenario.servers is not None:
        swept["servers"] = scenario.servers
    for part, text in swept.items():
        try:
            sweeps[part] = sweep_values(text)
        except ValueError as error:
            raise FieldError(f"{asked.where(part)}{error}") from None
    try:
        combinations = product_of(sweeps)
    except ValueError as error:
        raise FieldError(f"scenario {scenario.name!r}: {error}", "sweep fewer values") from None
    several = [part for part, values in sweeps.items() if len(values) > 1]
    for values in combinations:
        said = [f"{part.removeprefix('set.')}={values[part]}" for part in several]
        name = scenario.name
        if several:
            name = ", ".join(said if name == SWEPT else [f"{name}: {said[0]}", *said[1:]])
        chosen = {key: values[f"set.{key}"] for key in scenario.set}
        yield replace(
            asked,
            scenario=scenario.model_copy(
                update={"name": name, "set": chosen, "servers": values.get("servers")}
            ),
        )


SWEPT = "sweep"
"""Name of a scenario whose sweep alone names its members."""


def words(scenario: Scenario) -> tuple[str, ...]:
    """Its changes as on the command line."""
    return (
        *(f"{target}={value}" for target, value in scenario.set.items()),
        *(f"drop {word}" for word in scenario.drop),
        *(f"add {word}" for word in scenario.add),
        *([f"servers {scenario.servers}"] if scenario.servers else []),
        *([f"model {scenario.model}"] if scenario.model else []),
        *([f"batch {scenario.batch}"] if scenario.batch else []),
    )


def named(scenario: Scenario) -> Scenario:
    """Called by its changes, or by its sweep."""
    texts = [*scenario.set.values(), scenario.servers or ""]
    swept = any("," in text or ".." in text for text in texts)
    return scenario.model_copy(update={"name": SWEPT if swept else ", ".join(words(scenario))})


def apply(asked: Asked, baseline: Situation, names: Names) -> Situation:
    """The baseline with the scenario's changes: first who goes and who comes, then figures.

    Raises FieldError, UnknownNameError or MissingFileError, with the place of what is wrong.
    """
    scenario, found = asked.scenario, baseline
    for index, word in enumerate(scenario.drop):
        found = _dropped(found, word, asked.where(f"drop.{index}"))
    for index, word in enumerate(scenario.add):
        found = _added(found, word, names, asked.where(f"add.{index}"))
    if scenario.servers is not None:
        found = _servers(found, scenario.servers, asked.where("servers"))
    for target, value in scenario.set.items():
        found = set_value(found, target, value, names, asked.where(f"set.{target}"))
    if scenario.model is not None:
        found = replace(found, model=scenario.model)
    if scenario.batch is not None:
        policy = found.fleet.policy.model_copy(update={"batches": (scenario.batch,)})
        found = replace(found.with_policy(policy), batch=scenario.batch)
    return found


def _dropped(situation: Situation, word: str, where: Where) -> Situation:
    key, _, pattern = word.partition("=")
    if key not in KEYS or not pattern:
        raise FieldError(
            f"{where}{word!r} is not one of {', '.join(f'{key}=...' for key in KEYS)}",
            "as in kind=tablet-2017, name=front-desk or link=lte",
        )
    said = {
        "kind": lambda client: client.device.name,
        "name": lambda client: client.name,
        "link": lambda client: client.link.name,
    }[key]
    clients = situation.fleet.clients
    left = tuple(client for client in clients if not fnmatchcase(said(client), pattern))
    if len(left) == len(clients):
        known = list(dict.fromkeys(map(said, clients)))
        raise UnknownNameError(f"{key} of this fleet's clients", pattern, known, str(where))
    if not left:
        raise FieldError(f"{where}{word} drops every client", "keep at least one")
    return situation.with_fleet(clients=left)


def _added(situation: Situation, word: str, names: Names, where: Where) -> Situation:
    count, _, what = word.partition(":")
    if not count.strip().isdigit() or int(count) < 1 or not what:
        raise FieldError(
            f"{where}{word!r} is not COUNT:DEVICE or COUNT:DEVICE@LINK",
            "as in 20:laptop-2019 or 20:laptop-2019@office-wifi",
        )
    fleet, notes = situation.fleet, situation.notes
    kind, _, link_name = what.partition("@")
    like = next((client for client in fleet.clients if client.name == kind), None)
    if like is not None:
        new = like.model_copy(update={"optional": False})
    else:
        device = names.device(kind, fleet, where)
        new = ResolvedClient(name=kind, device=device, link=_usual(fleet, kind), min_depth=1)
        if not link_name:
            notes = (*notes, f"{count} {kind}: on {new.link.name}, as {_why(fleet, kind)}")
    if link_name:
        new = new.model_copy(update={"link": names.link(link_name, fleet, where)})
    taken = {client.name for client in fleet.clients}
    label = next(
        name
        for n in range(1, len(taken) + 2)
        if (name := f"new-{kind}" + f".{n}" * (n > 1)) not in taken
    )
    least = max(new.min_depth, fleet.policy.min_depth)
    new = new.model_copy(update={"name": label, "count": int(count), "min_depth": least})
    return replace(situation.with_fleet(clients=(*fleet.clients, new)), notes=notes)


def _usual(fleet: ResolvedFleet, kind: str) -> Link:
    """The link of most clients with that device, else of most clients."""
    votes: Counter[Link] = Counter()
    for client in fleet.clients:
        votes[client.link] += client.count * (10**9 if client.device.name == kind else 1)
    return votes.most_common(1)[0][0]


def _why(fleet: ResolvedFleet, kind: str) -> str:
    same = any(client.device.name == kind for client in fleet.clients)
    return f"most {kind} of the fleet" if same else "most clients of the fleet"


def _servers(situation: Situation, value: str, where: Where) -> Situation:
    server = server_called(situation, where)
    try:
        amount = parse_amount(value, {})
        return situation.with_fleet(servers=(set_figure(server, CLIENT["count"], amount),))
    except ValueError as error:
        raise FieldError(f"{where}{error}") from None
