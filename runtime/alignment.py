"""Layer-flexible alignment: what holds a client's part of a model to what all have in common.

prox adds Σ_l λ_l · ‖s B_l A_l‖² to a client's objective, where s B_l A_l is what its personal
adapter adds to layer l of the server. feature adds λ_{d-1} times the distance of the output of the
device's d blocks to that of the pre-trained ones (docs/algorithm.md).
"""

from __future__ import annotations

from torch import Tensor

from ..catalog.models.lora import Adapter
from ..errors import FieldError
from .versions import Owned


def parse_lambdas(text: str, blocks: int, option: str = "--alignment") -> tuple[float, ...]:
    """λ for each block: "none", "constant:X", "linear:X" (from X/L up to X) or "x0,x1,...", as
    given by `option`.

    Raises FieldError for anything else, a negative value or a list of another length.
    """
    kind, _, value = text.partition(":")
    try:
        if kind == "none" and not value:
            lambdas = [0.0] * blocks
        elif kind == "constant":
            lambdas = [float(value)] * blocks
        elif kind == "linear":
            lambdas = [float(value) * (index + 1) / blocks for index in range(blocks)]
        else:
            lambdas = [float(item) for item in text.split(",")]
    except ValueError:
        raise FieldError(
            f"{option} {text!r} is not a schedule of λ",
            "use none, constant:0.01, linear:0.01 or a list with one number per block",
        ) from None
    if len(lambdas) != blocks:
        raise FieldError(f"{option} lists {len(lambdas)} values; the model has {blocks} blocks")
    if not all(0 <= value < float("inf") for value in lambdas):
        raise FieldError(f"{option} {text!r}: λ must be 0 or more")
    return tuple(lambdas)


def prox(personal: Owned, lambdas: tuple[float, ...], depth: int) -> Tensor | None:
    """Σ λ_l ‖δ_l‖² over the server's layers of a client at `depth`, where δ_l is s B_l A_l, or a
    whole weight's; None where λ are 0."""
    terms = []
    for path in personal.by_path():
        block = int(path.partition(".")[0])
        if block >= depth and lambdas[block] > 0:
            terms.append(lambdas[block] * _norm(personal, path))
    return sum(terms[1:], terms[0]) if terms else None


def _norm(personal: Owned, path: str) -> Tensor:
    if isinstance(personal, Adapter):
        return personal.pairs[path].squared_norm()
    return personal.weights[path].square().sum()


def feature_distance(h_BTH: Tensor, reference_BTH: Tensor, mask_BT: Tensor | None) -> Tensor:
    """The mean over unmasked tokens of the squared distance of two features, per dimension."""
    squared_BT = (h_BTH.float() - reference_BTH.float()).square().mean(-1)
    if mask_BT is None:
        return squared_BT.mean()
    weight_BT = mask_BT.to(squared_BT.dtype)
    return (squared_BT * weight_BT).sum() / weight_BT.sum()
