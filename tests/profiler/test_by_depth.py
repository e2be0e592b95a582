"""A profile by depth: figures by hand, and parts that always add up to the device's peak."""

from __future__ import annotations

import pytest
from flexp.errors import PlanError
from flexp.profiler.by_depth import DepthFigures, by_depth, state_bytes
from flexp.profiler.costs import (
    client_flops,
    client_peak_bytes,
    server_client_bytes,
    server_flops,
    wire_bytes,
)
from flexp.profiler.placement import Placement
from flexp.profiler.profile import Profile, ProfileSettings, UnitProfile
from hypothesis import given
from hypothesis import strategies as st

PARTS = ("weight_bytes", "gradient_bytes", "optimizer_bytes", "activation_bytes", "process_bytes")


def unit(name: str, **figures: int) -> UnitProfile:
    fields = [field for field in UnitProfile.model_fields if field != "name"]
    return UnitProfile(name=name, **{field: figures.get(field, 0) for field in fields})


BLOCK = {
    "parameter_bytes": 100,
    "trainable_bytes": 10,
    "largest_trainable_bytes": 5,
    "forward_flops": 10,
    "backward_flops": 20,
    "saved_bytes": 50,
    "forward_transient_bytes": 20,
    "backward_transient_bytes": 30,
    "boundary_bytes": 8,
}
HEAD = {
    "parameter_bytes": 40,
    "trainable_bytes": 40,
    "largest_trainable_bytes": 40,
    "backward_transient_bytes": 5,
    "forward_flops": 1,
    "backward_flops": 2,
}


def profile(
    blocks: int, block: dict[str, int] = BLOCK, settings: dict[str, object] | None = None
) -> Profile:
    return Profile(
        model="tiny",
        model_type="bert",
        config_hash="0" * 64,
        hidden_size=4,
        settings=ProfileSettings.model_validate({"batch": 2, "length": 3, **(settings or {})}),
        units=(
            unit("embedding", parameter_bytes=1000),
            *(unit(f"block.{index}", **block) for index in range(blocks)),
            unit("head", **HEAD),
        ),
    )


def test_figures_by_hand() -> None:
    assert by_depth(profile(3), Placement(1), "fp32", "shared", runtime_bytes=7) == (
        # the peak is AdamW's update: 2 copies of the head's 40 bytes beside 2 · 50 of state
        DepthFigures(1, 1377, 1140, 50, 180, 0, 7, 33, 60, 146, 1046, 1040),
        # the peak is the backward exchange: 100 saved, 40 of gradients and 5 · 8, of which 60 are
        # counted as gradients
        DepthFigures(2, 1547, 1240, 60, 120, 120, 7, 63, 30, 96, 1046, 1040),
    )


def test_the_template_shapes_every_depth() -> None:
    rows = by_depth(profile(5), Placement(4, top=2, checkpointing=True), "int8", "personal")
    assert [row.depth for row in rows] == [1, 2]
    for row in rows:
        placement = Placement(row.depth, top=2, checkpointing=True)
        wire = wire_bytes(profile(5), placement, "int8")
        assert row.device_memory_bytes == client_peak_bytes(profile(5), placement, 0)
        assert row.device_flops == client_flops(profile(5), placement)
        assert row.server_flops == server_flops(profile(5), placement)
        assert row.server_memory_bytes == server_client_bytes(profile(5), placement, "personal")
        assert (row.up_bytes, row.down_bytes) == (wire.up, wire.down)


@pytest.mark.parametrize(
    ("blocks", "template", "says"),
    [
        (1, Placement(1), "impossible with 1 blocks"),
        (5, Placement(1, top=4), "depth 1 and 4 at the top is impossible with 5 blocks"),
        (5, Placement(1, top=-1), "impossible"),
        (5, Placement(1, top=1, head="server"), "leaves the client no top blocks"),
    ],
)
def test_what_the_model_cannot_take(blocks: int, template: Placement, says: str) -> None:
    with pytest.raises(PlanError, match=says):
        by_depth(profile(blocks), template, "bf16", "shared")


@given(
    blocks=st.integers(2, 6),
    checkpointing=st.booleans(),
    optimizer=st.sampled_from(["adamw", "sgd"]),
    runtime_bytes=st.integers(0, 1000),
    head=st.sampled_from(["device", "server"]),
    figures=st.fixed_dictionaries({field: st.integers(0, 99) for field in BLOCK}),
)
def test_parts_add_up_to_the_peak(
    blocks: int,
    checkpointing: bool,
    optimizer: str,
    runtime_bytes: int,
    head: str,
    figures: dict[str, int],
) -> None:
    figures["largest_trainable_bytes"] = min(
        figures["largest_trainable_bytes"], figures["trainable_bytes"]
    )
    found = profile(blocks, figures, {"optimizer": optimizer})
    template = Placement(1, head=head, checkpointing=checkpointing)  # type: ignore[arg-type]
    rows = by_depth(found, template, "bf16", "shared", runtime_bytes)
    assert [row.depth for row in rows] == list(range(1, blocks))
    for row in rows:
        parts = [getattr(row, part) for part in PARTS]
        assert min(parts) >= 0
        assert sum(parts) == row.device_memory_bytes


def test_state_bytes() -> None:
    block = unit("block.0", **BLOCK)
    assert (state_bytes(block, "adamw"), state_bytes(block, "sgd")) == (130, 110)
