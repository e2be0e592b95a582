"""What a row says of its machine: a type of the catalogue, or figures of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches

from pydantic import ValidationError

from ...catalog.device import Device
from ...catalog.device_type import DeviceType
from ...catalog.devices import device_types
from ...errors import FieldError, UnknownNameError
from ..lookup import FILE_SUFFIXES
from .meanings import Meanings, Spec, slug
from .reading import Row

FIELDS = ("device", "cpu", "gpu", "ram", "usable", "flops", "watts")
SAME_RAM = 0.1
"""A machine whose memory differs from its type's by less is of that type: 8 GB, 7.8 GiB, 8 GiB."""
RUNTIME_BYTES = 400 * 2**20
"""As for the catalogue's devices without a GPU (docs/catalog.md)."""
_NOISE = re.compile(
    r"\((r|tm)\)|\b(intel|amd|nvidia|geforce|apple|cpu|gpu|processor|with radeon graphics)\b|"
    r"\b\d+-core\b|@?\s*\b[\d.]+\s*ghz\b|@"
)


def machine(row: Row, meanings: Meanings) -> Spec[Device]:
    """The row's device, from the first of its cells device, gpu and cpu that is not empty, with
    the row's own figures in place of the type's; or from ram and flops alone.

    Raises FieldError or UnknownNameError with row and column.
    """
    named = next((name for name in ("device", "gpu", "cpu") if row.text(name)), None)
    ram, usable, flops, watts = (row.quantity(f) for f in ("ram", "usable", "flops", "watts"))
    given = {
        "usable_memory_bytes": round(usable) if usable else None,
        "training_flops_per_second": flops,
        "watts": watts,
    }
    own = {key: value for key, value in given.items() if value is not None}
    if named is None:
        return _from_figures(row, ram, own)
    text = meanings.devices.get(row.text(named), row.text(named))
    if text.endswith(FILE_SUFFIXES):
        return Spec(text)
    entry = _type(row, named, text)
    same = ram is None or named == "gpu" or abs(ram / entry.ram_bytes - 1) < SAME_RAM
    if same and not own:
        return Spec(entry.name)
    ram_bytes = entry.ram_bytes if same or ram is None else round(ram)
    base = entry.model_copy(update={"ram_bytes": ram_bytes}).device()
    figures = {
        **base.model_dump(),
        **own,
        "source": f"{base.source} Changed by the inventory's own figures.",
    }
    return _spec(row, entry.name, figures, {} if same else {"ram_bytes": ram_bytes}, own)


def _from_figures(row: Row, ram: float | None, own: Mapping[str, float]) -> Spec[Device]:
    """Half of the memory is taken to be usable, as the catalogue does for a laptop."""
    if ram is None or "training_flops_per_second" not in own:
        raise FieldError(
            f"{row.path}:{row.line}: nothing says what machine this is",
            "every row needs a device, a cpu or a gpu, or both ram and flops",
        )
    figures = {
        "ram_bytes": round(ram),
        "usable_memory_bytes": round(ram) // 2,
        "runtime_bytes": RUNTIME_BYTES,
        **own,
        "source": f"{row.path.name}; usable memory half of it where not given, runtime assumed",
    }
    return _spec(row, "device", figures, {"ram_bytes": round(ram)}, own)


def _spec(
    row: Row, base: str, figures: Mapping[str, object], *own: Mapping[str, float]
) -> Spec[Device]:
    """Named by `base` and the row's own figures."""
    words = [_word(field, value) for changes in own for field, value in changes.items()]
    name = slug("-".join([base, *words]))
    try:
        return Spec(name, Device.model_validate({**figures, "name": name}))
    except ValidationError as error:
        problem = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise FieldError(f"{row.where('ram')}{problem}", "see docs/catalog.md on memory") from None


def _word(field: str, value: float) -> str:
    if field == "training_flops_per_second":
        return f"{value / 1e9:.4g}gflops"
    if field == "watts":
        return f"{value:.4g}w"
    return f"{value / 1e9:.4g}gb" if value % 1e9 == 0 else f"{value / 2**30:.4g}gib"


def _type(row: Row, named: str, text: str) -> DeviceType:
    types = {entry.name: entry for entry in device_types()}
    name = "-".join(text.lower().replace("_", " ").split())
    if name in types:
        return types[name]
    chips = [entry for entry in types.values() if _plain(text) in _chips(entry)]
    if chips and len({entry.training_flops_per_second for entry in chips}) == 1:
        return chips[0]
    error = UnknownNameError(
        "device type",
        text,
        [entry.name for entry in chips] or _close(text, types),
        row.where(named),
    )
    error.hint += f"; say which with --device '{row.text(named)}=TYPE' (flexp catalog devices)"
    raise error


def _plain(text: str) -> str:
    """ "Intel(R) Core(TM) i5-8265U CPU @ 1.60GHz" -> "core i5-8265u"."""
    return " ".join(_NOISE.sub(" ", text.lower()).split())


def _chips(entry: DeviceType) -> set[str]:
    """The chip's names: as a processor, and as in the brackets of the title."""
    return {_plain(entry.processors[0].name.split(",")[0])} | {
        _plain(text) for text in re.findall(r"\(([^)]+)\)", entry.title)
    }


def _close(text: str, types: Mapping[str, DeviceType]) -> list[str]:
    """Types whose name, title or chip is nearest to `text`."""
    words = {word: entry.name for entry in types.values() for word in _chips(entry)}
    words |= {entry.title.lower().split(" (")[0]: entry.name for entry in types.values()}
    words |= {name: name for name in types}
    near = get_close_matches(_plain(text), words, n=6, cutoff=0.4)
    return list(dict.fromkeys(words[word] for word in near))[:3] or list(types)
