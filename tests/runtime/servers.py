"""A small server, and messages to it."""

from __future__ import annotations

from typing import Any

import torch
from flexp.catalog.models.build import build_model
from flexp.catalog.models.heads import own_copy
from flexp.catalog.models.lora import LoraLinear
from flexp.profiler.profile import Method, ProfileSettings
from flexp.runtime.message import Kind, Message, decode, encode
from flexp.runtime.server import Server, ServerSettings
from flexp.runtime.server_head import HeadSettings, ServerHead
from torch import Tensor

from .conftest import HIDDEN, small_config

STEPS, ROWS, TOKENS, CLASSES = 10, 2, 5, 3


def new_server(
    server_side: str,
    *clients: tuple[str, int],
    family: str = "bert",
    heads: tuple[str, ...] = (),
    method: Method = "lora",
    **changes: Any,
) -> Server:
    """A server of 4 random blocks for clients of these (name, depth), of which `heads` leave their
    heads with it."""
    torch.manual_seed(0)
    how = ProfileSettings(method=method, labels=CLASSES, lora_rank=4)
    model = build_model(small_config(family), how)
    for module in model.modules():
        if isinstance(module, LoraLinear):
            module.active = torch.nn.ModuleList()
    settings: dict[str, Any] = {"lambdas": (0.0,) * 4, "steps": STEPS, "learning_rate": 1e-2}
    settings |= {"method": method, "frozen": method == "head"}
    server = Server(
        model.backbone,
        ServerSettings(
            server_side=server_side, codec="fp32", rank=4, seed=0, **{**settings, **changes}
        ),
    )
    for name, depth in clients:
        head = None
        if name in heads:
            head_settings = HeadSettings(learning_rate=1e-2, steps=STEPS)
            head = ServerHead(
                name, own_copy(model, server.middle.blocks), server.middle, head_settings
            )
        server.admit(name, depth, head=head)
    return server


def seed_of(*about: object) -> int:
    """The same for the same message, however often it is made."""
    return sum((7 * index + 1) * ord(letter) for index, letter in enumerate(str(about)))


def message(
    kind: Kind, client: str, step: int, part: int = 0, parts: int = 1, **changes: Any
) -> Message:
    """With random numbers that depend on what is named here alone."""
    random = torch.Generator().manual_seed(seed_of(kind.value, client, step, part))
    fields: dict[str, Any] = {"hidden": torch.randn(ROWS, TOKENS, HIDDEN, generator=random)}
    if kind is not Kind.BACKWARD:
        fields["masks"] = {"attention_mask": torch.ones(ROWS, TOKENS, dtype=torch.uint8)}
        fields["shapes"] = {"input_ids": [ROWS, TOKENS]}
    if kind is Kind.LABELS:
        fields["labels"] = torch.randint(0, CLASSES, (ROWS,), generator=random)
    return Message(
        kind=kind, client=client, step=step, part=part, parts=parts, **{**fields, **changes}
    )


def data(
    kind: Kind, client: str, step: int, part: int = 0, parts: int = 1, **changes: Any
) -> bytes:
    return encode(message(kind, client, step, part, parts, **changes), "fp32")


def ask(server: Server, kind: Kind, client: str, step: int, **changes: Any) -> Tensor:
    return decode(server.handle(data(kind, client, step, **changes))).hidden


def train(server: Server, client: str, step: int) -> Tensor:
    """A whole step; the gradient that comes back."""
    ask(server, Kind.FORWARD, client, step)
    return ask(server, Kind.BACKWARD, client, step)


def weights(server: Server) -> dict[str, Tensor]:
    """All that trains on the server."""
    found = {f"trunk/{name}": tensor for name, tensor in server.trunk.tensors().items()}
    for client, seat in server.seats.items():
        found |= {f"{client}/{name}": tensor for name, tensor in seat.personal.tensors().items()}
        if seat.head is not None:
            state = seat.head.model.head.state_dict()
            found |= {f"{client}/head.{name}": tensor for name, tensor in state.items()}
    return {name: tensor.clone() for name, tensor in found.items()}


def same_weights(one: Server, other: Server) -> bool:
    mine, theirs = weights(one), weights(other)
    assert mine.keys() == theirs.keys()
    return all(torch.equal(tensor, theirs[name]) for name, tensor in mine.items())
