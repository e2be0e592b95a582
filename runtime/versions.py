"""What trains in the blocks of a server, of all clients or of one, and the versions of it that
steps under way compute with."""

from __future__ import annotations

from torch.optim import Optimizer

from ..catalog.models.lora import Adapter
from ..catalog.models.whole import WholeWeights
from .batching import Weights
from .optim import OPTIMIZERS, FlatAdamW, adamw

Owned = Adapter | WholeWeights


def optimizer_of(owned: Owned, name: str, rate: float, *, flat: bool) -> Optimizer | None:
    """`flat` where all parameters have a gradient at every step; None where there are none. Whole
    weights are updated one by one, for the sake of memory."""
    if not len(owned):
        return None
    if name != "adamw" or isinstance(owned, WholeWeights):
        return OPTIMIZERS[name](owned.parameters(), rate)
    if flat:
        return FlatAdamW(owned.parameters(), rate)
    return adamw(owned.parameters(), rate, together=True)


def live(owned: Owned) -> Weights:
    """The weights as they are, not copied: an update changes them."""
    return {path: tuple(part.detach() for part in parts) for path, parts in owned.by_path().items()}


class Versions:
    """The present version of what an owner has, for others to compute with: it is copied only where
    an update would change it under their hands."""

    def __init__(self, owned: Owned) -> None:
        self.owned = owned
        self._lent: Weights = {}

    def now(self) -> Weights:
        """Tensors that stay as they are, if `keep` is called before an update."""
        if not self._lent:
            self._lent = {  # .data: autograd does not take an update for a change of these
                path: tuple(part.data for part in parts)
                for path, parts in self.owned.by_path().items()
            }
        return self._lent

    def keep(self) -> None:
        """Leave what was lent to those who have it: the owner goes on with a copy."""
        if self._lent:
            for parameter in self.owned.parameters():
                parameter.data = parameter.data.clone()
            self._lent = {}
