"""All that a client may be asked to do, and what each choice costs on any device.

A variant is a placement (depth, top blocks, head, checkpointing), a codec, a batch size and a
number of micro-batches. The menu holds the figures of every variant as arrays [O], from the profile
alone; planner/figures.py turns them into seconds on a device and its link.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import InfeasibleError, PlanError
from ..profiler import costs
from ..profiler.costs import Codec
from ..profiler.placement import Placement, divide
from ..profiler.profile import Profile
from .fleet import Policy
from .solver.problem import FloatArray, IntArray


@dataclass(frozen=True, order=True, slots=True)
class Variant:
    """One way to split one client's work."""

    placement: Placement
    codec: Codec
    batch: int
    micro_batches: int = 1


@dataclass(frozen=True)
class Demand:
    """What a variant asks for in one step, whatever the device."""

    model_memory_bytes: int
    """Peak on the device above `runtime_bytes`."""
    device_flops: tuple[int, ...]
    """Before the first visit to the server, between visits, after the last one."""
    server_flops: tuple[int, ...]
    """Of each visit: forward and backward, or both at once where the head is on the server."""
    server_memory_bytes: int
    up_bytes: int
    down_bytes: int

    @cached_property
    def visits(self) -> int:
        """Round trips to the server."""
        return len(self.server_flops)

    @cached_property
    def all_device_flops(self) -> int:
        return sum(self.device_flops)

    @cached_property
    def all_server_flops(self) -> int:
        return sum(self.server_flops)

    @property
    def visit_flops(self) -> float:
        """Σ visit² / Σ visit: of the visit that a busy accelerator is in."""
        total = self.all_server_flops
        return sum(flops**2 for flops in self.server_flops) / total if total else 0.0


@dataclass(frozen=True, eq=False)
class Menu:
    """Variants in order of preference among equals: the first of two that cost the same is taken.

    More private blocks come first, then the head on the device, the finer codec, the larger batch,
    fewer micro-batches and no checkpointing.
    """

    variants: tuple[Variant, ...]
    demands: tuple[Demand, ...]
    round_samples: int
    """Samples of a round: the batch of the profile. A variant with a smaller batch takes
    `steps_per_round` steps for them."""

    def __len__(self) -> int:
        return len(self.variants)

    def column(self, field: str) -> FloatArray:
        """float64[O]: one field of the demands; the sum where it has parts."""
        if field not in self._columns:
            values = [getattr(demand, field) for demand in self.demands]
            summed = [sum(v) if isinstance(v, tuple) else v for v in values]
            self._columns[field] = np.array(summed, dtype=float)
        return self._columns[field]

    @cached_property
    def _columns(self) -> dict[str, FloatArray]:
        """Those that were asked for."""
        return {}

    @cached_property
    def depth(self) -> IntArray:
        return np.array([v.placement.depth for v in self.variants])

    @cached_property
    def private_blocks(self) -> IntArray:
        """int64[O]: blocks on the device, at the bottom and at the top."""
        return np.array([v.placement.depth + v.placement.top for v in self.variants])

    @cached_property
    def micro_batches(self) -> FloatArray:
        return np.array([v.micro_batches for v in self.variants], dtype=float)

    @cached_property
    def steps_per_round(self) -> FloatArray:
        return np.array([self.round_samples / v.batch for v in self.variants])


def make_menu(profiles: Mapping[int, Profile], policy: Policy) -> Menu:
    """The variants that the policy allows, of the profiles by batch size; the first profile's batch
    is the round's. Raises PlanError where a batch of the policy has no profile, InfeasibleError
    where the model is too small to be split."""
    reference = next(iter(profiles.values()))
    batches = policy.batches or (reference.settings.batch,)
    missing = sorted(set(batches) - set(profiles))
    if missing:
        raise PlanError(
            f"the fleet allows batches of {', '.join(map(str, missing))}, the profile is of "
            f"{', '.join(map(str, sorted(profiles)))}",
            "plan with --model, which profiles every batch, or change policy.batches",
        )
    found = {
        variant: demand(profiles[variant.batch], variant, policy)
        for variant in _variants(reference, policy, batches)
    }
    if not found:
        raise InfeasibleError(
            f"{reference.model} has {reference.blocks} blocks: none is left for the server",
            "choose a deeper model, or fewer top_blocks in the fleet's policy",
        )
    ranked = sorted(found, key=preference)
    return Menu(
        tuple(ranked),
        tuple(found[variant] for variant in ranked),
        reference.settings.batch,
    )


def preference(variant: Variant) -> tuple[float, ...]:
    """Sort key: which of two variants that cost the same is to be taken."""
    placement = variant.placement
    return (
        -(placement.depth + placement.top),
        -placement.depth,
        placement.head == "server",
        -costs.ELEMENT_BYTES[variant.codec],
        -variant.batch,
        variant.micro_batches,
        placement.checkpointing,
    )


def _variants(profile: Profile, policy: Policy, batches: Sequence[int]) -> Iterator[Variant]:
    again = {"never": (False,), "allowed": (False, True), "always": (True,)}[policy.checkpointing]
    placements = [
        Placement(depth, top, "device", checkpointing)
        for top in policy.top_blocks
        for depth in range(1, profile.blocks - top)
        for checkpointing in again
    ]
    if policy.labels_may_leave and _head_may_leave(profile):
        placements += [
            Placement(depth, 0, "server", checkpointing)
            for depth in range(1, profile.blocks)
            for checkpointing in again
        ]
    for placement, codec, batch, parts in itertools.product(
        placements, policy.allowed_codecs, batches, policy.micro_batches
    ):
        if batch % parts == 0 and (parts == 1 or placement.head == "device"):
            yield Variant(placement, codec, batch, parts)


def _head_may_leave(profile: Profile) -> bool:
    """A head that trains and shares its weights with the embedding can't be on another machine, nor
    one below which the last norm trains: that is the client's own, and the server has one."""
    method = profile.settings.method
    return method == "lora" or (method == "head" and not profile.head.tied_bytes)


def demand(profile: Profile, variant: Variant, policy: Policy) -> Demand:
    """The figures of one variant; `profile` is of its batch."""
    placement = variant.placement
    wire = costs.wire_bytes(profile, placement, variant.codec)
    messages = costs.MESSAGE_OVERHEAD_BYTES * wire.round_trips * (variant.micro_batches - 1)
    device, server = stage_flops(profile, placement, wire.round_trips)
    return Demand(
        model_memory_bytes=costs.client_peak_bytes(profile, placement, runtime_bytes=0),
        device_flops=device,
        server_flops=server,
        server_memory_bytes=costs.server_client_bytes(profile, placement, policy.server_side),
        up_bytes=wire.up + messages,
        down_bytes=wire.down + messages,
    )


def stage_flops(
    profile: Profile, placement: Placement, visits: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """FLOPs of the device's stages and of the server's visits, in the order of a step."""
    bottom, server, top = divide(profile, placement)
    forward, backward = (
        [sum(getattr(unit, field) for unit in units) for units in (bottom, server, top)]
        for field in ("forward_flops", "backward_flops")
    )
    top_flops = forward[2] + backward[2]
    if visits == 2:
        return (forward[0], top_flops, backward[0]), (forward[1], backward[1])
    return (forward[0], top_flops + backward[0]), (forward[1] + backward[1],)
