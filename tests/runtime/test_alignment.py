from __future__ import annotations

import pytest
import torch
from flexp.catalog.models.lora import SCALE, Adapter, LoraPair
from flexp.errors import FieldError
from flexp.runtime.alignment import feature_distance, parse_lambdas, prox


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("none", (0, 0, 0, 0)),
        ("constant:0.5", (0.5, 0.5, 0.5, 0.5)),
        ("linear:0.4", (0.1, 0.2, 0.3, 0.4)),
        ("0,0,1,2", (0, 0, 1, 2)),
    ],
)
def test_schedules(text: str, expected: tuple[float, ...]) -> None:
    assert parse_lambdas(text, 4) == pytest.approx(expected)


@pytest.mark.parametrize(
    "text", ["", "some", "constant", "constant:x", "1,2", "-1,0,0,0", "nan,0,0,0", "none:1"]
)
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(FieldError, match="--alignment"):
        parse_lambdas(text, 4)


def random_pair() -> LoraPair:
    pair = LoraPair(6, 5, 2)
    torch.nn.init.normal_(pair.B)
    return pair


def test_the_norm_is_that_of_the_whole_update() -> None:
    pair = random_pair()
    whole = (SCALE * pair.B @ pair.A).square().sum()
    torch.testing.assert_close(pair.squared_norm(), whole)


def test_prox_weighs_the_blocks_of_the_server_only() -> None:
    adapter = Adapter({f"{block}.q": random_pair() for block in range(3)})
    value = prox(adapter, (1.0, 0.0, 0.5), depth=1)
    assert value is not None
    torch.testing.assert_close(value, 0.5 * adapter.pairs["2.q"].squared_norm())
    assert prox(adapter, (1.0, 0.0, 0.0), depth=1) is None


def test_the_distance_of_features_is_over_unmasked_tokens() -> None:
    """Differences of 1 and 3 in every dimension, and one of 100 under the mask."""
    h_BTH = torch.zeros(1, 3, 2)
    reference_BTH = torch.tensor([[[1.0, 1.0], [3.0, 3.0], [100.0, 100.0]]])
    assert float(feature_distance(h_BTH, reference_BTH, torch.tensor([[1, 1, 0]]))) == 5.0
    assert float(feature_distance(h_BTH[:, :2], reference_BTH[:, :2], None)) == 5.0
