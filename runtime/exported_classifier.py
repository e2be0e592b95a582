"""A classifier trained by flexp, in code that needs transformers and nothing else.

`flexp export` copies this file beside the weights, and transformers runs it:

    AutoModelForSequenceClassification.from_pretrained(FOLDER, trust_remote_code=True)

The model is a transformer without its own pooler, the mean over the unmasked tokens or patches,
scaled to length sqrt(H), and one linear layer; or that layer on every token. Where it was trained
with a projection, the output of the last block is multiplied by that.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


class FlexpClassifierConfig(PretrainedConfig):
    """`backbone` is the transformer's own configuration, `width` what its last layer returns, and
    `backbone_arguments` what AutoModel takes beside it; `per_token` says that every token has a
    class, and `projected` names the block whose output goes through a projection, if one does."""

    model_type = "flexp_classifier"
    sub_configs = {"backbone": AutoConfig}  # noqa: RUF012

    backbone: Any = None
    width: int = 1
    backbone_arguments: dict[str, Any] | None = None
    per_token: bool = False
    projected: str | None = None

    def __post_init__(self, **more: Any) -> None:
        if isinstance(self.backbone, dict):
            self.backbone = AutoConfig.for_model(**self.backbone)
        super().__post_init__(**more)


class FlexpClassifier(PreTrainedModel):
    config_class = FlexpClassifierConfig
    base_model_prefix = "backbone"
    _supports_sdpa = True

    def __init__(self, config: FlexpClassifierConfig) -> None:
        super().__init__(config)
        arguments = config.backbone_arguments or {}
        self.backbone = AutoModel.from_config(config.backbone, **arguments)
        self.head = nn.Linear(config.width, len(config.id2label or {}))
        if config.projected is not None:
            block = self.backbone.get_submodule(config.projected)
            width = config.backbone.hidden_size
            block.projection = nn.Linear(width, width, bias=False)
            block.register_forward_hook(_project)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        pixel_values: Tensor | None = None,
        labels: Tensor | None = None,
        **inputs: Any,
    ) -> SequenceClassifierOutput:
        given = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "pixel_values": pixel_values,
        }
        inputs |= {name: value for name, value in given.items() if value is not None}
        hidden_BTH = self.backbone(**inputs).last_hidden_state
        per_token = self.config.per_token
        logits = self.head(hidden_BTH if per_token else _mean_pool(hidden_BTH, attention_mask))
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits.float().flatten(0, -2), labels.flatten())
        return SequenceClassifierOutput(loss=loss, logits=logits)


def _project(block: Any, inputs: Any, output: Any) -> Any:
    if isinstance(output, tuple):
        return (block.projection(output[0]), *output[1:])
    return block.projection(output)


def _mean_pool(h_BTH: Tensor, mask_BT: Tensor | None) -> Tensor:
    if mask_BT is None:
        mask_BT = torch.ones(h_BTH.shape[:2], device=h_BTH.device)
    weight_BT1 = mask_BT[..., None].to(h_BTH.dtype)
    mean_BH = (h_BTH * weight_BT1).sum(1) / weight_BT1.sum(1).clamp_min(1)
    return F.normalize(mean_BH, dim=-1) * h_BTH.shape[-1] ** 0.5
