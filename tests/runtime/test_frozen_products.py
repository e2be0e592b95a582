"""Products by oneDNN are those of torch but for rounding; only several clients at once use them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from flexp.runtime import frozen_products
from flexp.runtime.frozen_products import ROWS, FrozenProducts, one_dnn
from flexp.runtime.message import Kind
from torch.nn import functional as F  # noqa: N812

from .servers import data, new_server

pytestmark = pytest.mark.skipif(one_dnn() is None, reason="this build of torch has no oneDNN")


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [1, ROWS - 1, ROWS, 2 * ROWS + 3])
def test_output_and_gradient(rows: int, bias: bool) -> None:
    random = torch.Generator().manual_seed(rows)
    x = torch.randn(rows, 3, 20, generator=random, requires_grad=True)
    weight, more = torch.randn(7, 20, generator=random), torch.randn(7, generator=random)
    gradient = torch.randn(rows, 3, 7, generator=random)
    own = more if bias else None
    expected = F.linear(x, weight, own)
    with FrozenProducts():
        found = F.linear(x, weight, own)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    one, other = (torch.autograd.grad(y, x, gradient)[0] for y in (found, expected))
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_weights_that_train_and_other_types_are_left_to_torch() -> None:
    for weight, kind in (
        (torch.randn(7, 20, requires_grad=True), torch.float32),
        (torch.randn(7, 20, dtype=torch.float64), torch.float64),
    ):
        x = torch.randn(2 * ROWS, 20, dtype=kind)
        with FrozenProducts():
            assert torch.equal(F.linear(x, weight), F.linear(x, weight.clone()))


def test_a_lone_client_is_computed_as_unsplit(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[int] = []
    product = one_dnn()
    assert product is not None

    def counted(x: torch.Tensor, *arguments: Any) -> torch.Tensor:
        used.append(len(x))
        return product(x, *arguments)

    monkeypatch.setattr(frozen_products, "one_dnn", lambda: counted)
    clients = [(f"client-{number}", 1) for number in range(13)]
    server = new_server("personal", *clients)
    messages = [data(Kind.FORWARD, name, 0) for name, _ in clients]
    for message in messages[:2]:
        server.handle(message)
    assert used == []
    server.handle_all([data(Kind.FORWARD, name, 1) for name, _ in clients])
    assert used and set(used) == {ROWS}
