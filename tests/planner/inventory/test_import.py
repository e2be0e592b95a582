"""From the text of an inventory to the text of a fragment, and back to a fleet."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from flexp.catalog.devices import device_type, link_type
from flexp.errors import FieldError, FlexpError, UnknownNameError
from flexp.planner.fleet import ResolvedFleet
from flexp.planner.inventory.classes import Imported, import_rows
from flexp.planner.inventory.meanings import Meanings
from flexp.planner.inventory.reading import read_inventory
from flexp.planner.inventory.writing import fragment_text
from flexp.planner.resolve import read_fleet
from hypothesis import given, settings
from hypothesis import strategies as st

GIB = 2**30
LTE = Meanings(link="lte")


def imported(
    folder: Path, text: str, meanings: Meanings = LTE, each: bool = False
) -> tuple[Imported, ResolvedFleet]:
    """What an inventory becomes, and the fleet that includes it."""
    (folder / "devices.csv").write_text(text)
    found = import_rows(read_inventory(folder / "devices.csv", {}).rows, meanings, each)
    (folder / "clients.yaml").write_text(fragment_text(found, "made by a test"))
    (folder / "fleet.yaml").write_text(
        "schema_version: 1\ninclude: [clients.yaml]\n"
        "server: {device: workstation, link: datacentre}\n"
    )
    return found, read_fleet(folder / "fleet.yaml")


def entries(fleet: ResolvedFleet) -> list[tuple[str, int, str, str]]:
    return [(c.name, c.count, c.device.name, c.link.name) for c in fleet.clients]


def test_equal_devices_of_a_site_are_a_class(tmp_path: Path) -> None:
    table = """\
name,site,device,link
pc-1,Hall 3,laptop-2019,office-wifi
pc-2,Hall 3,Laptop 2019,office wifi
pc-3,Hall 3,laptop-2019,office-ethernet
pc-4,Hall 3,laptop-2019,office-ethernet
pc-5,Yard,laptop-2019,office-wifi
,Yard,pi-5,office-wifi
"""
    found, fleet = imported(tmp_path, table)
    assert entries(fleet) == [
        ("Hall-3-laptop-2019-office-wifi", 2, "laptop-2019", "office-wifi"),
        ("Hall-3-laptop-2019-office-ethernet", 2, "laptop-2019", "office-ethernet"),
        ("pc-5", 1, "laptop-2019", "office-wifi"),
        ("Yard-pi-5", 1, "pi-5", "office-wifi"),
    ]
    assert found.members["Hall-3-laptop-2019-office-wifi"] == ("pc-1", "pc-2")
    assert "# in order: pc-3, pc-4\n" in (tmp_path / "clients.yaml").read_text()
    assert fleet.clients[0].device == device_type("laptop-2019")


def test_each_named_row_may_stay_an_entry(tmp_path: Path) -> None:
    table = "name,device,count\na,pi-5,\nb,pi-5,\n,pi-5,3\nc,pi-5,4\n"
    _, classes = imported(tmp_path, table)
    assert [(c.name, c.count) for c in classes.clients] == [("pi-5", 5), ("c", 4)]
    _, every = imported(tmp_path, table, each=True)
    assert [(c.name, c.count) for c in every.clients] == [("a", 1), ("b", 1), ("pi-5", 3), ("c", 4)]


def test_rules_of_a_row_are_kept_and_divide_classes(tmp_path: Path) -> None:
    table = "device,min_depth,max_depth,optional\npi-5,2,4,yes\npi-5,2,4,yes\npi-5,,,no\n"
    _, fleet = imported(tmp_path, table)
    assert [(c.count, c.min_depth, c.max_depth, c.optional) for c in fleet.clients] == [
        (2, 2, 4, True),
        (1, 1, None, False),
    ]
    assert fleet.clients[0].name != fleet.clients[1].name


@pytest.mark.parametrize(
    "cpu",
    [
        "Core i5-8265U",
        "Intel(R) Core(TM) i5-8265U CPU @ 1.60GHz",
        "intel core i5-8265u",
    ],
)
def test_a_processor_stands_for_its_type(tmp_path: Path, cpu: str) -> None:
    _, fleet = imported(tmp_path, f"CPU,RAM (GB)\n{cpu},8\n")
    assert fleet.clients[0].device == device_type("laptop-2019")


@pytest.mark.parametrize("gpu", ["NVIDIA GeForce RTX 3060", "RTX 3060"])
def test_a_graphics_card_has_its_own_memory(tmp_path: Path, gpu: str) -> None:
    _, fleet = imported(tmp_path, f"GPU,CPU,RAM (GB)\n{gpu},Core i5-8500,64\n")
    assert fleet.clients[0].device == device_type("gpu-server-rtx3060")


def test_own_figures_change_a_type(tmp_path: Path) -> None:
    table = "device,RAM,Usable,Speed,Watts\nlaptop-2019,16 GiB,,,\npi-5,,6 GiB,50 GFLOP/s,9 W\n"
    _, fleet = imported(tmp_path, table)
    laptop, board = (client.device for client in fleet.clients)
    assert (laptop.name, laptop.ram_bytes, laptop.usable_memory_bytes) == (
        "laptop-2019-16gib",
        16 * GIB,
        8 * GIB,
    )
    assert laptop.training_flops_per_second == device_type("laptop-2019").training_flops_per_second
    assert (board.ram_bytes, board.usable_memory_bytes) == (8 * GIB, 6 * GIB)
    assert (board.training_flops_per_second, board.watts) == (50e9, 9)


@pytest.mark.parametrize("ram", ["8 GB", "7.8 GiB", "8 GiB"])
def test_nearly_the_memory_of_a_type_is_that_type(tmp_path: Path, ram: str) -> None:
    _, fleet = imported(tmp_path, f"device,RAM\nlaptop-2019,{ram}\n")
    assert fleet.clients[0].device == device_type("laptop-2019")


def test_figures_alone(tmp_path: Path) -> None:
    table = "RAM,Speed,Up,Down,Ping,Data budget\n4 GiB,20.5 GFLOP/s,2 Mbit/s,8 Mbit/s,650 ms,5 GB\n"
    _, fleet = imported(tmp_path, table)
    device, link = fleet.clients[0].device, fleet.clients[0].link
    assert (device.ram_bytes, device.usable_memory_bytes) == (4 * GIB, 2 * GIB)
    assert device.training_flops_per_second == 20.5e9
    assert (link.up_bits_per_second, link.down_bits_per_second, link.rtt_seconds) == (
        2e6,
        8e6,
        0.65,
    )
    assert link.data_budget_bytes == 5e9
    written = (tmp_path / "clients.yaml").read_text()
    for text in ("4 GiB", "20.5 GFLOP/s", "2 Mbit/s", "650 ms", "5 GB"):
        assert f": {text}\n" in written


def test_what_words_mean(tmp_path: Path) -> None:
    meanings = Meanings(
        {"Latitude 5400": "laptop-2019"}, {"SIM": "lte", "Berlin": "home-dsl"}, "5g"
    )
    table = """\
model,site,connection,data budget
Latitude 5400,Berlin,SIM,2 GB
Latitude 5400,Berlin,,
Latitude 5400,Bonn,,
Latitude 5400,Bonn,starlink,
"""
    _, fleet = imported(tmp_path, table, meanings)
    assert [client.link.name for client in fleet.clients] == [
        "lte-2gb",
        "home-dsl",
        "5g",
        "starlink",
    ]
    assert fleet.clients[0].link.up_bits_per_second == link_type("lte").up_bits_per_second
    assert {client.device.name for client in fleet.clients} == {"laptop-2019"}


def test_names_of_members_cannot_break_the_file(tmp_path: Path) -> None:
    table = 'name,device\n"a\nclients: [",pi-5\n"b\x07, # c",pi-5\n'
    found, fleet = imported(tmp_path, table)
    assert (fleet.members, found.members["pi-5"]) == (2, ("a\nclients: [", "b\x07, # c"))


def test_device_and_link_files_stay_files(tmp_path: Path) -> None:
    (tmp_path / "devices.csv").write_text("device,link\nprobed/pc.yaml,line.yaml\n")
    found = import_rows(read_inventory(tmp_path / "devices.csv", {}).rows, Meanings())
    entry = found.fragment.clients[0]
    assert (entry.device, entry.link) == ("probed/pc.yaml", "line.yaml")


def test_figures_that_round_to_one_name_stay_apart(tmp_path: Path) -> None:
    table = "RAM,Speed\n4 GiB,20.00001 GFLOP/s\n4 GiB,20.00002 GFLOP/s\n"
    _, fleet = imported(tmp_path, table)
    assert [c.device.training_flops_per_second for c in fleet.clients] == [20.00001e9, 20.00002e9]


# table, meanings, error, what the message says, what the hint says
MISTAKES: dict[str, tuple[str, Meanings, type[FlexpError], list[str], str]] = {
    "unknown model, once for all rows": (
        "name,device\na,Surface Pro 7\nb,Surface Pro 7\n",
        LTE,
        UnknownNameError,
        ["devices.csv:2: column 2 (device): unknown device type 'Surface Pro 7' (in 2 rows)"],
        "tablet-surface-pro-7",
    ),
    "a chip of several types": (
        "cpu\nCortex-A76\n",
        LTE,
        UnknownNameError,
        ["devices.csv:2: column 1 (cpu): unknown device type 'Cortex-A76'"],
        "pi-5",
    ),
    "a newer chip is not the old one": (
        "cpu\nApple M1 Pro\n",
        LTE,
        UnknownNameError,
        ["unknown device type 'Apple M1 Pro'"],
        "--device 'Apple M1 Pro=TYPE'",
    ),
    "no machine": ("name\na\n", LTE, FieldError, ["devices.csv:2: nothing says what machine"], ""),
    "memory alone": (
        "ram\n8 GB\n",
        LTE,
        FieldError,
        ["nothing says what machine"],
        "ram and flops",
    ),
    "no link": (
        "device\npi-5\n",
        Meanings(),
        FieldError,
        ["devices.csv:2: nothing says what its link is"],
        "--link NAME",
    ),
    "half a link": (
        "device,up\npi-5,5 Mbit/s\n",
        LTE,
        FieldError,
        ["devices.csv:2: its link has no down and no rtt"],
        "",
    ),
    "unknown link": (
        "device,link\npi-5,office wlan\n",
        LTE,
        UnknownNameError,
        ["devices.csv:2: column 2 (link): unknown link 'office wlan'"],
        "office-wifi",
    ),
    "too little memory": (
        "ram,flops\n300 MiB,5 GFLOP/s\n",
        LTE,
        FieldError,
        ["devices.csv:2: column 1 (ram): needs runtime_bytes < usable_memory_bytes"],
        "",
    ),
    "a name twice": (
        "name,device\npc 1,pi-5\npc-1,pi-5\n",
        LTE,
        FieldError,
        ["devices.csv:3: column 1 (name): 'pc-1' stands in line 2 too"],
        "",
    ),
    "depths": (
        "device,min depth,max depth\npi-5,3,2\n",
        LTE,
        FieldError,
        ["devices.csv:2: column 3 (max depth): 2 is below the row's min_depth 3"],
        "",
    ),
    "several at once": (
        "name,device,count\na,pi-55,1\nb,pi-5,none\n",
        LTE,
        UnknownNameError,
        ["devices.csv:2: column 2", "devices.csv:3: column 3 (count): expected a whole number"],
        "",
    ),
    "a meaning of no cell": (
        "device\npi-5\n",
        Meanings({"pi 6": "pi-5"}, link="lte"),
        UnknownNameError,
        ["--device: unknown cell 'pi 6'"],
        "pi-5",
    ),
    "a class and a device of one name": (
        "name,device,count\npi-5-1,pi-4,1\n,pi-5,2\n",
        LTE,
        FieldError,
        ["two clients are named 'pi-5-1'"],
        "",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes(tmp_path: Path, case: str) -> None:
    table, meanings, kind, says, hint = MISTAKES[case]
    with pytest.raises(kind) as caught:
        imported(tmp_path, table, meanings)
    assert [words for words in says if words not in caught.value.message] == []
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "meanings", [{"devices": {"a": "pi-55"}}, {"links": {"a": "x"}}, {"link": "x"}]
)
def test_meanings_must_exist(meanings: dict[str, object]) -> None:
    with pytest.raises(UnknownNameError, match=r"^--(device|link): unknown"):
        Meanings(**meanings)  # type: ignore[arg-type]


CELLS = st.tuples(
    st.sampled_from(["pi-5", "laptop-2019", "Core i5-8265U"]),
    st.sampled_from(["", "4 GiB", "16 GB"]),
    st.sampled_from(["", "Hall 1", "Hof"]),
    st.sampled_from(["lte", "home-dsl"]),
    st.integers(1, 30),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(CELLS, min_size=1, max_size=12))
def test_no_device_is_lost(
    tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[str, str, str, str, int]]
) -> None:
    """Whatever is put together, as many devices are left of each kind as when read alone."""
    header = "device,ram,site,link,count\n"
    rows = [",".join(map(str, row)) + "\n" for row in cells]
    folder = tmp_path_factory.mktemp("inventory")
    _, fleet = imported(folder, header + "".join(rows))
    together = Counter[tuple[int, str, str]]()
    for client in fleet.clients:
        together[client.device.ram_bytes, client.device.source, client.link.name] += client.count
    apart = Counter[tuple[int, str, str]]()
    for row in rows:
        (client,) = imported(folder, header + row)[1].clients
        apart[client.device.ram_bytes, client.device.source, client.link.name] += client.count
    assert together == apart
