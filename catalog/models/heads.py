"""Task models: a transformer backbone and the head that makes its task."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

Inputs = Mapping[str, Tensor]

UNLABELLED = -100
"""The label of a token that has none, such as padding."""


def mean_pool(h_BTH: Tensor, mask_BT: Tensor | None) -> Tensor:
    """Mean over the unmasked tokens, scaled to length sqrt(H), so that a linear layer on top sees
    features of unit scale whatever the backbone."""
    if mask_BT is None:
        mean_BH = h_BTH.mean(1)
    else:
        weight_BT1 = mask_BT[..., None].to(h_BTH.dtype)
        mean_BH = (h_BTH * weight_BT1).sum(1) / weight_BT1.sum(1).clamp_min(1)
    return F.normalize(mean_BH, dim=-1) * h_BTH.shape[-1] ** 0.5


class _LinearHead(nn.Module):
    """Backbone and one linear layer over the classes."""

    def __init__(self, backbone: nn.Module, head: nn.Linear) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    @property
    def root(self) -> nn.Module:
        """The library's model, which takes the inputs."""
        return self.backbone

    def features(self, inputs: Inputs) -> Tensor:
        """What the head sees [..., H]."""
        raise NotImplementedError

    def forward(self, inputs: Inputs) -> Tensor:
        """Logits [..., C]."""
        return self.head(self.features(inputs))

    @staticmethod
    def counted(labels: Tensor) -> int:
        """How many labels the loss is the mean over."""
        return int((labels != UNLABELLED).sum())

    @staticmethod
    def right(logits: Tensor, labels: Tensor) -> int:
        """How many of them the most likely class is."""
        return int((logits.argmax(-1) == labels).sum())


class Classifier(_LinearHead):
    """A class for each text or image: the head sees the mean over the tokens."""

    def features(self, inputs: Inputs) -> Tensor:
        """Pooled features [B, H]."""
        hidden_BTH = self.backbone(**inputs).last_hidden_state
        return mean_pool(hidden_BTH, inputs.get("attention_mask"))

    def loss(self, inputs: Inputs, labels_B: Tensor) -> Tensor:
        return F.cross_entropy(self(inputs).float(), labels_B)


class TokenClassifier(_LinearHead):
    """A class for each token."""

    def features(self, inputs: Inputs) -> Tensor:
        """Features of every token [B, T, H]."""
        return self.backbone(**inputs).last_hidden_state

    def loss(self, inputs: Inputs, labels_BT: Tensor) -> Tensor:
        """The mean over the labelled tokens; UNLABELLED ones do not count."""
        logits_BTC = self(inputs).float()
        return F.cross_entropy(logits_BTC.flatten(0, 1), labels_BT.flatten())


class CausalLM(nn.Module):
    """A decoder with its own vocabulary head and its own loss."""

    model: Any

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    @property
    def root(self) -> nn.Module:
        """The library's model, which takes the inputs."""
        return self.model

    @property
    def backbone(self) -> nn.Module:
        return self.model.base_model

    @property
    def head(self) -> nn.Module:
        return self.model.get_output_embeddings()

    def forward(self, inputs: Inputs) -> Tensor:
        """Logits [B, T, V]."""
        return self.model(**inputs).logits

    def loss(self, inputs: Inputs, labels_BT: Tensor) -> Tensor:
        return self.model(**inputs, labels=labels_BT).loss

    @staticmethod
    def counted(labels_BT: Tensor) -> int:
        """How many labels the loss is the mean over: nothing predicts the first token."""
        return int((labels_BT[:, 1:] != UNLABELLED).sum())

    @staticmethod
    def right(logits_BTV: Tensor, labels_BT: Tensor) -> int:
        """How many of them the most likely token is."""
        return int((logits_BTV[:, :-1].argmax(-1) == labels_BT[:, 1:]).sum())


class Headless(nn.Module):
    """A backbone whose head is on another machine."""

    def __init__(self, backbone: nn.Module, task: type[TaskModel]) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Module()
        """Empty."""
        self.counted, self.right = task.counted, task.right

    @property
    def root(self) -> nn.Module:
        return self.backbone


TaskModel = Classifier | TokenClassifier | CausalLM


M = TypeVar("M", bound=nn.Module)


def own_copy(model: M, *shared: nn.Module) -> M:
    """A copy with modules of its own, and weights of its own where they train: they start alike.
    What is frozen, and the modules `shared`, are the same in both."""
    tensors: list[Tensor] = [*model.parameters(), *model.buffers()]
    same: list[Any] = [*(tensor for tensor in tensors if not tensor.requires_grad), *shared]
    return copy.deepcopy(model, memo={id(one): one for one in same})


@torch.no_grad()
def set_head(model: Classifier, features_CH: Tensor) -> None:
    """Start the head from one feature vector per class: rows of unit length, centred over the
    classes, no bias."""
    rows_CH = F.normalize(features_CH, dim=-1)
    model.head.weight.copy_(rows_CH - rows_CH.mean(0))
    model.head.bias.zero_()
