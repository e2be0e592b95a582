"""Every algorithm by name. A new one is a file with a function of the options, and a line here.

People write an algorithm as its name and words that change it: "fedavg", "fedavg/prior",
"flexp-sfl/aligned/both", "flexp-sfl/projection/prior".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import get_args

from ...errors import FieldError, UnknownNameError
from ...profiler.costs import ServerSide
from .algorithm import Algorithm, Alignment, Options
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
FLEXP = "flexp-sfl"
PRIOR, PROJECTION = "prior", "projection"


def make_algorithm(name: str, options: Options) -> Algorithm:
    """Raises UnknownNameError with the names that there are."""
    if name not in ALGORITHMS:
        raise UnknownNameError("algorithm", name, list(ALGORITHMS))
    return ALGORITHMS[name](options)


def parse_algorithm(text: str, options: Options) -> tuple[str, Options]:
    """A name with words as options: "flexp-sfl/aligned/prox/prior".

    Raises UnknownNameError for the name, FieldError for a word that it does not have.
    """
    name, *words = text.strip().split("/")
    make_algorithm(name, options)
    for word in words:
        if word == PRIOR:
            options = options.model_copy(update={"label_prior": True})
        elif word == PROJECTION:
            options = options.model_copy(update={"projection": True})
        elif name == FLEXP and word in get_args(ServerSide):
            options = options.model_copy(update={"server_side": word})
        elif name == FLEXP and word in get_args(Alignment):
            options = options.model_copy(update={"alignment": word})
        else:
            own = (*get_args(ServerSide), *get_args(Alignment)) if name == FLEXP else ()
            raise FieldError(
                f"--algorithms: {text!r}: {name} has no {word!r}",
                f"its words are {', '.join((PRIOR, PROJECTION, *own))}",
            )
    if options.alignment in ("prox", "both") and options.server_side != "aligned":
        raise FieldError(
            f"--algorithms: {text!r}: {options.alignment} holds personal adapters to a trunk, and "
            f"the {options.server_side} server side has one of the two only",
            f"write {name}/aligned/{options.alignment}",
        )
    return name, options


def label_of(name: str, options: Options) -> str:
    """As people write it, without what is as usual."""
    usual, words = Options(), [name]
    if name == FLEXP:
        words += [options.server_side] * (options.server_side != usual.server_side)
        words += [options.alignment] * (options.alignment != usual.alignment)
    words += [PROJECTION] * options.projection + [PRIOR] * options.label_prior
    return "/".join(words)
