from __future__ import annotations

import pytest
from flexp.errors import PlanError
from flexp.profiler import costs
from flexp.profiler.profile import Profile, ProfileSettings, UnitProfile
from hypothesis import given
from hypothesis import strategies as st


def unit(name: str, **figures: int) -> UnitProfile:
    fields = [f for f in UnitProfile.model_fields if f != "name"]
    return UnitProfile(name=name, **{field: figures.get(field, 0) for field in fields})


def block(index: int, **changes: int) -> UnitProfile:
    figures = {
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
    return unit(f"block.{index}", **{**figures, **changes})


def profile(
    blocks: int = 3, embedding: UnitProfile | None = None, head: UnitProfile | None = None
) -> Profile:
    return Profile(
        model="tiny",
        model_type="bert",
        config_hash="0" * 64,
        hidden_size=4,
        settings=ProfileSettings(batch=2, length=3),
        units=(
            embedding or unit("embedding", parameter_bytes=1000),
            *(block(i) for i in range(blocks)),
            head
            or unit(
                "head",
                parameter_bytes=40,
                trainable_bytes=40,
                largest_trainable_bytes=40,
                backward_transient_bytes=5,
                forward_flops=1,
                backward_flops=2,
            ),
        ),
    )


def test_split_units_divides_every_unit_once() -> None:
    made = profile(blocks=3)
    client, server = costs.split_units(made, 2)
    assert [u.name for u in client] == ["embedding", "block.0", "block.1", "head"]
    assert [u.name for u in server] == ["block.2"]


@pytest.mark.parametrize("depth", [-1, 0, 3, 4])
@pytest.mark.parametrize(
    "cost",
    [
        lambda p, d: costs.client_peak_bytes(p, d, 0),
        costs.client_flops,
        costs.server_flops,
        lambda p, d: costs.server_client_bytes(p, d, "shared"),
        lambda p, d: costs.wire_bytes(p, d, "bf16"),
    ],
)
def test_impossible_depths_are_refused(cost, depth: int) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(PlanError, match=f"depth {depth} is impossible with 3 blocks"):
        cost(profile(blocks=3), depth)


def test_client_peak_of_the_docstring() -> None:
    assert costs.client_peak_bytes(profile(), 1, runtime_bytes=0) == 1384
    assert costs.client_peak_bytes(profile(), 1, runtime_bytes=7000) == 8384


HEAVY = 10_000
PHASES = {
    # which unit's figure is made heavy -> what is alive beside it at depth 2, by hand:
    # S = 50 a block, B = 8, G = 10 a block and 40 in the head
    "forward of the embedding": ("embedding", "forward_transient_bytes", HEAVY),
    "forward of block 1": ("block.1", "forward_transient_bytes", 50 + HEAVY),
    "forward of the head": ("head", "forward_transient_bytes", 100 + 8 + HEAVY),
    "backward of the head": ("head", "backward_transient_bytes", 100 + 8 + HEAVY),
    "backward of block 1": ("block.1", "backward_transient_bytes", 100 + 40 + 24 + HEAVY),
    "backward of block 0": ("block.0", "backward_transient_bytes", 50 + 50 + 24 + HEAVY),
    "backward of the embedding": ("embedding", "backward_transient_bytes", 60 + 24 + HEAVY),
    "saved by the head": ("head", "saved_bytes", 100 + 8 + HEAVY + 5),
    "saved by block 0": ("block.0", "saved_bytes", HEAVY + 50 + 40 + 24 + 30),
    "boundary, backward exchange": ("block.1", "boundary_bytes", 100 + 40 + 5 * HEAVY),
}


@pytest.mark.parametrize(("name", "field", "live"), PHASES.values(), ids=PHASES.keys())
def test_client_peak_phase_by_phase(name: str, field: str, live: int) -> None:
    made = profile(blocks=3)
    units = tuple(u.model_copy(update={field: HEAVY}) if u.name == name else u for u in made.units)
    heavy = made.model_copy(update={"units": units})
    weights, optimizer = 1000 + 2 * 100 + 40, 2 * (2 * 10 + 40)
    assert costs.client_peak_bytes(heavy, 2, 0) == weights + optimizer + live


def test_the_optimizer_step_can_be_the_peak() -> None:
    head = unit("head", parameter_bytes=900, trainable_bytes=900, largest_trainable_bytes=900)
    made = profile(head=head)
    weights, gradients = 1000 + 100 + 900, 10 + 900
    assert costs.client_peak_bytes(made, 1, 0) == weights + 2 * gradients + gradients + 2 * 900


def test_the_servers_boundary_counts_the_block_below_the_split() -> None:
    made = profile(blocks=3)
    units = tuple(
        u.model_copy(update={"boundary_bytes": 500}) if u.name == "block.0" else u
        for u in made.units
    )
    wide = made.model_copy(update={"units": units})
    assert costs.server_client_bytes(wide, 1, "shared") == 100 + 30 + 1000
    assert costs.server_client_bytes(wide, 2, "shared") == 50 + 30 + 16


def test_flops_split_the_whole_model() -> None:
    made = profile(blocks=3)
    assert costs.client_flops(made, 1) == 33
    assert costs.server_flops(made, 1) == 60
    totals = {costs.client_flops(made, d) + costs.server_flops(made, d) for d in (1, 2)}
    assert totals == {93}


@pytest.mark.parametrize(
    ("side", "expected"), [("personal", 180), ("shared", 260), ("aligned", 260)]
)
def test_backbone(side: costs.ServerSide, expected: int) -> None:
    assert costs.server_backbone_bytes(profile(blocks=2), side) == expected


@pytest.mark.parametrize(
    ("side", "expected"), [("shared", 96), ("personal", 136), ("aligned", 136)]
)
def test_client_on_the_server(side: costs.ServerSide, expected: int) -> None:
    assert costs.server_client_bytes(profile(blocks=2), 1, side) == expected


@pytest.mark.parametrize(
    ("codec", "tensor"),
    [("fp32", 6 * 4 * 4), ("bf16", 6 * 4 * 2), ("int8", 6 * (4 + 4))],
)
def test_wire(codec: costs.Codec, tensor: int) -> None:
    wire = costs.wire_bytes(profile(), 1, codec)
    assert wire == (2 * tensor + 6 + 1024, 2 * tensor + 1024)
    assert (wire.up, wire.down) == wire


def test_depth_does_not_change_the_wire() -> None:
    assert len({costs.wire_bytes(profile(blocks=4), depth, "bf16") for depth in (1, 2, 3)}) == 1


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                field: st.integers(0, 1000)
                for field in block(0).model_dump()
                if field not in ("name", "parameters")
            }
        ),
        min_size=3,
        max_size=6,
    )
)
def test_deeper_is_heavier_on_the_device_and_lighter_on_the_server(
    figures: list[dict[str, int]],
) -> None:
    made = profile()
    # constant-width blocks, whose parameters include what trains
    blocks = [
        block(i, **{**f, "boundary_bytes": 8, "parameter_bytes": 2000 + f["parameter_bytes"]})
        for i, f in enumerate(figures)
    ]
    deep = made.model_copy(update={"units": (made.units[0], *blocks, made.units[-1])})
    for depth in range(1, deep.blocks - 1):
        assert costs.client_peak_bytes(deep, depth, 0) < costs.client_peak_bytes(deep, depth + 1, 0)
        for side in ("shared", "personal", "aligned"):
            assert costs.server_client_bytes(deep, depth, side) >= costs.server_client_bytes(
                deep, depth + 1, side
            )
