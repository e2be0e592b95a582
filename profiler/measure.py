"""From a configuration to a profile: one training step of a short fake model.

docs/profiler.md says what each figure means and how well it agrees with real runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..catalog.models.blocks import block_stack
from ..catalog.models.build import build_model
from ..catalog.models.entry import config_hash, load_config
from ..catalog.models.projection import PROJECTION
from ..errors import UnsupportedModelError
from .config_slice import block_kinds, blocks_to_measure, with_blocks
from .fake import fake_tensors, make_fake, training_batch
from .profile import Profile, ProfileSettings, UnitProfile
from .step_trace import StepTrace, trace_step
from .weights import UnitWeights, weights_by_unit

if TYPE_CHECKING:
    from transformers import PretrainedConfig


def profile_model(model: str, settings: ProfileSettings) -> Profile:
    """The profile of a catalogue name, a checkpoint folder or a hub id, from its configuration
    alone. Raises as `load_config` and `profile_config` do."""
    return profile_config(model, load_config(model), settings)


def profile_config(name: str, config: PretrainedConfig, settings: ProfileSettings) -> Profile:
    """The profile of a model of this configuration.

    Runs one step of a model with block 0, one later block of each kind, and one block more: what a
    block's output costs shows in the block that follows. The other blocks have the figures of
    their kind. A last block with a projection is a kind of its own, which only the head follows.
    Nothing of the model's size is allocated.
    Raises UnsupportedModelError for a model that cannot be split or profiled, FieldError where the
    settings do not fit the model.
    """
    kinds = block_kinds(config)
    projected = PROJECTION in settings.lora_targets
    if projected:
        kinds[-1] = (*kinds[-1], PROJECTION)
    measured = blocks_to_measure(kinds)
    more = [] if projected else [measured[-1]]
    with torch.device("meta"):
        model = build_model(with_blocks(config, [*measured, *more]), settings)
    _, blocks = block_stack(model.backbone)
    with fake_tensors():
        make_fake(model)
        try:
            trace = trace_step(model, blocks, lambda: training_batch(model, settings))
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            raise UnsupportedModelError(
                f"{name}: a step of {config.model_type} can't be computed from shapes: {reason}",
                "choose another model",
            ) from error
    figures = _figures(trace, weights_by_unit(model, blocks, trace.users))
    position = {kinds[index]: unit for unit, index in enumerate(measured, start=1)}
    units = [1, *(position[kind] for kind in kinds[1:])]
    names = [f"block.{index}" for index in range(len(kinds))]
    return Profile(
        model=name,
        model_type=config.model_type,
        config_hash=config_hash(config),
        hidden_size=config.hidden_size,
        inputs="pixels" if model.backbone.main_input_name == "pixel_values" else "tokens",
        settings=settings,
        units=tuple(
            figures[unit].model_copy(update={"name": unit_name})
            for unit, unit_name in zip(
                [0, *units, len(blocks) + 1], ["embedding", *names, "head"], strict=True
            )
        ),
    )


def _figures(trace: StepTrace, weights: list[UnitWeights]) -> list[UnitProfile]:
    """The figures of each unit of the short model.

    Transients are what a unit adds to the memory that `UnitProfile` says was there: what it and
    the units below it saved, and, going back, the gradients of the units above it.
    """
    figures = []
    for unit, own in enumerate(weights):
        below = sum(trace.saved_bytes[lower] for lower in range(unit))
        saved = trace.saved_bytes[unit]
        above = sum(upper.trained_bytes for upper in weights[unit + 1 :])
        figures.append(
            UnitProfile(
                name=str(unit),
                parameters=own.parameters,
                parameter_bytes=own.held_bytes,
                trainable_bytes=own.trained_bytes,
                largest_trainable_bytes=own.largest_trained_bytes,
                tied_bytes=own.tied_bytes,
                forward_flops=trace.forward_flops[unit],
                backward_flops=trace.backward_flops[unit],
                saved_bytes=saved,
                forward_transient_bytes=max(0, trace.forward_peak_bytes[unit] - below),
                backward_transient_bytes=max(
                    0, trace.backward_peak_bytes[unit] - below - saved - above
                ),
                boundary_bytes=trace.input_bytes[unit + 1],
            )
        )
    return figures
