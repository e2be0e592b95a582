"""Stand for the layers of an embedding, which a server never needs: zeros of the right shape."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class ZeroVocabulary(nn.Module):
    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        self.embedding_dim = embedding.embedding_dim
        self.weight = torch.empty(0, dtype=embedding.weight.dtype)
        """Not a parameter: some models read its type."""

    def forward(self, ids: Tensor) -> Tensor:
        shape = (*ids.shape, self.embedding_dim)
        return torch.zeros(shape, dtype=self.weight.dtype, device=ids.device)


class ZeroPatches(nn.Module):
    """For the convolution that makes patches of an image."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.out_channels = convolution.out_channels
        self.kernel_size, self.stride = convolution.kernel_size, convolution.stride
        self.weight = torch.empty(0, dtype=convolution.weight.dtype)

    def forward(self, pixels: Tensor) -> Tensor:
        """[B, C, height, width] to [B, out_channels, rows, columns], without padding."""
        sides = zip(pixels.shape[-2:], self.kernel_size, self.stride, strict=True)
        grid = [(pixel - kernel) // stride + 1 for pixel, kernel, stride in sides]
        shape = (len(pixels), self.out_channels, *grid)
        return torch.zeros(shape, dtype=self.weight.dtype, device=pixels.device)


def without_embedding(backbone: Any, blocks: nn.ModuleList) -> None:
    """Replace the vocabulary table or the patch projection of `backbone` by its stand-in."""
    try:
        embedding = backbone.get_input_embeddings()
    except NotImplementedError:  # some models of images
        embedding = None
    if isinstance(embedding, nn.Embedding):
        backbone.set_input_embeddings(ZeroVocabulary(embedding))
    inside = {id(module) for module in blocks.modules()}
    for path, module in list(backbone.named_modules()):
        if type(module) is nn.Conv2d and id(module) not in inside and _is_unpadded(module):
            backbone.set_submodule(path, ZeroPatches(module))


def _is_unpadded(convolution: nn.Conv2d) -> bool:
    return convolution.padding in (0, (0, 0), "valid") and convolution.dilation == (1, 1)
