"""What a placement costs: memory, FLOPs and bytes, composed from a profile's units.

Symbols, each a field of UnitProfile: P parameter_bytes, G trainable_bytes, S saved_bytes,
Tf and Tb forward_ and backward_transient_bytes, B boundary_bytes. O is the optimizer's state: 2G
for AdamW, nothing for SGD. The memory model composes per-unit figures in the order in which a
client runs them; docs/profiler.md holds it against real processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from .placement import Placement, divide
from .profile import TOKEN_TASKS, Optimizer, Profile, ProfileSettings, UnitProfile

Codec = Literal["fp32", "bf16", "int8"]
ServerSide = Literal["shared", "personal", "aligned"]

ELEMENT_BYTES: dict[Codec, int] = {"fp32": 4, "bf16": 2, "int8": 1}
SCALE_BYTES: dict[Codec, int] = {"fp32": 0, "bf16": 0, "int8": 4}
"""Bytes per token that a codec adds: int8 sends one fp32 scale with each token's vector."""
MESSAGE_OVERHEAD_BYTES = 512
"""Framing of one message at most, 8 bytes of length and a JSON header: mostly 200 to 350."""
LABEL_FRAMING_BYTES = 128
"""What labels add to it."""
DTYPE_BYTES = {"float32": 4, "bfloat16": 2}
LABEL_BYTES = 8
STATE_COPIES: dict[Optimizer, int] = {"adamw": 2, "sgd": 0}
"""Copies of each trained weight that the optimizer keeps."""
UPDATE_COPIES: dict[Optimizer, int] = {"adamw": 2, "sgd": 0}
"""Copies of one tensor that the optimizer makes while it updates it."""


class WireBytes(NamedTuple):
    """Bytes of one training step; up is from the client to the server."""

    up: int
    down: int
    round_trips: int


def client_peak_bytes(profile: Profile, placement: Placement, runtime_bytes: int) -> int:
    """Peak resident bytes of a client's training process.

    runtime_bytes + ΣP + ΣO + max(live, ΣG + update), the sums over the client's units; `live` is
    the most that one step keeps beside weights and optimizer state (see `_client_live_bytes`), and
    the last term is the optimizer's, AdamW's holding two copies of its largest tensor. Source:
    docs/planner.md, "Device memory". Raises PlanError for an impossible placement.

    Example: embedding P=1000, one block P=100 G=10 S=50 Tf=20 Tb=30 B=8, head P=40 G=40 Tb=5, no
    runtime: O = 100, live is the block's backward, 50 + 40 + 8 + 30 = 128, and with a largest
    tensor of 40 bytes the update takes 50 + 80 = 130: 1140 + 100 + 130 = 1370 bytes.
    """
    bottom, _, top = divide(profile, placement)
    units, optimizer = (*bottom, *top), profile.settings.optimizer
    weights_bytes = sum(unit.parameter_bytes for unit in units)
    gradient_bytes = sum(unit.trainable_bytes for unit in units)
    state_bytes = STATE_COPIES[optimizer] * gradient_bytes
    largest_bytes = max(unit.largest_trainable_bytes for unit in units)
    update_bytes = gradient_bytes + UPDATE_COPIES[optimizer] * largest_bytes
    live_bytes = max(_client_live_bytes(bottom, top))
    return runtime_bytes + weights_bytes + state_bytes + max(live_bytes, update_bytes)


def _client_live_bytes(bottom: Sequence[UnitProfile], top: Sequence[UnitProfile]) -> Iterator[int]:
    """Bytes alive at each phase of one step, in time order, weights and optimizer state excluded.

    The client keeps the bottom's saved tensors while it waits at the wire. What crosses is a
    tensor of B bytes: the bottom's output, the received hidden state, its gradient, the received
    gradient. During an exchange the messages sent and received take up to B each.
    """
    boundary = bottom[-1].boundary_bytes
    saved = 0
    for unit in bottom:
        yield saved + unit.forward_transient_bytes
        saved += unit.saved_bytes
    yield saved + 4 * boundary  # forward exchange: output and received tensor, two messages
    held = saved + boundary if top else saved
    for unit in top:
        yield held + unit.forward_transient_bytes
        held += unit.saved_bytes
    gradients = 0
    for unit in reversed(top):
        yield held + gradients + unit.backward_transient_bytes
        held -= unit.saved_bytes
        gradients += unit.trainable_bytes
    if top and any(unit.trainable_bytes for unit in bottom):
        yield saved + gradients + 5 * boundary  # backward exchange: three tensors, two messages
    for unit in reversed(bottom):
        yield saved + gradients + boundary + unit.backward_transient_bytes
        saved -= unit.saved_bytes
        gradients += unit.trainable_bytes


def client_flops(profile: Profile, placement: Placement) -> int:
    """FLOPs of one step on the client: forward and backward of its units, the forward pass of its
    blocks twice under checkpointing.

    Example: an embedding of 0, two blocks of 10 + 20 and a head of 1 + 2 at depth 1: 33 FLOPs.
    """
    parts = divide(profile, placement)
    return _training_flops((*parts.bottom, *parts.top))


def server_flops(profile: Profile, placement: Placement) -> int:
    """FLOPs of one client's step on the server: forward and backward of its units.

    Example: three blocks of 10 + 20 FLOPs at depth 1: 60 FLOPs.
    """
    return _training_flops(divide(profile, placement).server)


def _training_flops(units: Sequence[UnitProfile]) -> int:
    return sum(unit.forward_flops + unit.backward_flops for unit in units)


def server_backbone_bytes(profile: Profile, server_side: ServerSide, heads: bool = False) -> int:
    """Bytes that the server holds whatever the placements are: every block once, since clients of
    any depth may come, and the head where `heads` says that it may hold some.

    personal: Σ(P − G), what no client trains; ΣP where all weights train: clients start from a
    copy. shared and aligned: the trunk as well, its weights, gradients and optimizer state:
    Σ(P − G) + 4ΣG with AdamW, 2ΣG with SGD. Of a head, P − G and what it shares with the embedding:
    clients train heads of their own.

    Example: two blocks with P = 100, of which G = 10 train: 180 bytes personal, 260 shared.
    """
    blocks, head = profile.block_units, profile.head
    frozen = sum(unit.parameter_bytes - unit.trainable_bytes for unit in blocks)
    if heads:
        frozen += head.parameter_bytes + head.tied_bytes - head.trainable_bytes
    if server_side != "personal":
        return frozen + _trained_bytes(profile.settings, blocks)
    start = profile.settings.method == "full"
    return frozen + (sum(block.trainable_bytes for block in blocks) if start else 0)


def server_client_bytes(profile: Profile, placement: Placement, server_side: ServerSide) -> int:
    """Bytes that one client adds on the server, a step of it being in flight.

    ΣS + max(Tf, Tb) over the server's units, and 2B for the received hidden state and gradient.
    personal and aligned add the client's own adapters: weights, gradients, optimizer state, 4ΣG
    with AdamW, 2ΣG with SGD. A head on the server is always the client's own.

    Example: one server block with G = 10, S = 50, Tf = 20, Tb = 30, B = 8: 50 + 30 + 16 = 96 bytes
    shared, 136 personal or aligned.
    """
    bottom, units, top = divide(profile, placement)
    transient = max(
        max(unit.forward_transient_bytes, unit.backward_transient_bytes) for unit in units
    )
    activations = sum(unit.saved_bytes for unit in units) + transient
    boundary = 2 * bottom[-1].boundary_bytes
    shared = units[:-1] if not top else units
    own = units if server_side != "shared" else units[len(shared) :]
    return activations + boundary + _trained_bytes(profile.settings, own)


def _trained_bytes(settings: ProfileSettings, units: Sequence[UnitProfile]) -> int:
    """Weights, gradients and optimizer state of what trains in `units`."""
    copies = 2 + STATE_COPIES[settings.optimizer]
    return copies * sum(unit.trainable_bytes for unit in units)


def wire_bytes(profile: Profile, placement: Placement, codec: Codec, parts: int = 1) -> WireBytes:
    """Bytes of one step, its batch in one piece or in `parts` micro-batches.

    U-shape, head and labels on the client: up go the activation at the boundary, with the
    attention mask (one byte a token), and the gradient for the server's output; down come the
    server's output and the gradient at the boundary. With the head on the server, the activation
    and the labels go up and the gradient comes down. Gradients are left out where nothing behind
    them trains. A tensor takes tokens · (hidden · element + scale) bytes, and each part its
    framing. Blocks keep their width, so every depth costs the same. Source: docs/planner.md,
    "Wire".

    Example: batch 2, length 3, hidden 4 in int8: 6 · (4 + 4) = 48 bytes a tensor, so
    up = 2·48 + 6 + 2·512 = 1126 and down = 2·48 + 2·512 = 1120.
    """
    bottom, server, top = divide(profile, placement)
    settings = profile.settings
    elements = bottom[-1].boundary_bytes // DTYPE_BYTES[settings.dtype]
    tokens = elements // profile.hidden_size
    framing = parts * MESSAGE_OVERHEAD_BYTES
    message = elements * ELEMENT_BYTES[codec] + tokens * SCALE_BYTES[codec] + framing
    mask = settings.batch * settings.length if profile.inputs == "tokens" else 0
    bottom_trains = any(unit.trainable_bytes for unit in bottom)
    if not top:
        labels = LABEL_BYTES * (mask if settings.task in TOKEN_TASKS else settings.batch)
        down = message if bottom_trains else framing
        labels += parts * LABEL_FRAMING_BYTES
        return WireBytes(message + mask + labels, down, round_trips=1)
    if not bottom_trains and not any(unit.trainable_bytes for unit in server):
        return WireBytes(message + mask, message, round_trips=1)
    back = message if bottom_trains else framing
    return WireBytes(2 * message + mask, message + back, round_trips=2)
