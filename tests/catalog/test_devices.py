import pytest
from flexp.catalog.devices import device_names, device_type, link_names, link_type
from flexp.errors import UnknownNameError


def test_names_are_unique_and_found() -> None:
    assert len(device_names()) == len(set(device_names())) >= 12
    assert {device_type(name).name for name in device_names()} == set(device_names())
    assert len(link_names()) == len(set(link_names())) >= 6
    assert {link_type(name).name for name in link_names()} == set(link_names())


@pytest.mark.parametrize("name", device_names())
def test_device_figures_say_where_they_come_from_and_how_sure_they_are(name: str) -> None:
    device = device_type(name)
    assert "https://" in device.source
    assert "±" in device.source
    assert 1e9 < device.training_flops_per_second < 1e14


@pytest.mark.parametrize("name", link_names())
def test_link_figures_say_where_they_come_from(name: str) -> None:
    link = link_type(name)
    assert "https://" in link.source
    assert link.up_bits_per_second <= link.down_bits_per_second
    assert 0 < link.rtt_seconds <= 0.1


def test_figures_as_people_write_them() -> None:
    pi = device_type("pi-5")
    assert (pi.ram_bytes, pi.usable_memory_bytes) == (8 * 2**30, 7 * 2**30)
    assert pi.training_flops_per_second == 46e9
    lte = link_type("lte")
    assert (lte.up_bits_per_second, lte.down_bits_per_second) == (7.6e6, 29.5e6)


@pytest.mark.parametrize(
    ("find", "name", "kind", "close"),
    [(device_type, "laptop-2018", "device type", "laptop-2019"), (link_type, "lt", "link", "lte")],
)
def test_unknown_names(find, name: str, kind: str, close: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UnknownNameError) as raised:
        find(name)
    assert raised.value.message == f"unknown {kind} {name!r}"
    assert close in raised.value.hint
