"""The trunk as it was: what a forward pass computed with, its backward pass needs again."""

from __future__ import annotations

from ..catalog.models.lora import Adapter
from .batching import Weights


def live(adapter: Adapter) -> Weights:
    """The pairs as they are, not copied: an update changes them."""
    return {path: (pair.A.detach(), pair.B.detach()) for path, pair in adapter.pairs.items()}


class Versions:
    """Copies of an adapter, one for each of its versions that somebody asked for. A version is
    kept as long as somebody holds it."""

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter
        self._number: list[int] | None = None
        self._latest: Weights = {}

    def now(self) -> Weights:
        """A copy that no update changes."""
        number = [parameter._version for parameter in self.adapter.parameters()]
        if number != self._number:
            self._latest = {p: (A.clone(), B.clone()) for p, (A, B) in live(self.adapter).items()}
            self._number = number
        return self._latest
