"""Every algorithm by name. A new one is a file with a function of the options, and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...errors import UnknownNameError
from .algorithm import Algorithm, Options
from .central import central
from .fedavg import fedavg
from .fedavg_ft import fedavg_ft
from .fedper import fedper
from .flexp_sfl import flexp_sfl
from .local import local
from .splitfed_v1 import splitfed_v1
from .splitfed_v2 import splitfed_v2

ALGORITHMS: Mapping[str, Callable[[Options], Algorithm]] = {
    "flexp-sfl": flexp_sfl,
    "local": local,
    "fedavg": fedavg,
    "splitfed-v1": splitfed_v1,
    "splitfed-v2": splitfed_v2,
    "fedper": fedper,
    "fedavg+ft": fedavg_ft,
    "central": central,
}


def make_algorithm(name: str, options: Options) -> Algorithm:
    """Raises UnknownNameError with the names that there are."""
    if name not in ALGORITHMS:
        raise UnknownNameError("algorithm", name, list(ALGORITHMS))
    return ALGORITHMS[name](options)
