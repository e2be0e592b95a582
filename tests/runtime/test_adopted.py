"""A client whose personal adapter has another form than the others', served beside them."""

from __future__ import annotations

import pytest
import torch
from flexp.catalog.models.lora import new_adapter
from flexp.runtime.message import Kind, Message, decode, encode
from flexp.runtime.optim import moments
from flexp.runtime.server import Server

from .servers import new_server


def message(kind: Kind, client: str, seed: int) -> bytes:
    hidden = torch.randn(2, 5, 32, generator=torch.Generator().manual_seed(seed))
    asking = kind is not Kind.BACKWARD
    masks = {"attention_mask": torch.ones(2, 5, dtype=torch.uint8)} if asking else {}
    shapes = {"input_ids": [2, 5]} if asking else {}
    return encode(
        Message(kind=kind, client=client, step=0, hidden=hidden, masks=masks, shapes=shapes),
        "fp32",
    )


def server_with_moved(server_side: str) -> Server:
    """Of three clients, bo came back from depth 3: a wider adapter, on block 2 alone."""
    server = new_server(server_side, ("ada", 2), ("bo", 2), ("cy", 1))
    wide = new_adapter({p: m for p, m in server.linears.items() if p.startswith("2.")}, 7).seed(3)
    with torch.no_grad():
        for pair in wide.pairs.values():
            pair.B.normal_(std=0.1, generator=torch.Generator().manual_seed(4))
    server.adopt("bo", wide)
    return server


@pytest.mark.parametrize("server_side", ["shared", "aligned", "personal"])
def test_served_together_is_served_one_by_one(server_side: str) -> None:
    clients = ("ada", "bo", "cy")
    together, alone = server_with_moved(server_side), server_with_moved(server_side)
    for kind in (Kind.FORWARD, Kind.BACKWARD):
        batch = [message(kind, name, seed) for seed, name in enumerate(clients)]
        answers = together.handle_all(batch)
        for answer, sent in zip(answers, batch, strict=True):
            assert isinstance(answer, bytes), answer
            expected = decode(alone.handle(sent)).hidden
            torch.testing.assert_close(decode(answer).hidden, expected, rtol=1e-5, atol=1e-5)
    bo = together.seats["bo"]
    assert bo.optimizer is not None
    assert all(
        moments(bo.optimizer, pair.A)["exp_avg"].any() for pair in bo.personal.pairs.values()
    )
