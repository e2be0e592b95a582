"""Scenarios applied to a fleet: what changes, what stays, and where a mistake is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flexp.errors import FieldError, FlexpError, SyntaxFileError, UnknownNameError
from flexp.planner.fleet import ResolvedClient, ResolvedServer
from flexp.planner.lookup import device_lookup, link_lookup
from flexp.planner.whatif.scenario import Asked, Scenario, apply, expand, read_scenarios
from flexp.planner.whatif.situation import Names, Situation

from ..conftest import device, fleet, link

GiB = 2**30


@pytest.fixture
def start() -> Situation:
    made = fleet(
        [
            ("ann", device("laptop", 60), link("wifi", 30, 60)),
            ("bob", device("laptop", 60), link("ethernet", 900, 900)),
            ("tablets", device("tablet", 15, 1024), link("wifi", 30, 60), 2),
        ],
        codecs=("bf16",),
    )
    clients = (*made.clients[:2], made.clients[2].model_copy(update={"count": 5}))
    return Situation(made.model_copy(update={"clients": clients}))


@pytest.fixture
def names(tmp_path: Path) -> Names:
    own = {"kiosk": device("kiosk", 9)}
    return Names(device_lookup(own), link_lookup({"lan": link("lan", 7)}), tmp_path)


def changed(start: Situation, names: Names, **scenario: Any) -> Situation:
    return apply(Asked(Scenario(name="test", **scenario)), start, names)


def client(found: Situation, name: str) -> ResolvedClient:
    return next(one for one in found.fleet.clients if one.name == name)


def test_figures_of_a_class(start: Situation, names: Names) -> None:
    found = changed(start, names, set={"tablets.ram": "+4GiB", "tablets.speed": "x2"})
    before, after = client(start, "tablets").device, client(found, "tablets").device
    assert after.ram_bytes == before.ram_bytes + 4 * GiB
    assert after.usable_memory_bytes == before.usable_memory_bytes + 4 * GiB
    assert after.training_flops_per_second == 2 * before.training_flops_per_second
    assert found.fleet.clients[:2] == start.fleet.clients[:2]


SETS = {
    "device": ("laptop.speed", "10 GFLOP/s", {"ann", "bob"}),
    "client": ("ann.speed", "10 GFLOP/s", {"ann"}),
    "pattern": ("*a*.up", "5 Mbit/s", {"ann", "tablets"}),
    "link": ("links.wifi.up", "x2", {"ann", "tablets"}),
    "links": ("links.*.rtt", "5 ms", {"ann", "bob", "tablets"}),
    "all": ("clients.max_depth", "3", {"ann", "bob", "tablets"}),
    "another link": ("bob.link", "lan", {"bob"}),
    "another device": ("tablets.device", "kiosk", {"tablets"}),
    "fleet's own": ("tablets.device", "laptop", {"tablets"}),
    "catalogue": ("tablets.device", "laptop-2019", {"tablets"}),
    "optional": ("tablets.optional", "true", {"tablets"}),
    "policy's depth": ("policy.min_depth", "2", {"ann", "bob"}),
}


@pytest.mark.parametrize("case", SETS)
def test_who_is_meant(case: str, start: Situation, names: Names) -> None:
    target, value, who = SETS[case]
    found = changed(start, names, set={target: value})
    pairs = zip(start.fleet.clients, found.fleet.clients, strict=True)
    assert {old.name for old, new in pairs if old != new} == who


def test_servers(start: Situation, names: Names) -> None:
    found = changed(
        start, names, servers="+2", set={"server.accelerators": "x4", "server.cost_per_hour": "1.5"}
    )
    (server,) = found.fleet.servers
    assert (server.count, server.accelerators, server.cost_per_hour) == (3, 4, 1.5)
    watts = changed(start, names, set={"servers.server.watts": "650 W"})
    assert watts.fleet.server.energy_watts == 650


def test_policy_and_hours(start: Situation, names: Names) -> None:
    found = changed(
        start,
        names,
        set={
            "policy.steps_per_client": "x2",
            "policy.codecs": "int8+bf16",
            "policy.step_deadline_seconds": "none",
            "policy.labels_may_leave": "true",
            "run.hours_per_day": "8",
        },
    )
    policy = found.fleet.policy
    assert policy.steps_per_client == 2 * start.fleet.policy.steps_per_client
    assert (policy.codecs, policy.labels_may_leave) == (("int8", "bf16"), True)
    assert found.hours_per_day == 8
    assert changed(found, names, set={"run.hours_per_day": "+1"}).hours_per_day == 9


def test_model_and_batch(start: Situation, names: Names) -> None:
    found = changed(start, names, model="llama-3.2-1b", batch=4)
    assert (found.model, found.batch, found.fleet.policy.batches) == ("llama-3.2-1b", 4, (4,))


def test_drop_and_add(start: Situation, names: Names) -> None:
    found = changed(start, names, drop=("kind=tab*",), add=("3:laptop", "2:kiosk@lan", "1:ann"))
    assert [(one.name, one.count, one.link.name) for one in found.fleet.clients] == [
        ("ann", 1, "wifi"),
        ("bob", 1, "ethernet"),
        ("new-laptop", 3, "wifi"),
        ("new-kiosk", 2, "lan"),
        ("new-ann", 1, "wifi"),
    ]
    assert found.notes == ("3 laptop: on wifi, as most laptop of the fleet",)
    again = changed(found, names, add=("4:kiosk",))
    assert again.fleet.clients[-1].name == "new-kiosk.2"


def test_new_clients_keep_the_policy(start: Situation, names: Names) -> None:
    deep = changed(start, names, set={"policy.min_depth": "3"})
    assert client(changed(deep, names, add=("1:kiosk",)), "new-kiosk").min_depth == 3


MISTAKES: dict[str, tuple[dict[str, Any], type[FlexpError], str]] = {
    "no field": ({"set": {"tablets": "x2"}}, FieldError, "not WHO.FIELD"),
    "nobody": ({"set": {"phones.ram": "x2"}}, UnknownNameError, "'phones'"),
    "no such link": ({"set": {"links.lte.up": "x2"}}, UnknownNameError, "'lte'"),
    "no such field": ({"set": {"tablets.colour": "x2"}}, UnknownNameError, "'colour'"),
    "no such server": ({"set": {"servers.x.up": "x2"}}, UnknownNameError, "'x'"),
    "no such rule": ({"set": {"policy.speed": "x2"}}, UnknownNameError, "'speed'"),
    "no unit": ({"set": {"tablets.ram": "+4 apples"}}, FieldError, "expected a number"),
    "less than nothing": ({"set": {"tablets.ram": "-9GiB"}}, FieldError, "ram_bytes"),
    "too little": ({"set": {"tablets.memory": "1 MiB"}}, FieldError, "usable_memory_bytes"),
    "unknown before": ({"set": {"ann.watts": "x2"}}, FieldError, "no watts"),
    "half a client": ({"set": {"tablets.count": "x0.3"}}, FieldError, "whole number"),
    "no client": ({"set": {"tablets.count": "0"}}, FieldError, "count"),
    "long day": ({"set": {"run.hours_per_day": "25"}}, FieldError, "a day has"),
    "wrong rule": ({"set": {"policy.checkpointing": "maybe"}}, FieldError, "checkpointing"),
    "drop of no key": ({"drop": ("tablets",)}, FieldError, "kind="),
    "drop of nobody": ({"drop": ("kind=phone",)}, UnknownNameError, "'phone'"),
    "drop of all": ({"drop": ("name=*",)}, FieldError, "every client"),
    "add of no count": ({"add": ("laptop",)}, FieldError, "COUNT:DEVICE"),
    "add of nothing": ({"add": ("0:laptop",)}, FieldError, "COUNT:DEVICE"),
    "add of no device": ({"add": ("2:toaster",)}, UnknownNameError, "'toaster'"),
    "no server": ({"servers": "0"}, FieldError, "count"),
    "no number": ({"servers": "many"}, FieldError, "expected a number"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes(case: str, start: Situation, names: Names) -> None:
    scenario, kind, says = MISTAKES[case]
    part = next(iter(scenario))
    key = f"set.{next(iter(scenario['set']))}" if part == "set" else part
    key += ".0" if part in ("drop", "add") else ""
    asked = Asked(Scenario(name="test", **scenario), {key: "HERE: "})
    with pytest.raises(kind) as caught:
        apply(asked, start, names)
    assert caught.value.message.startswith("HERE: ") and says in caught.value.message


def test_several_kinds_of_server(start: Situation, names: Names) -> None:
    more = ResolvedServer(name="other", device=device("rack"), link=link("fibre"))
    start = start.with_fleet(servers=(*start.fleet.servers, more))
    with pytest.raises(FieldError, match="several kinds"):
        changed(start, names, servers="+1")
    found = changed(start, names, set={"servers.other.count": "+1"})
    assert [server.count for server in found.fleet.servers] == [1, 2]


FILE = """\
schema_version: 1
scenarios:
  - name: more
    set:
      tablets.ram: +4GiB
      server.accelerators: +1
    servers: +1
  - name: sweep
    set: {links.wifi.up: x1..x2/3, tablets.ram: [+1GiB, +2GiB]}
"""


def test_file(tmp_path: Path, start: Situation, names: Names) -> None:
    path = tmp_path / "scenarios.yaml"
    path.write_text(FILE, encoding="utf-8")
    more, sweep = read_scenarios(path)
    found = apply(more, start, names)
    assert (found.fleet.server.count, found.fleet.server.accelerators) == (2, 2)
    assert [one.scenario.name for one in expand(sweep)][:2] == [
        "links.wifi.up=x1, tablets.ram=+1GiB",
        "links.wifi.up=x1, tablets.ram=+2GiB",
    ]
    ups = [client(apply(one, start, names), "ann").link.up_bits_per_second for one in expand(sweep)]
    assert ups == pytest.approx([30e6, 30e6, 45e6, 45e6, 60e6, 60e6])


FILE_MISTAKES = {
    "unit": ("+4GiB", "+4 apples", FieldError, "scenarios.yaml:5: scenarios.0.set.tablets.ram"),
    "who": ("tablets.ram: +4", "phones.ram: +4", UnknownNameError, "scenarios.yaml:5"),
    "range": ("x1..x2/3", "x0.5..x2", FieldError, "scenarios.yaml:9"),
    "key": ("servers", "serfers", FieldError, "scenarios.yaml:7: scenarios.0.serfers"),
    "twice": ("name: sweep", "name: more", FieldError, "scenarios.yaml:8"),
    "version": ("version: 1", "version: 2", FieldError, "scenarios.yaml:1"),
    "syntax": ("- name: more", "- [", SyntaxFileError, "scenarios.yaml"),
    "nothing": (FILE[18:], "scenarios: []", FieldError, "scenarios"),
}


@pytest.mark.parametrize("case", FILE_MISTAKES)
def test_mistakes_of_a_file(case: str, tmp_path: Path, start: Situation, names: Names) -> None:
    old, new, kind, says = FILE_MISTAKES[case]
    assert old in FILE
    path = tmp_path / "scenarios.yaml"
    path.write_text(FILE.replace(old, new), encoding="utf-8")
    with pytest.raises(kind) as caught:
        for asked in read_scenarios(path):
            for one in expand(asked):
                apply(one, start, names)
    assert says in caught.value.message


def test_nothing_of_the_baseline_changes(start: Situation, names: Names) -> None:
    before = start.fleet.model_dump_json()
    changed(start, names, servers="+1", set={"clients.ram": "+1GiB"}, add=("1:kiosk",))
    assert start.fleet.model_dump_json() == before
