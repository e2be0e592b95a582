"""The cost file: amounts as written, currencies, defaults with sources."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest
from flexp.errors import FieldError, FlexpError, SyntaxFileError, UnknownNameError
from flexp.planner.roi.costs import OWN, CostFile, Entry, decimal, read_costs, template

YEN = """\
schema_version: 1
currency: JPY
exchange: {EUR: 160, USD: {amount: 150, source: a bank, date: 2025-01}}
energy_per_kwh: 30.1
value_per_task: {amount: 0.1, currency: USD, source: our own count, date: 2025-02}
links: {lte: 500}
devices:
  kiosk: 90000
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "costs.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_default_has_a_source_and_a_date() -> None:
    costs = read_costs(None)
    listed = [*costs.defaults.exchange.values()]
    listed += [
        e for name in CostFile.model_fields if hasattr(e := getattr(costs.given, name), "source")
    ]
    assert len(listed) > 20
    assert all(entry.source and entry.date for entry in listed)
    assert template().count("source:") == len(listed)


def test_amounts_are_exact(tmp_path: Path) -> None:
    costs = read_costs(written(tmp_path, YEN))
    assert costs.money("energy_per_kwh") == Decimal("30.1")
    assert costs.money("value_per_task") == Decimal("15.0")  # 0.1 dollars at 150
    assert costs.money("hour_of_work") == Decimal("33.5") * 160  # a default in euros
    assert costs.figure("dropout") == Decimal("0.1")
    assert costs.link_per_gb("lte", metered=False) == (Decimal(500), "links.lte")
    assert costs.link_per_gb("lan", metered=True) == (Decimal("1.10") * 160, "metered_per_gb")
    assert costs.device_price("kiosk") == (Decimal(90000), "devices.kiosk")
    assert costs.device_price("pi-5")[0] == costs.assumption("devices.pi-5").amount * 150
    assert decimal(0.1) == Decimal("0.1")


def test_what_an_assumption_says(tmp_path: Path) -> None:
    costs = read_costs(written(tmp_path, YEN))
    own = costs.assumption("value_per_task")
    assert (own.amount, own.currency, own.source, own.own) == (
        Decimal("0.1"),
        "USD",
        "our own count",
        True,
    )
    short = costs.assumption("energy_per_kwh")
    assert (short.currency, short.source, short.own) == ("JPY", "your cost file", True)
    default = costs.assumption("hour_of_work")
    assert (default.currency, default.own) == ("EUR", False)
    assert costs.assumption("years").currency == ""


def test_scaled(tmp_path: Path) -> None:
    costs = read_costs(written(tmp_path, YEN)).scaled(
        Decimal(2), ("energy_per_kwh", "links", "devices.pi-5")
    )
    assert costs.money("energy_per_kwh") == Decimal("60.2")
    assert costs.link_per_gb("lte", metered=False)[0] == Decimal(1000)
    assert (
        costs.device_price("pi-5")[0]
        == 2 * read_costs(None).device_price("pi-5")[0] / Decimal("0.924") * 150
    )


def test_every_default_says_where_it_is_from_or_whom_to_ask() -> None:
    entries = {name: entry for name, entry in read_costs(None).given if isinstance(entry, Entry)}
    assert len(entries) > 20
    for name, entry in entries.items():
        assert re.fullmatch(r"\d{4}-\d{2}", entry.date), name
        assert entry.source != OWN, name
        assert entry.source.startswith("assumed") == ("; ask " in entry.source), name


MISTAKES: dict[str, tuple[str, str, type[FlexpError], str]] = {
    "no number": ("30.1", "cheap", FieldError, "costs.yaml:4: energy_per_kwh"),
    "negative": ("30.1", "-1", FieldError, "costs.yaml:4: energy_per_kwh"),
    "no such field": ("energy_per", "energi_per", FieldError, "costs.yaml:4: energi_per_kwh"),
    "no currency": ("JPY", "yen", FieldError, "costs.yaml:2: currency"),
    "version": ("version: 1", "version: 3", FieldError, "costs.yaml:1: schema_version"),
    "syntax": ("currency: JPY", "currency: [", SyntaxFileError, "costs.yaml"),
    "no rate": ("EUR: 160, ", "", FieldError, "costs.yaml:3: exchange: no rate for EUR"),
    "no device": ("kiosk", "kiosks", UnknownNameError, "'kiosk'"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes(case: str, tmp_path: Path) -> None:
    old, new, kind, says = MISTAKES[case]
    with pytest.raises(kind) as caught:
        costs = read_costs(written(tmp_path, YEN.replace(old, new)))
        costs.money("hour_of_work")
        costs.device_price("kiosk")
    assert says in caught.value.message
