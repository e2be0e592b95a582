"""A fleet of classes, fragments and names of its own, and where its mistakes are said to be."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml
from flexp.catalog.devices import device_type
from flexp.catalog.files import content_hash, dump_yaml
from flexp.catalog.lines import Place
from flexp.errors import FieldError, FlexpError, MissingFileError, SyntaxFileError, UnknownNameError
from flexp.planner.fleet import ClientEntry, Policy, ResolvedFleet
from flexp.planner.names import check_members, member_names
from flexp.planner.resolve import read_fleet
from hypothesis import given
from hypothesis import strategies as st

from .conftest import device, link

TOP = """\
schema_version: 1
server: {device: workstation, link: datacentre}
"""
CLIENTS = """\
clients:
  - name: pi
    device: pi-5
    link: lte
"""
KIOSK = """\
devices:
  kiosk:
    ram_bytes: 4 GiB
    usable_memory_bytes: 3 GiB
    runtime_bytes: 400 MiB
    training_flops_per_second: 40 GFLOP/s
    watts: 30 W
    source: measured in the workshop
links:
  vsat:
    up_bits_per_second: 2 Mbit/s
    down_bits_per_second: 8 Mbit/s
    rtt_seconds: 650 ms
    source: the contract
"""


def read(folder: Path, **files: str) -> ResolvedFleet:
    """Writes NAME.yaml for each of `files`, and reads fleet.yaml."""
    for name, text in files.items():
        path = folder / f"{name}.yaml"
        path.write_text(textwrap.dedent(text))
    return read_fleet(folder / "fleet.yaml")


def a_class(name: str, count: int, more: str = "") -> str:
    return f"  - {{name: {name}, count: {count}, device: pi-5, link: lte{more}}}\n"


def test_a_class_has_members(tmp_path: Path) -> None:
    found = read(tmp_path, fleet=TOP + CLIENTS + a_class("cam", 12))
    one, many = found.clients
    assert found.members == 13
    assert list(member_names(one)) == ["pi"]
    assert list(member_names(many))[::11] == ["cam-01", "cam-12"]


def test_what_a_client_may_say_is_kept(tmp_path: Path) -> None:
    more = ", min_depth: 2, max_depth: 4, optional: true, weight: 2.5"
    found = read(tmp_path, fleet=TOP + "clients:\n" + a_class("cam", 3, more)).clients[0]
    assert (found.min_depth, found.max_depth, found.optional, found.weight) == (2, 4, True, 2.5)


def test_names_of_the_fleet_go_before_the_catalogue(tmp_path: Path) -> None:
    own = KIOSK.replace("kiosk:", "pi-5:").replace("vsat:", "lte:")
    found = read(tmp_path, fleet=TOP + own + CLIENTS).clients[0]
    assert (found.device.name, found.device.ram_bytes, found.device.watts) == (
        "pi-5",
        4 * 2**30,
        30,
    )
    assert (found.link.name, found.link.rtt_seconds) == ("lte", 0.65)


def test_own_figures_are_those_of_a_file(tmp_path: Path) -> None:
    machine, line = device("kiosk"), link("vsat")
    (tmp_path / "box.yaml").write_text(dump_yaml(machine))
    own = {
        "devices": {"kiosk": machine.model_dump(exclude={"name"})},
        "links": {"vsat": line.model_dump(exclude={"name"})},
        "clients": [
            {"name": "a", "device": "kiosk", "link": "vsat"},
            {"name": "b", "device": "box.yaml", "link": "vsat"},
        ],
    }
    found = read(tmp_path, fleet=TOP + yaml.safe_dump(own))
    assert found.clients[0].device == found.clients[1].device == machine
    assert found.clients[0].link == line


def test_fragments_are_read_from_their_own_folder(tmp_path: Path) -> None:
    (tmp_path / "sites" / "devices").mkdir(parents=True)
    (tmp_path / "sites" / "devices" / "box.yaml").write_text(dump_yaml(device("measured")))
    (tmp_path / "sites" / "types.yaml").write_text(KIOSK)
    (tmp_path / "sites" / "north.yaml").write_text(
        "include: [types.yaml]\nclients:\n  - {name: north, device: devices/box.yaml, link: vsat}\n"
    )
    own = "  - {name: south, device: kiosk, link: lte}\n"
    found = read(tmp_path, fleet=TOP + "include: [sites/north.yaml]\n" + CLIENTS + own)
    assert [(client.name, client.device.name) for client in found.clients] == [
        ("north", "measured"),
        ("pi", "pi-5"),
        ("south", "kiosk"),
    ]


def test_clients_may_all_come_from_fragments(tmp_path: Path) -> None:
    assert read(tmp_path, fleet=TOP + "include: [more.yaml]\n", more=CLIENTS).members == 1


def test_several_servers(tmp_path: Path) -> None:
    servers = """\
schema_version: 1
servers:
  - {name: rack, count: 2, device: workstation, link: datacentre, accelerators: 4}
  - {name: edge, device: pi-5, link: datacentre, energy_watts: 9 W, cost_per_hour: 0.5}
"""
    found = read(tmp_path, fleet=servers + CLIENTS)
    rack, edge = found.servers
    assert found.server == rack
    assert (rack.count, rack.accelerators, rack.cost_per_hour) == (2, 4, None)
    assert rack.energy_watts == device_type("workstation").watts
    assert (edge.energy_watts, edge.cost_per_hour) == (9, 0.5)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({}, ("bf16",)),
        ({"codec": "fp32"}, ("fp32",)),
        ({"codecs": ("int8", "bf16")}, ("int8", "bf16")),
    ],
)
def test_allowed_codecs(policy: dict[str, object], expected: tuple[str, ...]) -> None:
    assert Policy.model_validate(policy).allowed_codecs == expected


def test_the_spelling_of_one_codec_does_not_change_the_hash(tmp_path: Path) -> None:
    one = read(tmp_path, fleet=f"{TOP}{CLIENTS}policy: {{codec: int8}}\n")
    other = read(tmp_path, fleet=f"{TOP}{CLIENTS}policy: {{codecs: [int8]}}\n")
    assert content_hash(one) == content_hash(other)


def turned(data: Any) -> Any:
    """With the keys of all mappings the other way round."""
    if isinstance(data, dict):
        return {key: turned(value) for key, value in reversed(data.items())}
    return [turned(value) for value in data] if isinstance(data, list) else data


def test_the_order_of_fields_does_not_change_the_hash(office: ResolvedFleet) -> None:
    data = office.model_dump(mode="json")
    assert list(turned(data)) == list(reversed(data))
    assert content_hash(ResolvedFleet.model_validate(turned(data))) == content_hash(office)
    for field, value in (("name", "other"), ("clients", data["clients"][1:])):
        other = ResolvedFleet.model_validate({**data, field: value})
        assert content_hash(other) != content_hash(office)


def test_a_million_members_are_not_written_out(tmp_path: Path) -> None:
    many = "".join(a_class(f"class-{number}", 1000) for number in range(1000))
    found = read(tmp_path, fleet=f"{TOP}clients:\n{many}")
    assert (len(found.clients), found.members) == (1000, 1_000_000)
    assert len({id(client.device) for client in found.clients}) == 1


# files, error, what the message says; lines are counted from TOP's two
MISTAKES: dict[str, tuple[dict[str, str], type[FlexpError], list[str]]] = {
    "unknown device": (
        {"fleet": f"{TOP}clients:\n  - name: a\n    device: pi-55\n    link: lte\n"},
        UnknownNameError,
        ["fleet.yaml:5: clients.0.device: client 'a': unknown device type 'pi-55'"],
    ),
    "unknown link in a fragment": (
        {
            "fleet": f"{TOP}include: [more.yaml]\n{CLIENTS}",
            "more": "clients:\n  - {name: a, device: pi-5, link: ltt}\n",
        },
        UnknownNameError,
        ["more.yaml:2: clients.0.link: client 'a': unknown link 'ltt'"],
    ),
    "several at once": (
        {"fleet": TOP + CLIENTS.replace("pi-5", "pi-x") + a_class("b", 2).replace("lte", "ltt")},
        UnknownNameError,
        ["fleet.yaml:5: clients.0.device", "fleet.yaml:7: clients.1.link", "did you mean pi-5"],
    ),
    "bad figure in a fragment": (
        {
            "fleet": f"{TOP}include: [more.yaml]\n{CLIENTS}",
            "more": KIOSK.replace("4 GiB", "4 GiBit"),
        },
        FieldError,
        ["more.yaml:3: devices.kiosk.ram_bytes", "did you mean GiB?", "found '4 GiBit'"],
    ),
    "a policy in a fragment": (
        {"fleet": f"{TOP}include: [more.yaml]\n{CLIENTS}", "more": "links: {}\npolicy: {}\n"},
        FieldError,
        ["more.yaml:2: policy: unknown key"],
    ),
    "no such fragment": (
        {"fleet": f"{TOP}include:\n  - more.yaml\n{CLIENTS}"},
        MissingFileError,
        ["fleet.yaml:4: include.0: ", "more.yaml: no such file"],
    ),
    "a cycle": (
        {"fleet": f"{TOP}include: [more.yaml]\n{CLIENTS}", "more": "\ninclude: [fleet.yaml]\n"},
        FieldError,
        ["more.yaml:2: include.0: ", "fleet.yaml is part of this fleet already"],
    ),
    "a fragment twice": (
        {"fleet": f"{TOP}include:\n  - more.yaml\n  - ./more.yaml\n", "more": CLIENTS},
        FieldError,
        ["fleet.yaml:5: include.1: ", "included at ", "fleet.yaml:4"],
    ),
    "a device of two fragments": (
        {"fleet": f"{TOP}include: [one.yaml, two.yaml]\n{CLIENTS}", "one": KIOSK, "two": KIOSK},
        FieldError,
        ["two.yaml:2: devices.kiosk: two devices are named 'kiosk'", "one.yaml:2"],
    ),
    "a client of two files": (
        {"fleet": f"{TOP}include: [one.yaml]\n{CLIENTS}", "one": CLIENTS},
        FieldError,
        ["fleet.yaml:5: clients.0: ", "two clients are named 'pi'", "one.yaml:2"],
    ),
    "a member's name": (
        {"fleet": f"{TOP}{CLIENTS}{a_class('cam', 10)}{a_class('cam-09', 1)}"},
        FieldError,
        ["fleet.yaml:8: clients.2: ", "'cam-09'", "in class 'cam' at ", "fleet.yaml:7"],
    ),
    "a key twice": (
        {"fleet": TOP + CLIENTS + CLIENTS},
        SyntaxFileError,
        ["fleet.yaml:7", "key 'clients' stands twice"],
    ),
    "server and servers": (
        {"fleet": f"{TOP}servers:\n  - {{device: workstation, link: lte}}\n{CLIENTS}"},
        FieldError,
        ["fleet.yaml:3: servers: give either server or servers"],
    ),
    "no server": (
        {"fleet": "schema_version: 1\n" + CLIENTS},
        FieldError,
        ["fleet.yaml:1: file: needs a server"],
    ),
    "servers of one name": (
        {
            "fleet": "schema_version: 1\nservers:\n"
            "  - {device: workstation, link: datacentre}\n"
            f"  - {{device: workstation, link: datacentre}}\n{CLIENTS}"
        },
        FieldError,
        ["fleet.yaml:4: servers.1: ", "two servers are named 'server'", "fleet.yaml:3"],
    ),
    "a budget on a server's link": (
        {
            "fleet": TOP.replace("datacentre", "sim") + "links:\n  sim:\n    "
            "{up_bits_per_second: 1 Mbit/s, down_bits_per_second: 1 Mbit/s, rtt_seconds: 1 ms, "
            f"data_budget_bytes: 1 GB, source: x}}\n{CLIENTS}"
        },
        FieldError,
        ["fleet.yaml:2: server.link: server: link 'sim' has a data budget"],
    ),
    "no clients": (
        {"fleet": TOP + "clients: []\n"},
        FieldError,
        ["fleet.yaml:3: clients: the fleet has no clients"],
    ),
    "depths of a client": (
        {"fleet": TOP + "clients:\n" + a_class("a", 1, ", min_depth: 3, max_depth: 2")},
        FieldError,
        ["fleet.yaml:4: clients.0: min_depth 3 is above max_depth 2"],
    ),
    "a depth below the policy's": (
        {"fleet": f"{TOP}clients:\n{a_class('a', 1, ', max_depth: 2')}policy: {{min_depth: 3}}\n"},
        FieldError,
        ["fleet.yaml:4: clients.0.max_depth: client 'a': 2 is below the policy's min_depth 3"],
    ),
    "two spellings of codecs": (
        {"fleet": f"{TOP}{CLIENTS}policy:\n  codec: bf16\n  codecs: [int8]\n"},
        FieldError,
        ["fleet.yaml:9: policy.codecs: give either codec or codecs"],
    ),
    "a choice twice": (
        {"fleet": f"{TOP}{CLIENTS}policy: {{batches: [8, 4, 8]}}\n"},
        FieldError,
        ["fleet.yaml:7: policy.batches: a value stands there twice"],
    ),
    "text for a list": (
        {"fleet": f"{TOP}include: more.yaml\n{CLIENTS}"},
        FieldError,
        ["fleet.yaml:3: include: expected a list, found 'more.yaml'"],
    ),
    "a number for a name": (
        {"fleet": TOP + CLIENTS.replace("pi-5", "5")},
        FieldError,
        ["fleet.yaml:5: clients.0.device: expected text, in quotes"],
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_said_with_file_line_and_field(tmp_path: Path, case: str) -> None:
    files, kind, says = MISTAKES[case]
    with pytest.raises(kind) as caught:
        read(tmp_path, **files)
    assert [words for words in says if words not in caught.value.message] == []


@pytest.mark.parametrize("name", ["cam-9", "cam-00", "cam-11", "cam-009", "cam-x", "cam-09-1"])
def test_names_that_no_member_has(tmp_path: Path, name: str) -> None:
    clients = a_class("cam", 10) + a_class(name, 1)
    assert read(tmp_path, fleet=f"{TOP}clients:\n{clients}").members == 11


ENTRIES = st.lists(
    st.tuples(
        st.sampled_from(["a", "a-1", "a-01", "a-2", "a-1-1", "a-10", "b"]), st.integers(1, 12)
    ),
    min_size=1,
    max_size=4,
)


@given(ENTRIES)
def test_collisions_are_those_of_all_names_written_out(entries: list[tuple[str, int]]) -> None:
    made = [
        ClientEntry(name=name, count=count, device="pi-5", link="lte") for name, count in entries
    ]
    names = [name for entry in made for name in {entry.name, *member_names(entry)}]
    place = Place(None, ("clients",))
    if len(set(names)) == len(names):
        check_members("clients", ((entry, place) for entry in made))
    else:
        with pytest.raises(FieldError, match="two clients are named"):
            check_members("clients", ((entry, place) for entry in made))


def test_only_the_first_mistakes_of_very_many_are_told(tmp_path: Path) -> None:
    unknown = "".join(a_class(f"c{number}", 1).replace("pi-5", "pi-x") for number in range(50))
    with pytest.raises(UnknownNameError, match="the first 20 problems") as caught:
        read(tmp_path, fleet=f"{TOP}clients:\n{unknown}")
    assert caught.value.message.count("unknown device type") == 20
    wrong = "".join(a_class(f"c{number}", 0) for number in range(50))
    with pytest.raises(FieldError, match="and 30 more problems") as few:
        read(tmp_path, fleet=f"{TOP}clients:\n{wrong}")
    assert few.value.message.count("clients.") == 20


def test_json_that_yaml_cannot_read_has_its_mistake_told(tmp_path: Path) -> None:
    path = tmp_path / "fleet.json"
    path.write_text('{"schema_version": 1, "name": "\\ud83d\\ude00", "clients": 3}')
    with pytest.raises(FieldError, match=r"fleet\.json: clients: expected a list"):
        read_fleet(path)
