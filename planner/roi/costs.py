"""The cost file: what things cost and are worth, each figure with source and date."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError

from ...catalog.devices import device_names, find_device_type
from ...catalog.field_errors import field_error
from ...catalog.files import Contract, WrittenOne, read_mapping
from ...catalog.lines import file_line
from ...errors import FieldError, UnknownNameError

DEFAULTS = Path(__file__).parents[2] / "catalog" / "data" / "costs.yaml"
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]
"""ISO 4217."""
OWN = "your cost file"
MONEY = frozenset(
    {
        *("energy_per_kwh", "link_per_gb", "metered_per_gb", "hour_of_work", "value_per_task"),
        *("value_per_point", "small_server_per_hour", "server_per_hour", "server_price"),
        *("memory_per_gib", "link_10_mbit_per_year", "hour_per_day_year", "accelerator_price"),
    }
)
"""Fields that are amounts of money."""


class Entry(Contract):
    """One figure; `amount` alone may stand for it."""

    amount: Decimal = Field(ge=0, allow_inf_nan=False)
    currency: Currency | None = None
    """None: no money, or the file's currency."""
    source: str = OWN
    date: str = ""
    """Of the source: a year and a month."""


def _entry(value: object) -> object:
    return {"amount": value} if isinstance(value, str | int) else value


Given = Annotated[Entry, BeforeValidator(_entry)]
PerName = Annotated[dict[str, Given], Field(default_factory=dict)]


class CostFile(Contract):
    """Fields that are left out are those of the catalogue's data/costs.yaml."""

    schema_version: WrittenOne
    currency: Currency = "EUR"
    """Of all that is printed, and of every amount that names none."""
    exchange: dict[Currency, Given] = Field(default_factory=dict)
    """What one unit of another currency is worth in `currency`."""
    discount_rate: Given | None = None
    """Of a year, as a share."""
    years: Given | None = None
    """That are looked at."""
    runs_per_year: Given | None = None
    """How often the fleet is trained."""
    energy_per_kwh: Given | None = None
    link_per_gb: Given | None = None
    """Of links without a data budget; 1 GB is 1e9 bytes."""
    metered_per_gb: Given | None = None
    """Of links with a data budget."""
    links: PerName
    """By the name of the link, instead of the two above."""
    hour_of_work: Given | None = None
    setup_hours: Given | None = None
    setup_hours_per_device: Given | None = None
    hours_per_month: Given | None = None
    tasks_per_device_day: Given | None = None
    days_per_year: Given | None = None
    value_per_task: Given | None = None
    """Of a task that the model gets right; value = accuracy · tasks · this."""
    value_per_point: Given | None = None
    """Instead: of one point (0.01) of accuracy on one device for a year."""
    dropout: Given | None = None
    """Share of the devices' value that is lost."""
    accuracy_central: Given | None = None
    accuracy_fedavg: Given | None = None
    accuracy_flexp: Given | None = None
    """None: from the depths of the plan, by the curve of --value."""
    data_gb_per_device_year: Given | None = None
    local_steps: Given | None = None
    small_server_per_hour: Given | None = None
    server: Literal["rented", "owned"] | None = None
    """None: rented where its hour has a price, else owned."""
    server_per_hour: Given | None = None
    """Of one machine; none: the fleet's cost_per_hour, in `currency`."""
    server_price: Given | None = None
    """Of one machine; none: the catalogue's."""
    server_life_years: Given | None = None
    replacement: str | None = None
    """Device type that is bought for devices that can't train the whole model."""
    devices: PerName
    """Price of a new one by device type; others are the catalogue's."""
    device_life_years: Given | None = None
    memory_per_gib: Given | None = None
    """Of one device."""
    link_10_mbit_per_year: Given | None = None
    """Of one line, up and down."""
    hour_per_day_year: Given | None = None
    """What one more hour of training a day costs in a year, for the whole fleet."""
    accelerator_price: Given | None = None
    """Of one; none: the catalogue's price of the server's device."""


class Assumption(Contract):
    """A figure that a result rests on."""

    name: str
    amount: Decimal
    currency: str = ""
    source: str
    date: str
    own: bool
    """Whether the cost file gives it, not a default."""


def read_costs(path: Path | None) -> Costs:
    """The file's figures over the defaults; raises as `read_contract`, and FieldError for an
    exchange rate that is missing."""
    defaults = _read(DEFAULTS)
    return Costs(_read(path) if path is not None else defaults, defaults, path)


def _read(path: Path) -> CostFile:
    """Amounts are taken as they are written."""
    data = read_mapping(path, as_written=True)
    try:
        return CostFile.model_validate(data)
    except ValidationError as error:
        raise field_error(path, data, error) from error


class Costs:
    """Figures by name, in one currency."""

    def __init__(self, given: CostFile, defaults: CostFile, path: Path | None) -> None:
        self.given, self.defaults, self.path = given, defaults, path
        self.currency = given.currency

    def scaled(self, factor: Decimal, names: Sequence[str]) -> Costs:
        """The same with these figures multiplied; "links" and "devices.NAME" are understood."""
        update: dict[str, object] = {}
        devices = dict(self.given.devices)
        for name in names:
            group, _, key = name.partition(".")
            if group == "links":
                links = self.given.links.items()
                update["links"] = {link: _times(entry, factor) for link, entry in links}
            elif group == "devices":
                devices[key] = _times(self._device(key), factor)
            else:
                update[name] = _times(self._entry(name), factor)
        update["devices"] = devices
        return Costs(self.given.model_copy(update=update), self.defaults, self.path)

    def with_figure(self, name: str, amount: Decimal) -> Costs:
        """The same with another amount of that figure."""
        entry = self._entry(name).model_copy(update={"amount": amount})
        return Costs(self.given.model_copy(update={name: entry}), self.defaults, self.path)

    def _entry(self, name: str) -> Entry:
        found = getattr(self.given, name) or getattr(self.defaults, name)
        if found is None:
            raise KeyError(name)
        assert isinstance(found, Entry)
        return found

    def has(self, name: str) -> bool:
        return getattr(self.given, name) is not None

    def figure(self, name: str) -> Decimal:
        """A figure that is no money."""
        return self._entry(name).amount

    def money(self, name: str) -> Decimal:
        return self._in_currency(self._entry(name), name)

    def link_per_gb(self, link: str, metered: bool) -> tuple[Decimal, str]:
        """And the name of the figure."""
        if link in self.given.links:
            return self._in_currency(self.given.links[link], f"links.{link}"), f"links.{link}"
        name = "metered_per_gb" if metered else "link_per_gb"
        return self.money(name), name

    def device_price(self, name: str) -> tuple[Decimal, str]:
        """Of a new one, and the name of the figure; raises UnknownNameError."""
        label = f"devices.{name}"
        return self._in_currency(self._device(name), label), label

    def _device(self, name: str) -> Entry:
        if name in self.given.devices:
            return self.given.devices[name]
        if name not in device_names():
            known = [*self.given.devices, *device_names()]
            raise UnknownNameError("price of a device type", name, known, self._where("devices"))
        price = find_device_type(name).price
        source = f"flexp catalog devices {name}: {price.basis} price"
        return Entry(
            amount=price.amount, currency=price.currency, source=source, date=str(price.year)
        )

    def _in_currency(self, entry: Entry, name: str) -> Decimal:
        return entry.amount * self._rate(entry.currency, name)

    def _rate(self, currency: str | None, name: str) -> Decimal:
        if currency in (None, self.currency):
            return Decimal(1)
        if currency in self.given.exchange:
            return self.given.exchange[currency].amount
        if self.currency == self.defaults.currency and currency in self.defaults.exchange:
            return self.defaults.exchange[currency].amount
        raise FieldError(
            f"{self._where('exchange')}no rate for {currency}, in which {name} is given",
            f"add `exchange: {{{currency}: ...}}` with what 1 {currency} is in {self.currency}, or "
            f"give {name} in {self.currency}",
        )

    def _where(self, field: str) -> str:
        return f"{file_line(self.path, (field,))}: {field}: " if self.path else ""

    def assumption(self, name: str) -> Assumption:
        """What stands behind a name that a figure's `assumes` lists."""
        group, _, key = name.partition(".")
        own = True
        if group == "links":
            entry = self.given.links[key]
        elif group == "devices":
            entry, own = self._device(key), key in self.given.devices
        elif group == "exchange":
            own = key in self.given.exchange and self.given is not self.defaults
            entry = (self.given if own else self.defaults).exchange[key]
        else:
            entry, own = self._entry(name), self.has(name) and self.given is not self.defaults
        money = bool(entry.currency) or name in MONEY or group in ("links", "devices", "exchange")
        return Assumption(
            name=name,
            amount=entry.amount,
            currency=(entry.currency or self.currency) if money else "",
            source=entry.source,
            date=entry.date,
            own=own,
        )


def _times(entry: Entry, factor: Decimal) -> Entry:
    return entry.model_copy(update={"amount": entry.amount * factor})


def template() -> str:
    """The defaults, to edit."""
    return DEFAULTS.read_text(encoding="utf-8")


def decimal(value: float) -> Decimal:
    """As it is printed: 0.1 is a tenth."""
    return Decimal(repr(float(value)))
