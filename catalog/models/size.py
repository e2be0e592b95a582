"""How large a model is at least, read off its entry in the catalogue: no profile is needed to see
that it is far too large."""

from __future__ import annotations

from .entry import find_model

LAYERS = ("num_hidden_layers", "n_layer", "num_layers")
WIDTHS = ("hidden_size", "n_embd")
INNER_WIDTHS = ("intermediate_size", "ffn_dim")


def least_parameters(model: str) -> int:
    """Of its feed-forward layers alone, two matrices a block; 0 where the catalogue does not say
    their size.

    Example: 6 blocks of 384, 1536 inside: 6 · 2 · 384 · 1536 = 7,077,888 of 22.7 million.
    """
    entry = find_model(model)
    if entry is None:
        return 0
    count, width, inner = (
        next((entry.architecture[key] for key in keys if entry.architecture.get(key)), 0)
        for keys in (LAYERS, WIDTHS, INNER_WIDTHS)
    )
    return 2 * int(count) * int(width) * int(inner)
