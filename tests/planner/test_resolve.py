from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from flexp.catalog.devices import device_names, device_type, link_names, link_type
from flexp.catalog.files import content_hash, write_contract
from flexp.errors import FieldError, FlexpError, MissingFileError, UnknownNameError
from flexp.planner.fleet import Fleet
from flexp.planner.resolve import read_fleet, resolve

from .conftest import device, link

TYPE, LINK = device_names()[0], link_names()[0]


def written(folder: Path, **changes: Any) -> Path:
    data = {
        "schema_version": 1,
        "name": "tiny",
        "server": {"device": TYPE, "link": LINK},
        "clients": [{"name": "a", "device": TYPE, "link": LINK}],
    }
    path = folder / "fleet.yaml"
    path.write_text(yaml.safe_dump({**data, **changes}))
    return path


def client(**changes: Any) -> list[dict[str, Any]]:
    return [{"name": "a", "device": TYPE, "link": LINK, **changes}]


def test_names_of_the_catalogue(tmp_path: Path) -> None:
    path = written(tmp_path)
    found = read_fleet(path)
    assert (found.name, found.path) == ("tiny", path)
    assert found.server.device == device_type(TYPE)
    assert found.clients[0].device == device_type(TYPE)
    assert found.clients[0].link == link_type(LINK)


@pytest.mark.parametrize("name", ["probed.yaml", "probed.yml", "probed.json", "sub/probed.yaml"])
def test_a_device_file_beside_the_fleet(tmp_path: Path, name: str) -> None:
    write_contract(device("measured"), tmp_path / name)
    found = read_fleet(written(tmp_path, clients=client(device=name)))
    assert found.clients[0].device == device("measured")


def test_a_link_file_beside_the_fleet(tmp_path: Path) -> None:
    write_contract(link("measured"), tmp_path / "link.yaml")
    entry = {"device": TYPE, "link": "link.yaml"}
    found = read_fleet(written(tmp_path, clients=client(link="link.yaml"), server=entry))
    assert found.clients[0].link == found.server.link == link("measured")


def test_figures_in_the_fleet_itself(tmp_path: Path) -> None:
    figures = {"device": device("own").model_dump(), "link": link("own").model_dump()}
    found = read_fleet(written(tmp_path, clients=client(**figures), server=figures))
    assert found.clients[0].device == found.server.device == device("own")
    assert found.clients[0].link == found.server.link == link("own")


@pytest.mark.parametrize(
    ("own", "policy", "expected"), [(None, 1, 1), (None, 3, 3), (2, 1, 2), (2, 3, 3)]
)
def test_min_depth_is_the_larger_one(
    tmp_path: Path, own: int | None, policy: int, expected: int
) -> None:
    path = written(tmp_path, clients=client(min_depth=own), policy={"min_depth": policy})
    assert read_fleet(path).clients[0].min_depth == expected


def test_the_folder_of_a_fleet_does_not_change_its_hash(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    assert content_hash(read_fleet(written(one))) == content_hash(read_fleet(written(other)))


WRONG: list[tuple[dict[str, Any], type[FlexpError], str]] = [
    (
        {"clients": client(device="ghost")},
        UnknownNameError,
        "client 'a': unknown device type 'ghost'",
    ),
    ({"clients": client(link="ghost")}, UnknownNameError, "client 'a': unknown link 'ghost'"),
    (
        {"server": {"device": "ghost", "link": LINK}},
        UnknownNameError,
        "server: unknown device type",
    ),
    (
        {"server": {"device": TYPE, "link": "ghost"}},
        UnknownNameError,
        "server: unknown link 'ghost'",
    ),
    ({"clients": client(device="ghost.yaml")}, MissingFileError, "client 'a': device .*ghost.yaml"),
    ({"clients": client(link="ghost.yaml")}, MissingFileError, "client 'a': link .*ghost.yaml"),
    (
        {"server": {"device": TYPE, "link": link(data_budget_bytes=9).model_dump()}},
        FieldError,
        "server: link 'wire' has a data budget",
    ),
    ({"clients": []}, FieldError, "clients"),
    ({"clients": [*client(), *client()]}, FieldError, "two clients are named 'a'"),
    ({"policy": {"codec": "zip"}}, FieldError, "policy.codec"),
]


@pytest.mark.parametrize(("changes", "error", "message"), WRONG)
def test_mistakes_name_the_file_and_the_client(
    tmp_path: Path, changes: dict[str, Any], error: type[FlexpError], message: str
) -> None:
    path = written(tmp_path, **changes)
    with pytest.raises(error, match=message) as caught:
        read_fleet(path)
    assert str(path) in caught.value.message


def test_a_broken_device_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "probed.yaml").write_text("name: x\n")
    with pytest.raises(FieldError, match=r"probed\.yaml:1: ram_bytes"):
        read_fleet(written(tmp_path, clients=client(device="probed.yaml")))


def test_without_a_file(tmp_path: Path) -> None:
    data = yaml.safe_load(written(tmp_path, clients=client(device="ghost")).read_text())
    with pytest.raises(UnknownNameError) as caught:
        resolve(Fleet.model_validate(data), tmp_path)
    assert caught.value.message == "client 'a': unknown device type 'ghost'"
