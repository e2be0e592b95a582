"""What a client holds of a model and how it runs it; the server holds the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from ..errors import PlanError
from .profile import Profile, UnitProfile

HeadOn = Literal["device", "server"]


@dataclass(frozen=True, order=True, slots=True)
class Placement:
    """The client runs the embedding, blocks [0, depth), blocks [L - top, L) and the head; the
    server runs blocks [depth, L - top), and the head where labels may leave the device."""

    depth: int
    top: int = 0
    """Last blocks of the model that the client keeps too."""
    head: HeadOn = "device"
    checkpointing: bool = False
    """The client's blocks keep only their inputs in the forward pass, and run it a second time in
    the backward pass."""


class Parts(NamedTuple):
    """A profile's units by who runs them, each in forward order."""

    bottom: tuple[UnitProfile, ...]
    """The client's embedding and blocks below the split."""
    server: tuple[UnitProfile, ...]
    top: tuple[UnitProfile, ...]
    """The client's blocks above the server's, and its head; empty where the head is not its own."""


def divide(profile: Profile, placement: Placement) -> Parts:
    """Every unit once, but for a tied head on the server, which needs a copy of the tied weights.

    Raises PlanError for a placement that the model can't take.
    """
    _check(profile, placement)
    blocks, end = profile.block_units, profile.blocks - placement.top
    own = checkpointed if placement.checkpointing else _as_is
    bottom = (profile.embedding, *map(own, blocks[: placement.depth]))
    server, top = blocks[placement.depth : end], tuple(map(own, blocks[end:]))
    if placement.head == "server":
        return Parts(bottom, (*server, _untied(profile.head)), ())
    return Parts(bottom, server, (*top, profile.head))


def checkpointed(block: UnitProfile) -> UnitProfile:
    """The block under gradient checkpointing: of what it makes, only its output stays until the
    backward pass, which first runs it forward again, with the incoming gradient beside it.

    Example: S = 50, Tf = 60, Tb = 30, B = 8 become S = 8 and Tb = max(8 + 60, 50 + 30) = 80.
    """
    again = block.boundary_bytes + block.forward_transient_bytes
    return block.model_copy(
        update={
            "backward_flops": block.backward_flops + block.forward_flops,
            "saved_bytes": min(block.saved_bytes, block.boundary_bytes),
            "backward_transient_bytes": max(
                again, block.saved_bytes + block.backward_transient_bytes
            ),
        }
        if block.saved_bytes  # else nothing in or below it trains: there is no backward pass
        else {}
    )


def _as_is(block: UnitProfile) -> UnitProfile:
    return block


def _untied(head: UnitProfile) -> UnitProfile:
    held = {"parameter_bytes": head.parameter_bytes + head.tied_bytes, "tied_bytes": 0}
    return head.model_copy(update=held)


def _check(profile: Profile, placement: Placement) -> None:
    most = profile.blocks - placement.top - 1
    if placement.top < 0 or not 1 <= placement.depth <= most:
        kept = f" and {placement.top} at the top" if placement.top else ""
        raise PlanError(
            f"{profile.model}: depth {placement.depth}{kept} is impossible with "
            f"{profile.blocks} blocks",
            f"choose a depth from 1 to {most}: the server keeps at least one block"
            if most >= 1
            else f"choose at most {profile.blocks - 2} top blocks",
        )
    if placement.head == "server":
        if placement.top:
            raise PlanError(
                f"{profile.model}: a head on the server leaves the client no top blocks, "
                f"found {placement.top}",
                "put the head on the device, or choose no top blocks",
            )
        if profile.head.tied_bytes and profile.settings.method != "lora":
            raise PlanError(
                f"{profile.model}: the head trains and shares its weights with the embedding; "
                "they can't be on two machines",
                "put the head on the device",
            )
