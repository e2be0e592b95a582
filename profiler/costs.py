"""What a split costs: memory, FLOPs and bytes at a depth, composed from a profile's units.

A client at depth d runs the embedding, blocks [0, d) and the head; the server runs blocks [d, L).
Symbols, each a field of UnitProfile: P parameter_bytes, G trainable_bytes, S saved_bytes,
Tf and Tb forward_ and backward_transient_bytes, B boundary_bytes. AdamW's state is O = 2G.
The memory model composes per-unit figures in the order in which a client runs them; against whole
runs such a composition was 0 to 0.2% high for full training and 0.6 to 1.5% for LoRA
(docs/planner.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from ..errors import PlanError
from .profile import Profile, UnitProfile

Codec = Literal["fp32", "bf16", "int8"]
ServerSide = Literal["shared", "personal", "aligned"]

ELEMENT_BYTES: dict[Codec, int] = {"fp32": 4, "bf16": 2, "int8": 1}
SCALE_BYTES: dict[Codec, int] = {"fp32": 0, "bf16": 0, "int8": 4}
"""Bytes per token that a codec adds: int8 sends one fp32 scale with each token's vector."""
MESSAGE_OVERHEAD_BYTES = 512
"""Framing of one message, a safetensors blob: 8 bytes of length and a JSON header."""
MESSAGES_EACH_WAY = 2
"""Messages a step in each direction: one in the forward pass, one in the backward pass."""


class WireBytes(NamedTuple):
    """Bytes of one training step; up is from the client to the server."""

    up: int
    down: int


def split_units(
    profile: Profile, depth: int
) -> tuple[tuple[UnitProfile, ...], tuple[UnitProfile, ...]]:
    """The client's units (embedding, blocks [0, depth), head) and the server's (the other blocks).

    Raises PlanError unless 1 <= depth <= L - 1.
    """
    if not 1 <= depth < profile.blocks:
        raise PlanError(
            f"{profile.model}: depth {depth} is impossible with {profile.blocks} blocks",
            f"choose a depth from 1 to {profile.blocks - 1}: the server keeps at least one block",
        )
    blocks = profile.block_units
    return (profile.embedding, *blocks[:depth], profile.head), blocks[depth:]


def client_peak_bytes(profile: Profile, depth: int, runtime_bytes: int) -> int:
    """Peak resident bytes of a client's training process.

    runtime_bytes + ΣP + ΣO + max(live, ΣG + 2·largest trainable tensor), the sums over the
    client's units; `live` is the most that one step keeps beside weights and optimizer state (see
    `_client_live_bytes`), and the last term is AdamW's update. Source: docs/planner.md, "Device
    memory".

    Example: embedding P=1000, one block P=100 G=10 S=50 Tf=20 Tb=30 B=8, head P=40 G=40 Tb=5, no
    runtime: O = 100, live is the block's backward, 50 + 40 + 3·8 + 30 = 144, and with a largest
    tensor of 40 bytes the update takes 50 + 80 = 130: 1140 + 100 + 144 = 1384 bytes.
    """
    units, _ = split_units(profile, depth)
    weights_bytes = sum(unit.parameter_bytes for unit in units)
    gradient_bytes = sum(unit.trainable_bytes for unit in units)
    optimizer_bytes = 2 * gradient_bytes
    update_bytes = gradient_bytes + 2 * max(unit.largest_trainable_bytes for unit in units)
    live_bytes = max(_client_live_bytes(units[:-1], units[-1]))
    return runtime_bytes + weights_bytes + optimizer_bytes + max(live_bytes, update_bytes)


def _client_live_bytes(bottom: Sequence[UnitProfile], head: UnitProfile) -> Iterator[int]:
    """Bytes alive at each phase of one step, in time order, weights and optimizer state excluded.

    The client keeps the bottom's saved tensors while it waits at the wire. From there on it holds
    boundary tensors of B bytes each: the received hidden state, then its gradient, then the
    received gradient. During an exchange the messages sent and received take up to B each.
    """
    boundary = bottom[-1].boundary_bytes
    saved = 0
    for unit in bottom:
        yield saved + unit.forward_transient_bytes
        saved += unit.saved_bytes
    yield saved + 3 * boundary  # forward exchange: received hidden state, two messages
    yield saved + boundary + head.forward_transient_bytes
    yield saved + boundary + head.saved_bytes + head.backward_transient_bytes
    gradients = head.trainable_bytes
    yield saved + gradients + 5 * boundary  # backward exchange: the three tensors, two messages
    for unit in reversed(bottom):
        yield saved + gradients + 3 * boundary + unit.backward_transient_bytes
        saved -= unit.saved_bytes
        gradients += unit.trainable_bytes


def client_flops(profile: Profile, depth: int) -> int:
    """FLOPs of one step on the client: forward and backward of its units.

    Example: an embedding of 0, two blocks of 10 + 20 and a head of 1 + 2 at depth 1: 33 FLOPs.
    """
    return _training_flops(split_units(profile, depth)[0])


def server_flops(profile: Profile, depth: int) -> int:
    """FLOPs of one client's step on the server: forward and backward of blocks [depth, L).

    Example: three blocks of 10 + 20 FLOPs at depth 1: 60 FLOPs.
    """
    return _training_flops(split_units(profile, depth)[1])


def _training_flops(units: Sequence[UnitProfile]) -> int:
    return sum(unit.forward_flops + unit.backward_flops for unit in units)


def server_backbone_bytes(profile: Profile, server_side: ServerSide) -> int:
    """Bytes that the server holds whatever the depths: every block once, since clients of any
    depth may come.

    personal: Σ(P − G), what no client trains. shared and aligned: the trunk as well, its weights,
    gradients and optimizer state: Σ(P − G) + 4ΣG.

    Example: two blocks with P = 100, of which G = 10 train: 180 bytes personal, 260 shared.
    """
    frozen = sum(unit.parameter_bytes - unit.trainable_bytes for unit in profile.block_units)
    return frozen + (0 if server_side == "personal" else _trained_bytes(profile.block_units))


def server_client_bytes(profile: Profile, depth: int, server_side: ServerSide) -> int:
    """Bytes that one client adds on the server, a step of it being in flight.

    ΣS + max(Tf, Tb) over blocks [depth, L), and 2B for the received hidden state and gradient.
    personal and aligned add the client's own adapters: weights, gradients, optimizer state, 4ΣG.

    Example: one server block with G = 10, S = 50, Tf = 20, Tb = 30, B = 8: 50 + 30 + 16 = 96 bytes
    shared, 136 personal or aligned.
    """
    _, units = split_units(profile, depth)
    transient = max(
        max(unit.forward_transient_bytes, unit.backward_transient_bytes) for unit in units
    )
    activations = sum(unit.saved_bytes for unit in units) + transient
    boundary = 2 * profile.block_units[depth - 1].boundary_bytes
    own = 0 if server_side == "shared" else _trained_bytes(units)
    return activations + boundary + own


def _trained_bytes(units: Sequence[UnitProfile]) -> int:
    """Weights, gradients and AdamW's two moments of what trains in `units`: 4ΣG."""
    return 4 * sum(unit.trainable_bytes for unit in units)


def wire_bytes(profile: Profile, depth: int, codec: Codec) -> WireBytes:
    """Bytes of one step in the U-shape, whose head and labels stay on the client.

    up: the activation at the boundary, the attention mask (one byte a token) and the gradient for
    the server's output; down: the server's output and the gradient at the boundary. A tensor takes
    tokens · (hidden · element + scale) bytes. Blocks keep their width, so every depth costs the
    same. Source: docs/planner.md, "Wire".

    Example: batch 2, length 3, hidden 4 in int8: 6 · (4 + 4) = 48 bytes a tensor, so
    up = 2·48 + 6 + 2·512 = 1126 and down = 2·48 + 2·512 = 1120.
    """
    split_units(profile, depth)
    tokens = profile.settings.batch * profile.settings.length
    tensor = tokens * (profile.hidden_size * ELEMENT_BYTES[codec] + SCALE_BYTES[codec])
    each_way = MESSAGES_EACH_WAY * (tensor + MESSAGE_OVERHEAD_BYTES)
    return WireBytes(up=each_way + tokens, down=each_way)
