from __future__ import annotations

import pytest
from flexp.errors import PlanError
from flexp.profiler import costs
from flexp.profiler.placement import Placement, checkpointed, divide
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


AT = [Placement(depth) for depth in range(6)]
"""AT[d] is the plain U-shape at depth d."""


def names(units: tuple[UnitProfile, ...]) -> list[str]:
    return [unit.name for unit in units]


@pytest.mark.parametrize(
    ("placement", "bottom", "server", "top"),
    [
        (Placement(2), ["embedding", "block.0", "block.1"], ["block.2", "block.3"], ["head"]),
        (Placement(1, top=2), ["embedding", "block.0"], ["block.1"],
         ["block.2", "block.3", "head"]),
        (Placement(3, head="server"), ["embedding", *(f"block.{i}" for i in range(3))],
         ["block.3", "head"], []),
    ],
)  # fmt: skip
def test_every_unit_is_somewhere_once(
    placement: Placement, bottom: list[str], server: list[str], top: list[str]
) -> None:
    parts = divide(profile(blocks=4), placement)
    assert [names(part) for part in parts] == [bottom, server, top]


@pytest.mark.parametrize(
    "placement", [Placement(-1), Placement(0), Placement(3), Placement(4), Placement(2, top=1)]
)
@pytest.mark.parametrize(
    "cost",
    [
        lambda p, at: costs.client_peak_bytes(p, at, 0),
        costs.client_flops,
        costs.server_flops,
        lambda p, at: costs.server_client_bytes(p, at, "shared"),
        lambda p, at: costs.wire_bytes(p, at, "bf16"),
    ],
)
def test_impossible_depths_are_refused(cost, placement: Placement) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(PlanError, match=f"depth {placement.depth} .*is impossible with 3 blocks"):
        cost(profile(blocks=3), placement)


def test_a_head_on_the_server_leaves_no_top_blocks() -> None:
    with pytest.raises(PlanError, match="no top blocks"):
        divide(profile(blocks=4), Placement(1, top=1, head="server"))


def test_a_tied_head_moves_with_its_weights_or_not_at_all() -> None:
    tied = profile(head=unit("head", parameter_bytes=4, tied_bytes=1000, trainable_bytes=4))
    assert divide(tied, Placement(1, head="server")).server[-1].parameter_bytes == 1004
    trained = tied.model_copy(update={"settings": ProfileSettings(method="full")})
    with pytest.raises(PlanError, match="can't be on two machines"):
        divide(trained, Placement(1, head="server"))


def test_checkpointing_keeps_a_blocks_output_and_runs_it_again() -> None:
    made = checkpointed(block(0, forward_transient_bytes=60))
    assert (made.saved_bytes, made.backward_transient_bytes) == (8, 80)
    assert made.backward_flops == 30
    assert checkpointed(block(0, forward_transient_bytes=90)).backward_transient_bytes == 98
    frozen = block(0, saved_bytes=0, backward_flops=0)
    assert checkpointed(frozen) == frozen


def test_client_peak_of_the_docstring() -> None:
    assert costs.client_peak_bytes(profile(), AT[1], runtime_bytes=0) == 1370
    assert costs.client_peak_bytes(profile(), AT[1], runtime_bytes=7000) == 8370


HEAVY = 10_000
PHASES = {
    # which unit's figure is made heavy -> what is alive beside it at depth 2, by hand:
    # S = 50 a block, B = 8, G = 10 a block and 40 in the head
    "forward of the embedding": ("embedding", "forward_transient_bytes", HEAVY),
    "forward of block 1": ("block.1", "forward_transient_bytes", 50 + HEAVY),
    "forward of the head": ("head", "forward_transient_bytes", 100 + 8 + HEAVY),
    "backward of the head": ("head", "backward_transient_bytes", 100 + 8 + HEAVY),
    "backward of block 1": ("block.1", "backward_transient_bytes", 100 + 40 + 8 + HEAVY),
    "backward of block 0": ("block.0", "backward_transient_bytes", 50 + 50 + 8 + HEAVY),
    "backward of the embedding": ("embedding", "backward_transient_bytes", 60 + 8 + HEAVY),
    "saved by the head": ("head", "saved_bytes", 100 + 8 + HEAVY + 5),
    "saved by block 0": ("block.0", "saved_bytes", HEAVY + 50 + 40 + 5 * 8),
    "boundary, backward exchange": ("block.1", "boundary_bytes", 100 + 40 + 5 * HEAVY),
}


@pytest.mark.parametrize(("name", "field", "live"), PHASES.values(), ids=PHASES.keys())
def test_client_peak_phase_by_phase(name: str, field: str, live: int) -> None:
    made = profile(blocks=3)
    units = tuple(u.model_copy(update={field: HEAVY}) if u.name == name else u for u in made.units)
    heavy = made.model_copy(update={"units": units})
    weights, optimizer = 1000 + 2 * 100 + 40, 2 * (2 * 10 + 40)
    assert costs.client_peak_bytes(heavy, AT[2], 0) == weights + optimizer + live


def test_the_optimizer_step_can_be_the_peak() -> None:
    head = unit("head", parameter_bytes=900, trainable_bytes=900, largest_trainable_bytes=900)
    made = profile(head=head)
    weights, gradients = 1000 + 100 + 900, 10 + 900
    assert costs.client_peak_bytes(made, AT[1], 0) == weights + 2 * gradients + gradients + 2 * 900


def test_the_servers_boundary_counts_the_block_below_the_split() -> None:
    made = profile(blocks=3)
    units = tuple(
        u.model_copy(update={"boundary_bytes": 500}) if u.name == "block.0" else u
        for u in made.units
    )
    wide = made.model_copy(update={"units": units})
    assert costs.server_client_bytes(wide, AT[1], "shared") == 100 + 30 + 1000
    assert costs.server_client_bytes(wide, AT[2], "shared") == 50 + 30 + 16


def test_flops_split_the_whole_model() -> None:
    made = profile(blocks=3)
    assert costs.client_flops(made, AT[1]) == 33
    assert costs.server_flops(made, AT[1]) == 60
    totals = {
        costs.client_flops(made, AT[depth]) + costs.server_flops(made, AT[depth])
        for depth in (1, 2)
    }
    assert totals == {93}


@pytest.mark.parametrize(
    ("side", "expected"), [("personal", 180), ("shared", 260), ("aligned", 260)]
)
def test_backbone(side: costs.ServerSide, expected: int) -> None:
    assert costs.server_backbone_bytes(profile(blocks=2), side) == expected


def test_a_backbone_whose_weights_all_train() -> None:
    whole = profile(blocks=2).model_copy(
        update={"settings": ProfileSettings(batch=2, length=3, method="full")}
    )
    units = [u.model_copy(update={"trainable_bytes": u.parameter_bytes}) for u in whole.units]
    whole = whole.model_copy(update={"units": tuple(units)})
    assert costs.server_backbone_bytes(whole, "personal") == 200
    assert costs.server_backbone_bytes(whole, "shared") == 4 * 200


@pytest.mark.parametrize(
    ("side", "expected"), [("shared", 96), ("personal", 136), ("aligned", 136)]
)
def test_client_on_the_server(side: costs.ServerSide, expected: int) -> None:
    assert costs.server_client_bytes(profile(blocks=2), AT[1], side) == expected


@pytest.mark.parametrize(
    ("codec", "tensor"),
    [("fp32", 6 * 4 * 4), ("bf16", 6 * 4 * 2), ("int8", 6 * (4 + 4))],
)
def test_wire(codec: costs.Codec, tensor: int) -> None:
    wire = costs.wire_bytes(wide(), AT[1], codec)
    assert wire == (2 * tensor + 6 + 1024, 2 * tensor + 1024, 2)
    assert (wire.up, wire.down, wire.round_trips) == wire


def wide(**settings: object) -> Profile:
    """`profile()` with the boundary that batch 2, length 3 and hidden 4 give in float32."""
    made = profile()
    units = tuple(u.model_copy(update={"boundary_bytes": 2 * 3 * 4 * 4}) for u in made.units)
    fields = {**made.settings.model_dump(), **settings}
    return made.model_copy(
        update={"units": units, "settings": ProfileSettings.model_validate(fields)}
    )


def test_depth_does_not_change_the_wire() -> None:
    made = profile(blocks=4)
    assert len({costs.wire_bytes(made, AT[depth], "bf16") for depth in (1, 2, 3)}) == 1


TENSOR = 6 * 4 * 2 + 512
"""A bf16 message of `wide()`."""


def test_micro_batches_add_framing_alone() -> None:
    one, four = (costs.wire_bytes(wide(), AT[1], "bf16", parts) for parts in (1, 4))
    assert (four.up - one.up, four.down - one.down) == (2 * 3 * 512, 2 * 3 * 512)
    assert four.round_trips == one.round_trips


def test_labels_that_leave_the_device_save_two_messages() -> None:
    labels = {"classification": 2 * 8, "causal-lm": 6 * 8, "token-classification": 6 * 8}
    for task, size in labels.items():
        wire = costs.wire_bytes(wide(task=task), Placement(1, head="server"), "bf16")
        assert wire == (TENSOR + 6 + size + 128, TENSOR, 1)


def test_nothing_to_train_needs_no_gradients() -> None:
    made = wide(method="head")
    frozen = made.model_copy(
        update={
            "units": tuple(
                u if u.name == "head" else u.model_copy(update={"trainable_bytes": 0})
                for u in made.units
            )
        }
    )
    assert costs.wire_bytes(frozen, AT[1], "bf16") == (TENSOR + 6, TENSOR, 1)


def test_images_have_no_mask() -> None:
    pixels = wide().model_copy(update={"inputs": "pixels"})
    assert costs.wire_bytes(pixels, AT[1], "bf16").up == 2 * TENSOR


def test_sgd_keeps_no_moments() -> None:
    made = profile()
    lean = made.model_copy(update={"settings": ProfileSettings(optimizer="sgd")})
    # 2 * (10 + 40) bytes of state; an exchange of 50 + 40 + 5 * 8 is as much as AdamW's update
    assert costs.client_peak_bytes(made, AT[1], 0) - costs.client_peak_bytes(lean, AT[1], 0) == 100
    assert costs.server_backbone_bytes(lean, "shared") == 270 + 2 * 30
    assert costs.server_client_bytes(lean, AT[1], "personal") == 2 * 50 + 30 + 16 + 2 * 20


def test_a_head_on_the_server_is_its_clients_own() -> None:
    at = Placement(1, head="server")
    on_device = costs.server_client_bytes(profile(blocks=2), AT[1], "shared")
    assert costs.server_client_bytes(profile(blocks=2), at, "shared") == on_device + 4 * 40
    both = costs.server_backbone_bytes(profile(blocks=2), "shared", heads=True)
    assert both == 260 + 40 - 40


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
        shallow, deeper = AT[depth], AT[depth + 1]
        assert costs.client_peak_bytes(deep, shallow, 0) < costs.client_peak_bytes(deep, deeper, 0)
        for side in ("shared", "personal", "aligned"):
            assert costs.server_client_bytes(deep, shallow, side) >= costs.server_client_bytes(
                deep, deeper, side
            )
