from __future__ import annotations

import pytest
from flexp.catalog.devices import link_names, link_type
from flexp.errors import UnknownNameError


def test_names_are_found() -> None:
    assert len(link_names()) == len(set(link_names())) >= 20
    assert [link_type(name).name for name in link_names()] == link_names()
    used = {"datacentre", "office-ethernet", "office-wifi", "home-fibre", "home-dsl", "lte"}
    assert used | {"rural-3g", "5g", "starlink", "vpn-over-dsl"} <= set(link_names())


@pytest.mark.parametrize("name", link_names())
def test_figures_say_where_they_come_from(name: str) -> None:
    link = link_type(name)
    assert "https://" in link.source
    assert 1e5 < link.up_bits_per_second <= link.down_bits_per_second <= 1e11
    assert 0 < link.rtt_seconds <= 0.7
    assert link.data_budget_bytes is None


def test_figures_as_people_write_them() -> None:
    lte = link_type("lte")
    assert (lte.up_bits_per_second, lte.down_bits_per_second) == (7.6e6, 29.5e6)
    assert lte.rtt_seconds == pytest.approx(0.05)


# over, under, share of the rate that is left by the headers in between
@pytest.mark.parametrize(
    ("over", "under", "share"),
    [
        ("vpn-over-dsl", "home-dsl", 0.92),
        ("vpn-over-fibre", "home-fibre", 0.92),
        ("usb-tethered", "lte", 0.95),
    ],
)
def test_a_link_over_a_link_is_slower_by_what_its_source_says(
    over: str, under: str, share: float
) -> None:
    inner, outer = link_type(over), link_type(under)
    assert inner.up_bits_per_second == pytest.approx(share * outer.up_bits_per_second, rel=0.03)
    assert inner.down_bits_per_second == pytest.approx(share * outer.down_bits_per_second, rel=0.03)
    assert inner.rtt_seconds > outer.rtt_seconds


def test_a_geostationary_round_trip_is_no_faster_than_light() -> None:
    assert link_type("satellite-geo").rtt_seconds > 4 * 35_786e3 / 299_792_458


def test_unknown_names() -> None:
    with pytest.raises(UnknownNameError) as raised:
        link_type("lt")
    assert raised.value.message == "unknown link 'lt'"
    assert "lte" in raised.value.hint
