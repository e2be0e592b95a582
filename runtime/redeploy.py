"""Another depth for clients in the middle of a run: whose tensors the moved blocks' become.

Deeper: the client receives the effective adapter of its new blocks, trunk + personal, as one pair
of the summed rank, [B1 B2] [A1; A2]: it computes the same function as before.

Shallower, with upload: the client's adapter of a block becomes its personal δ on the server, less
the trunk that the server adds: φ + δ is what it was. Without upload it is left behind, and the
server's blocks start from the trunk and a fresh δ, if the server side has one.

Adapters that move start with an optimizer that has seen nothing; all others keep theirs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..catalog.models.projection import PROJECTION
from ..errors import PlanError
from ..planner.plan import ClientPlan, Plan

PAIR = re.compile(r"(trunk|personal/[^/]+|client/[^/]+)/((\d+)\..+)\.(A|W)")
"""The key of A of a pair, or of a projection's W: owner, path, block, which of them."""


@dataclass(frozen=True, kw_only=True)
class Shift:
    """Blocks of one client that change hands."""

    client: str
    to_device: frozenset[int]
    to_server: frozenset[int]


def shifts(old: Plan, new: Plan) -> list[Shift]:
    """Of the clients whose blocks change. Raises PlanError where a run can't change so."""
    _check(old, new)
    found = []
    for before, after in zip(old.clients, new.clients, strict=True):
        had, has = on_device(before, old.blocks), on_device(after, new.blocks)
        if had != has:
            found.append(Shift(client=after.name, to_device=has - had, to_server=had - has))
    if found and old.settings.method == "full":
        raise PlanError(
            f"--plan: {found[0].client} gets other blocks, but all weights train in this run; only "
            "adapters change hands",
            "keep its depth and top blocks, or start a new run with the plan in another -o folder",
        )
    moving = [
        shift.client for shift in found if old.blocks - 1 in shift.to_device | shift.to_server
    ]
    if moving and PROJECTION in old.settings.lora_targets:
        raise PlanError(
            f"--plan: {moving[0]} gets or gives the last block, whose projection stays where it is",
            "keep its top blocks, or start a new run with the plan in another -o folder",
        )
    return found


def on_device(client: ClientPlan, blocks: int) -> frozenset[int]:
    return frozenset((*range(client.depth), *range(blocks - client.top, blocks)))


def moved(
    tensors: Mapping[str, Tensor],
    fresh: Mapping[str, Tensor],
    changes: Iterable[Shift],
    *,
    upload: bool,
) -> dict[str, Tensor]:
    """The tensors of a run (job_tensors.py) under the new plan; `fresh` are those of a new job."""
    pairs = _pairs(tensors)
    result = dict(tensors)
    for shift in changes:
        device, server = f"client/{shift.client}", f"personal/{shift.client}"
        _drop(result, server, shift.to_device)
        _drop(result, device, shift.to_server)
        for path, block in _paths(pairs, shift.to_device | shift.to_server):
            trunk = pairs.get(("trunk", path))
            if block in shift.to_device:
                given = [pair for pair in (trunk, pairs.get((server, path))) if pair is not None]
                _put(result, device, path, _sum(given))
            elif upload:
                own = pairs[device, path]
                less = [] if trunk is None else [(trunk[0], -trunk[1])]
                _put(result, server, path, _sum([own, *less]))
            elif f"{server}/{path}.A" in fresh:
                _put(result, server, path, _pairs(fresh)[server, path])
    return result


Pair = tuple[Tensor, Tensor]
"""A [r, in] and B [out, r]."""


def _pairs(tensors: Mapping[str, Tensor]) -> dict[tuple[str, str], Pair]:
    """(owner, path) to pair."""
    found = {}
    for key, A in tensors.items():
        match = PAIR.fullmatch(key)
        if match and match[4] == "A":
            owner, path, *_ = match.groups()
            found[owner, path] = (A, tensors[f"{owner}/{path}.B"])
    return found


def _paths(pairs: Iterable[tuple[str, str]], blocks: frozenset[int]) -> list[tuple[str, int]]:
    paths = {path: int(path.partition(".")[0]) for _, path in pairs}
    return [(path, block) for path, block in sorted(paths.items()) if block in blocks]


def _sum(pairs: list[Pair]) -> Pair:
    """One pair that adds what all of `pairs` add, of no more rows than the layer's shorter side."""
    A, B = torch.cat([A for A, _ in pairs]), torch.cat([B for _, B in pairs], dim=1)
    shorter = min(len(B), A.shape[1])
    if len(A) <= shorter:
        return A, B
    same = torch.eye(shorter, dtype=A.dtype)
    return (B @ A, same) if len(B) == shorter else (same, B @ A)


def _put(tensors: dict[str, Tensor], owner: str, path: str, pair: Pair) -> None:
    tensors[f"{owner}/{path}.A"], tensors[f"{owner}/{path}.B"] = pair


def _drop(tensors: dict[str, Tensor], owner: str, blocks: frozenset[int]) -> None:
    """The owner's pairs of `blocks`, moments included."""
    start = f"{owner}/"
    for key in list(tensors):
        block = key.removeprefix(start).partition(".")[0]
        if key.startswith(start) and block.isdigit() and int(block) in blocks:
            del tensors[key]


def _check(old: Plan, new: Plan) -> None:
    for what, before, after in (
        ("model", old.config_hash, new.config_hash),
        ("profile's settings", old.settings, new.settings),
        ("server side", old.server_side, new.server_side),
        ("clients", [c.name for c in old.clients], [c.name for c in new.clients]),
        ("place of the heads", [c.head for c in old.clients], [c.head for c in new.clients]),
    ):
        if before != after:
            raise PlanError(
                f"--plan: the new plan changes the {what}; a run can change its depths, codecs, "
                "batches and micro-batches",
                "start a new run with it, in another -o folder",
            )
