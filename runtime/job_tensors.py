"""All that training changes in a job, as named tensors.

OWNER/NAME is a weight, OWNER/NAME/MOMENT what its optimizer keeps for it. Owners are the trunk,
"personal/CLIENT" (δ on the server), "head/CLIENT" (a head on the server) and "client/CLIENT" (on
the device). NAME is "block.layer.A" or "block.layer.B" for an adapter, "block.projection.W" for a
projection, "block.name" for a weight of a server's block where all weights train, else the
parameter's name in the model, such as "head.weight".
answers/CLIENT/MESSAGE is what the server answered to the client's last step, in bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..catalog.models.lora import Adapter, LoraLinear, Pair, new_adapter
from ..errors import RunError
from .assemble import Job
from .client import Client
from .optim import moments, set_moments
from .redeploy import PAIR
from .versions import Owned

Tensors = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Owner:
    name: str
    parameters: Mapping[str, nn.Parameter]
    optimizer: torch.optim.Optimizer | None


def owners(job: Job) -> Iterator[Owner]:
    server = job.server
    yield Owner(name="trunk", parameters=server.trunk.named(), optimizer=server.optimizer)
    for name, seat in server.seats.items():
        yield Owner(
            name=f"personal/{name}",
            parameters=seat.personal.named(),
            optimizer=seat.optimizer,
        )
        if seat.head is not None:
            yield Owner(
                name=f"head/{name}",
                parameters={
                    name: parameter
                    for name, parameter in seat.head.model.head.named_parameters()
                    if parameter.requires_grad
                },
                optimizer=seat.head.optimizer,
            )
    for name, client in job.clients.items():
        yield Owner(
            name=f"client/{name}", parameters=_on_device(client), optimizer=client.optimizer
        )


def capture(job: Job) -> Tensors:
    tensors: Tensors = {}
    for owner in owners(job):
        for name, parameter in owner.parameters.items():
            key = f"{owner.name}/{name}"
            tensors[key] = parameter.detach().contiguous()
            if owner.optimizer is not None:
                for moment, value in moments(owner.optimizer, parameter).items():
                    tensors[f"{key}/{moment}"] = value
    for name, seat in job.server.seats.items():
        tensors |= {f"answers/{name}/{key}": reply for key, reply in seat.memory().items()}
    return tensors


@torch.no_grad()
def restore(job: Job, tensors: Mapping[str, Tensor]) -> None:
    """Put `tensors` back, moments included. Adapters get the ranks that they have there, which are
    others than the plan's where blocks have moved (redeploy.py).

    Raises RunError where they are not those of this job.
    """
    _fit_adapters(job, tensors)
    answers = {key for key in tensors if key.startswith("answers/")}
    for name, seat in job.server.seats.items():
        start = f"answers/{name}/"
        own = {key: tensors[key] for key in answers if key.startswith(start)}
        seat.recall({key.removeprefix(start): reply for key, reply in own.items()})
    kept: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        weight, _, moment = key.rpartition("/")
        if weight in tensors:
            kept.setdefault(weight, {})[moment] = tensor
    known = {f"{weight}/{moment}" for weight, own in kept.items() for moment in own}
    for owner in owners(job):
        for name, parameter in owner.parameters.items():
            key = f"{owner.name}/{name}"
            _check_fits(key, parameter, tensors.get(key))
            known.add(key)
            parameter.copy_(tensors[key])
            if owner.optimizer is not None and key in kept:
                set_moments(owner.optimizer, parameter, kept[key])
    unknown = sorted(set(tensors) - known - answers)
    if unknown:
        raise RunError(f"the checkpoint does not fit this run: the run has no {unknown[0]}")


def _fit_adapters(job: Job, tensors: Mapping[str, Tensor]) -> None:
    """Make room for personal and clients' adapters of other ranks, or on other blocks, than new
    ones have."""
    ranks: dict[str, dict[str, int]] = {}
    for key, tensor in tensors.items():
        match = PAIR.fullmatch(key)
        if match:
            owner, path, *_ = match.groups()
            ranks.setdefault(owner, {})[path] = len(tensor)
    for name, client in job.clients.items():
        own = ranks.get(f"client/{name}", {})
        if own != _ranks(client.adapter) and own.keys() <= client.linears.keys():
            client.adopt(_blank(client.linears, own))
        seat, linears = job.server.seats[name], job.server.linears
        own = ranks.get(f"personal/{name}", {})
        if own != _ranks(seat.personal) and own.keys() <= linears.keys():
            job.server.adopt(name, _blank(linears, own))


def _ranks(owned: Owned) -> dict[str, int]:
    pairs = owned.pairs if isinstance(owned, Adapter) else {}
    return {path: len(next(pair.parameters())) for path, pair in pairs.items()}


def _blank(linears: Mapping[str, LoraLinear], ranks: Mapping[str, int]) -> Adapter:
    pairs: dict[str, Pair] = {}
    for path, rank in ranks.items():
        pairs |= new_adapter({path: linears[path]}, rank).pairs
    return Adapter(pairs)


def _check_fits(key: str, parameter: nn.Parameter, stored: Tensor | None) -> None:
    if stored is None or stored.shape != parameter.shape:
        found = "none" if stored is None else f"one of shape {list(stored.shape)}"
        raise RunError(
            f"the checkpoint does not fit this run: {key} needs a tensor of shape "
            f"{list(parameter.shape)}, found {found}"
        )


def _on_device(client: Client) -> dict[str, nn.Parameter]:
    """The client's adapter, its head, and whatever else of its model trains."""
    pairs = client.adapter.named()
    adapted = {id(parameter) for parameter in pairs.values()}
    others = {
        name: parameter
        for name, parameter in client.model.named_parameters()
        if parameter.requires_grad and id(parameter) not in adapted
    }
    return pairs | others
