"""`--set WHO.FIELD=VALUE`: who is meant, which figure, and the situation with it changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import yaml

from ...errors import FieldError, UnknownNameError
from ..fleet import Policy, ResolvedClient, ResolvedServer
from .amount import parse_amount
from .fields import CLIENT, LINK, SERVER, Field, set_figure, validated, with_device, with_link
from .situation import Names, Situation, Where

HOURS = "run.hours_per_day"
MOST_HOURS = 24.0


def set_value(
    situation: Situation, target: str, value: str, names: Names, where: Where
) -> Situation:
    """`target` is CLASS.FIELD, clients.FIELD, links.NAME.FIELD, server.FIELD, servers.NAME.FIELD,
    policy.FIELD or run.hours_per_day; names may hold * for any text.

    Raises FieldError, UnknownNameError or MissingFileError, which begin with `where`.
    """
    who, _, field = target.rpartition(".")
    if not who or not field:
        raise FieldError(
            f"{where}{target!r} is not WHO.FIELD",
            "as in tablets.ram=+4GiB, links.wifi.up=x2, server.accelerators=+1 or "
            "policy.min_depth=2",
        )
    try:
        if target == HOURS:
            return _hours(situation, value)
        if who == "policy":
            return _policy(situation, field, value, where)
        if who.startswith("links."):
            return _links(situation, who.removeprefix("links."), field, value, where)
        if who in ("server", "servers") or who.startswith("servers."):
            return _servers(situation, who, field, value, names, where)
        return _clients(situation, who.removeprefix("clients."), field, value, names, where)
    except ValueError as error:
        raise FieldError(f"{where}{error}") from None


def _hours(situation: Situation, value: str) -> Situation:
    hours = parse_amount(value, {"": 1.0, "h": 1.0}).of(situation.hours_per_day)
    if not 0 < hours <= MOST_HOURS:
        raise ValueError(f"{HOURS} would be {hours:g}; a day has up to {MOST_HOURS:g}")
    return replace(situation, hours_per_day=hours)


def _policy(situation: Situation, field: str, value: str, where: Where) -> Situation:
    """A figure by an amount; anything else as a fleet's file would say it, a list with +."""
    if field not in Policy.model_fields:
        raise UnknownNameError("policy field", field, list(Policy.model_fields), str(where))
    policy = situation.fleet.policy
    old = getattr(policy, field)
    new: Any = value
    if value.strip() == "none":
        new = None
    elif isinstance(old, int | float) and not isinstance(old, bool):
        number = parse_amount(value, {"": 1.0, "s": 1.0, "Wh": 1.0}).of(old)
        new = round(number) if isinstance(old, int) else number
    elif isinstance(old, tuple):
        new = tuple(yaml.safe_load(part) for part in value.split("+"))
    elif isinstance(old, bool):
        new = yaml.safe_load(value)
    update = {field: new}
    if field == "codec":
        update = {"codec": None, "codecs": (new,)}
    changed = situation.with_policy(validated(policy, update))
    if field != "min_depth":
        return changed
    least = changed.fleet.policy.min_depth
    return changed.with_clients(
        lambda client: client.min_depth < least,
        lambda client: client.model_copy(update={"min_depth": least}),
    )


def _links(situation: Situation, name: str, field: str, value: str, where: Where) -> Situation:
    fleet = situation.fleet
    there = [client.link.name for client in fleet.clients]
    known = list(dict.fromkeys([*there, *(server.link.name for server in fleet.servers)]))
    found = set(_matching(name, known, "link of this fleet", where))
    change = _figure(field, LINK, value, where)
    changed = situation.with_clients(lambda client: client.link.name in found, change)
    return changed.with_servers(lambda server: server.link.name in found, change)


def _servers(
    situation: Situation, who: str, field: str, value: str, names: Names, where: Where
) -> Situation:
    known = [server.name for server in situation.fleet.servers]
    name = who.removeprefix("servers.") if who.startswith("servers.") else "*"
    found = set(_matching(name, known, "server", where))
    change = _owner_change(situation, field, SERVER, value, names, where)
    return situation.with_servers(lambda server: server.name in found, change)


def _clients(
    situation: Situation, who: str, field: str, value: str, names: Names, where: Where
) -> Situation:
    wanted = clients_called(situation, who, where)
    change = _owner_change(situation, field, CLIENT, value, names, where)
    return situation.with_clients(wanted, change)


def clients_called(
    situation: Situation, who: str, where: Where
) -> Callable[[ResolvedClient], bool]:
    """Clients or classes of that name, else those with a device of that name."""
    clients = situation.fleet.clients
    if who == "clients":
        return lambda client: True
    by_name = {client.name for client in clients if fnmatchcase(client.name, who)}
    if by_name:
        return lambda client: client.name in by_name
    known = list(dict.fromkeys(client.device.name for client in clients))
    every = [*(client.name for client in clients), *known]
    kinds = {name for name in known if fnmatchcase(name, who)}
    if not kinds:
        raise UnknownNameError("client, class or device of this fleet", who, every, str(where))
    return lambda client: client.device.name in kinds


def _owner_change(
    situation: Situation,
    field: str,
    fields: dict[str, Field],
    value: str,
    names: Names,
    where: Where,
) -> Callable[[Any], Any]:
    """Also another device or link by name, and whether a client is optional."""
    if field == "device":
        device = names.device(value.strip(), situation.fleet, where)
        return lambda owner: with_device(owner, device)
    if field == "link":
        link = names.link(value.strip(), situation.fleet, where)
        return lambda owner: with_link(owner, link)
    if field == "optional" and fields is CLIENT:
        return lambda owner: validated(owner, {"optional": yaml.safe_load(value)})
    return _figure(field, fields, value, where)


def _figure(field: str, fields: dict[str, Field], value: str, where: Where) -> Callable[[Any], Any]:
    if field not in fields:
        others = ["device", "link", "optional"] if fields is CLIENT else ["device", "link"]
        known = [*fields, *([] if fields is LINK else others)]
        raise UnknownNameError("field", field, known, str(where))
    amount = parse_amount(value, fields[field].units)
    return lambda owner: set_figure(owner, fields[field], amount)


def _matching(pattern: str, known: Iterable[str], noun: str, where: Where) -> list[str]:
    found = [name for name in known if fnmatchcase(name, pattern)]
    if not found:
        raise UnknownNameError(noun, pattern, list(known), str(where))
    return found


def server_called(situation: Situation, where: Where) -> ResolvedServer:
    """The one kind of server; FieldError where there are several."""
    servers = situation.fleet.servers
    if len(servers) > 1:
        raise FieldError(
            f"{where}this fleet has several kinds of server",
            "say which: " + " or ".join(f"--set servers.{s.name}.count=+1" for s in servers[:3]),
        )
    return servers[0]
