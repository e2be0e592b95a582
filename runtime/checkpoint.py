"""A run's state in one safetensors file, replaced atomically: adapters, heads, optimizers, and
how far each part has come."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from ..catalog.files import write_atomic
from ..errors import RunError
from .client import Client
from .message import read_header
from .optim import load_state_tensors, state_tensors
from .server import Server
from .wire import Traffic

Section = dict[str, Tensor]


def save(path: Path, server: Server, clients: Mapping[str, Client], progress: dict) -> None:
    """`progress` is JSON: what the training loop needs to go on."""
    tensors: Section = {}
    for prefix, section in _sections(server, clients):
        tensors |= {f"{prefix}/{name}": tensor for name, tensor in section.items()}
    traffic = {name: vars(client.wire.traffic) for name, client in clients.items()}
    applied = {name: seat.applied for name, seat in server.seats.items()}
    state = {"progress": progress, "traffic": traffic, "applied": applied}
    blob = safetensors.torch.save(
        {name: tensor.contiguous() for name, tensor in tensors.items()},
        metadata={"state": json.dumps(state)},
    )
    write_atomic(path, blob)


def load(path: Path, server: Server, clients: Mapping[str, Client]) -> dict[str, Any]:
    """Put the state back and return `progress`.

    Raises RunError where the file is missing, damaged or of another run.
    """
    if not path.is_file():
        raise RunError(
            f"{path}: there is no checkpoint to resume from",
            "start again without --resume in a new folder",
        )
    data = path.read_bytes()
    try:
        tensors = safetensors.torch.load(data)
        state = json.loads(read_header(data)["state"])
        for seat_name, applied in state["applied"].items():
            server.seats[seat_name].applied = applied
        for name, counts in state["traffic"].items():
            clients[name].wire.traffic = Traffic(**counts)
        _restore(server, clients, tensors)
        return state["progress"]
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise RunError(f"{path}: the checkpoint does not fit this run: {error}") from error


def _sections(server: Server, clients: Mapping[str, Client]) -> list[tuple[str, Section]]:
    sections = [("trunk", server.trunk.tensors())]
    if server.optimizer is not None:
        sections.append(("trunk-optimizer", state_tensors(server.optimizer)))
    for name, seat in server.seats.items():
        sections.append((f"personal/{name}", seat.personal.tensors()))
        if seat.optimizer is not None:
            sections.append((f"personal-optimizer/{name}", state_tensors(seat.optimizer)))
        if seat.head is not None:
            sections.append((f"head/{name}", dict(seat.head.model.head.state_dict())))
            if seat.head.optimizer is not None:
                section = state_tensors(seat.head.optimizer)
                sections.append((f"head-optimizer/{name}", section))
    for name, client in clients.items():
        sections.append((f"client/{name}", client.adapter.tensors()))
        if server.seats[name].head is None:
            sections.append((f"head/{name}", dict(client.model.head.state_dict())))
        sections.append((f"client-optimizer/{name}", state_tensors(client.optimizer)))
    return sections


def _restore(server: Server, clients: Mapping[str, Client], tensors: Section) -> None:
    def section(prefix: str) -> Section:
        start = f"{prefix}/"
        return {k.removeprefix(start): t for k, t in tensors.items() if k.startswith(start)}

    def optimizer(target: torch.optim.Optimizer | None, prefix: str) -> None:
        if target is not None:
            load_state_tensors(target, section(prefix))

    server.trunk.load(section("trunk"))
    optimizer(server.optimizer, "trunk-optimizer")
    for name, seat in server.seats.items():
        seat.personal.load(section(f"personal/{name}"))
        optimizer(seat.optimizer, f"personal-optimizer/{name}")
        if seat.head is not None:
            seat.head.model.head.load_state_dict(section(f"head/{name}"))
            optimizer(seat.head.optimizer, f"head-optimizer/{name}")
    for name, client in clients.items():
        client.adapter.load(section(f"client/{name}"))
        if server.seats[name].head is None:
            client.model.head.load_state_dict(section(f"head/{name}"))
        optimizer(client.optimizer, f"client-optimizer/{name}")
