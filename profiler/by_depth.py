"""A profile read by depth: what a client and the server need for every split of a model."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from .costs import (
    STATE_COPIES,
    UPDATE_COPIES,
    Codec,
    ServerSide,
    client_flops,
    client_peak_bytes,
    server_client_bytes,
    server_flops,
    wire_bytes,
)
from .placement import Placement, divide
from .profile import Optimizer, Profile, UnitProfile


class DepthFigures(NamedTuple):
    """One training step of one client at one depth. The five parts add up to the device's peak."""

    depth: int
    """Blocks at the bottom of the model that the device trains."""
    device_memory_bytes: int
    """Peak of the device's training process, `client_peak_bytes`."""
    weight_bytes: int
    gradient_bytes: int
    """Gradients of all that trains on the device, though at the peak some may not exist yet."""
    optimizer_bytes: int
    """The optimizer's state, and where the peak is its update the copies that it makes then."""
    activation_bytes: int
    """The rest of the peak: saved activations, transients, tensors that cross the wire; 0 where
    the peak is the optimizer's update."""
    process_bytes: int
    """The process without its model; 0 where the device is not known."""
    device_flops: int
    server_flops: int
    server_memory_bytes: int
    """What the client's step adds on the server, beside the weights that all clients share."""
    up_bytes: int
    down_bytes: int


def by_depth(
    profile: Profile,
    template: Placement,
    codec: Codec,
    server_side: ServerSide,
    runtime_bytes: int = 0,
) -> tuple[DepthFigures, ...]:
    """Every depth that leaves the server a block, shallowest first: 1 to L - top - 1, each placed
    as `template` but for its depth. `runtime_bytes` is the process without its model.

    Raises PlanError where the model can't take the template at any depth.

    Example: at a peak of 1540 bytes under AdamW, weights of 1240 and gradients of 60 leave 120 of
    optimizer state and 1540 - 1240 - 60 - 120 = 120 of activations. At a peak of 1370, weights of
    1140 and gradients of 50 leave 80 beside the state of 100; with a largest tensor of 40 bytes
    that is what AdamW's update takes: 180 for the optimizer, no activations.
    """
    divide(profile, replace(template, depth=1))  # the shallowest: if it can't be, none can
    return tuple(
        _figures(profile, replace(template, depth=depth), codec, server_side, runtime_bytes)
        for depth in range(1, profile.blocks - template.top)
    )


def _figures(
    profile: Profile,
    placement: Placement,
    codec: Codec,
    server_side: ServerSide,
    runtime_bytes: int,
) -> DepthFigures:
    bottom, _, top = divide(profile, placement)
    units = (*bottom, *top)
    weight_bytes = sum(unit.parameter_bytes for unit in units)
    gradient_bytes = sum(unit.trainable_bytes for unit in units)
    optimizer = profile.settings.optimizer
    state_bytes = STATE_COPIES[optimizer] * gradient_bytes
    update_bytes = UPDATE_COPIES[optimizer] * max(unit.largest_trainable_bytes for unit in units)
    peak_bytes = client_peak_bytes(profile, placement, runtime_bytes)
    rest_bytes = peak_bytes - runtime_bytes - weight_bytes - gradient_bytes - state_bytes
    at_update = rest_bytes == update_bytes
    wire = wire_bytes(profile, placement, codec)
    return DepthFigures(
        depth=placement.depth,
        device_memory_bytes=peak_bytes,
        weight_bytes=weight_bytes,
        gradient_bytes=gradient_bytes,
        optimizer_bytes=state_bytes + (rest_bytes if at_update else 0),
        activation_bytes=0 if at_update else rest_bytes,
        process_bytes=runtime_bytes,
        device_flops=client_flops(profile, placement),
        server_flops=server_flops(profile, placement),
        server_memory_bytes=server_client_bytes(profile, placement, server_side),
        up_bytes=wire.up,
        down_bytes=wire.down,
    )


def state_bytes(unit: UnitProfile, optimizer: Optimizer) -> int:
    """What a unit takes all through training: weights, gradients, the optimizer's state.

    Example: P = 100 of which G = 10 train, under AdamW: 100 + 10 + 20 = 130 bytes.
    """
    return unit.parameter_bytes + (1 + STATE_COPIES[optimizer]) * unit.trainable_bytes
