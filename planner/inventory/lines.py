"""What a row says of its link: a type of the catalogue, or rates of its own."""

from __future__ import annotations

from ...catalog.device import Link
from ...catalog.devices import link_names, link_type
from ...errors import FieldError, UnknownNameError
from ..lookup import FILE_SUFFIXES
from .meanings import Meanings, Spec, slug
from .reading import Row

FIELDS = ("link", "up", "down", "rtt", "budget", "site")


def line(row: Row, meanings: Meanings) -> Spec[Link]:
    """The row's link: up, down and rtt where it has them, else its cell, what its site means, or
    what is said for all rows; with the row's data budget.

    Raises FieldError or UnknownNameError with row and column.
    """
    up, down, rtt, budget = (row.quantity(field) for field in ("up", "down", "rtt", "budget"))
    rates = {"up": up, "down": down, "rtt": rtt}
    missing = [field for field, value in rates.items() if value is None]
    if len(missing) == len(rates):
        return _named(row, meanings, budget)
    if up is None or down is None or rtt is None:
        raise FieldError(
            f"{row.path}:{row.line}: its link has no {' and no '.join(missing)}",
            "a link of its own needs up, down and rtt; or leave all three empty and name one",
        )
    words = [row.text("link"), f"{up / 1e6:g}-{down / 1e6:g}mbit", f"{rtt * 1e3:g}ms"]
    name = slug("-".join(filter(None, [*words, _budget_word(budget)])))
    link = Link(
        name=name,
        up_bits_per_second=up,
        down_bits_per_second=down,
        rtt_seconds=rtt,
        data_budget_bytes=round(budget) if budget else None,
        source=row.path.name,
    )
    return Spec(name, link)


def _named(row: Row, meanings: Meanings, budget: float | None) -> Spec[Link]:
    text, site = row.text("link"), row.text("site")
    name = meanings.links.get(text) or text or meanings.links.get(site) or meanings.link
    if not name:
        raise FieldError(
            f"{row.path}:{row.line}: nothing says what its link is",
            "every row needs a link, or up, down and rtt; --link NAME is for rows without, "
            "--link 'SITE=NAME' for those of a site (flexp catalog links)",
        )
    if name.endswith(FILE_SUFFIXES):
        return Spec(name)
    known = "-".join(name.lower().replace("_", " ").split())
    if known not in link_names():
        error = UnknownNameError("link", name, link_names(), row.where("link"))
        error.hint += f"; say which with --link '{name}=LINK' (flexp catalog links)"
        raise error
    if budget is None:
        return Spec(known)
    own = f"{known}-{_budget_word(budget)}"
    update = {"name": own, "data_budget_bytes": round(budget)}
    return Spec(own, link_type(known).model_copy(update=update))


def _budget_word(budget: float | None) -> str:
    return f"{budget / 1e9:.4g}gb" if budget else ""
