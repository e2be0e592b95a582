"""The forward FLOPs of a profile, counted a second time by fvcore.

docs/profiler.md says what the two counts share. fvcore reads a trace of the whole model, on torch's
meta device: nothing of the model's size is allocated.
"""

from __future__ import annotations

from importlib.metadata import version
from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..catalog.models.blocks import block_stack
from ..catalog.models.build import build_model
from ..catalog.models.entry import load_config
from ..catalog.models.heads import TaskModel
from ..errors import UnsupportedModelError
from .fake import training_batch
from .profile import FLOPS_TOLERANCE, FlopsCheck, Profile, ProfileSettings

if TYPE_CHECKING:
    from transformers import PretrainedConfig

ENDS = "embedding and head"
"""All outside the blocks: a trace does not tell the two apart."""


def verify_model(profile: Profile) -> FlopsCheck:
    """As `verify_flops`, of the configuration that the profile's model names; raises as
    `load_config` does as well."""
    return verify_flops(profile, load_config(profile.model))


def verify_flops(profile: Profile, config: PretrainedConfig) -> FlopsCheck:
    """fvcore's count beside the profile's, as a whole and part by part: each block, and the ends.

    Raises UnsupportedModelError where fvcore can't trace the model, or sees nothing of a part.
    """
    counted = count_forward_flops(profile.model, config, profile.settings)
    blocks = {unit.name: unit.forward_flops for unit in profile.block_units}
    profiled = {**blocks, ENDS: profile.embedding.forward_flops + profile.head.forward_flops}
    ratios = {part: profiled[part] / counted[part] for part in counted}
    worst_part = max(ratios, key=lambda part: abs(ratios[part] - 1))
    total = sum(counted.values())
    off = [part for part, ratio in ratios.items() if abs(ratio - 1) > FLOPS_TOLERANCE]
    return FlopsCheck(
        version=version("fvcore"),
        forward_flops=total,
        ratio=sum(profiled.values()) / total,
        worst_part=worst_part,
        worst_ratio=ratios[worst_part],
        warning=_warning(off, worst_part, ratios[worst_part]) if off else None,
    )


def _warning(off: list[str], worst_part: str, worst_ratio: float) -> str:
    return (
        f"{len(off)} part(s) of the model differ from fvcore's count by more than "
        f"{FLOPS_TOLERANCE:.1%}, {worst_part} the most: {worst_ratio:.4f} of it"
    )


def count_forward_flops(
    name: str, config: PretrainedConfig, settings: ProfileSettings
) -> dict[str, int]:
    """fvcore's count of a forward pass of the whole model, 2 FLOPs per multiply-add: by block
    ("block.0", ...), and outside the blocks. Raises as `verify_flops`."""
    from fvcore.nn import FlopCountAnalysis

    # FLOPs do not depend on the type, and torch knows the shapes of mixtures in bfloat16 alone
    settings = settings.model_copy(update={"dtype": "bfloat16"})
    with torch.device("meta"):
        model = build_model(config, settings)
        inputs, _ = training_batch(model, settings)
    traced = _ByPosition(model, list(inputs))
    paths = {id(module): path for path, module in traced.named_modules()}
    _, blocks = block_stack(model.backbone)
    analysis = FlopCountAnalysis(traced, tuple(inputs.values()))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    analysis.tracer_warnings("none").clear_op_handles().set_op_handle(**_products())
    try:
        with torch.no_grad(), _TracedConvolutions():
            multiply_adds = analysis.by_module()
    except Exception as error:  # whatever an operation does to a trace
        reason = str(error).partition("\n")[0]
        raise UnsupportedModelError(
            f"{name}: fvcore can't trace {config.model_type}: {reason}",
            "leave out --verify: the profile itself does not need fvcore",
        ) from error
    counted = {
        f"block.{index}": 2 * int(multiply_adds[paths[id(block)]])
        for index, block in enumerate(blocks)
    }
    counted[ENDS] = 2 * int(multiply_adds[""]) - sum(counted.values())
    unseen = [part for part, flops in counted.items() if flops == 0]
    if unseen:
        raise UnsupportedModelError(
            f"{name}: fvcore sees no products in {', '.join(unseen)} of {config.model_type}",
            "leave out --verify: the profile itself does not need fvcore",
        )
    return counted


class _ByPosition(nn.Module):
    """A trace takes tensors by position, a task model takes them by name."""

    def __init__(self, model: TaskModel, names: list[str]) -> None:
        super().__init__()
        self.model = model
        self._names = names

    def forward(self, *tensors: Tensor) -> Tensor:
        return self.model(dict(zip(self._names, tensors, strict=True)))


class _TracedConvolutions(TorchFunctionMode):
    """Calls convolutions by the name under which a trace records them: for meta tensors torch
    would take a way around the trace."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if function not in (torch.conv1d, torch.conv2d, torch.conv3d):
            return function(*args, **(kwargs or {}))
        x, weight, bias, stride, padding, dilation, groups = args
        unused, padded = (False, False, False, False), [0] * len(stride)
        return torch._convolution(
            x, weight, bias, stride, padding, dilation, False, padded, groups, *unused
        )


def _products() -> dict[str, Any]:
    """What is counted, as in `flops.flop_counter` but of whole operations: fvcore's own formulas,
    and those that it lacks. Its counts of norms are left out."""
    from fvcore.nn import jit_handles

    return {
        "aten::linear": jit_handles.linear_flop_jit,
        "aten::addmm": jit_handles.addmm_flop_jit,
        "aten::mm": jit_handles.matmul_flop_jit,
        "aten::matmul": jit_handles.matmul_flop_jit,
        "aten::bmm": jit_handles.bmm_flop_jit,
        "aten::einsum": jit_handles.einsum_flop_jit,
        "aten::_convolution": jit_handles.conv_flop_jit,
        "aten::baddbmm": lambda inputs, _: _batched(inputs[1:]),
        "aten::_grouped_mm": lambda inputs, _: _grouped(inputs),
        "aten::scaled_dot_product_attention": lambda inputs, _: _attention(inputs),
    }


def _shapes(values: list[Any]) -> list[list[int]]:
    return [value.type().sizes() for value in values]


def _batched(values: list[Any]) -> int:
    """[N, A, B] by [N, B, C]."""
    left_NAB, right_NBC = _shapes(values[:2])
    return prod(left_NAB) * right_NBC[2]


def _grouped(values: list[Any]) -> int:
    """Each row of [M, K], a token at one of its experts, by that expert's [K, N]."""
    rows_MK, experts_EKN = _shapes(values[:2])
    return prod(rows_MK) * experts_EKN[2]


def _attention(values: list[Any]) -> int:
    """Scores QKᵀ and their product with V for each query head: all T × S of them."""
    query, key, value = _shapes(values[:3])
    *batch_and_heads, tokens, width = query
    return prod(batch_and_heads) * tokens * key[-2] * (width + value[-1])
