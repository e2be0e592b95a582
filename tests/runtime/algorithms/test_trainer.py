"""The loop's parts: stale gradients, alignment, the codec at the cut, and the two modes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from flexp.errors import FieldError, UnknownNameError, UnsupportedModelError
from flexp.runtime.algorithms.algorithm import SERVER, Options
from flexp.runtime.algorithms.registry import ALGORITHMS, label_of, parse_algorithm
from flexp.runtime.algorithms.trainer import Trainer
from flexp.runtime.fleet_clock import Event, Kind

from .fleets import one_by_one, trainer, weights

Checkpoint = Callable[[str], Path]


def happen(made: Trainer, *told: tuple[str, Kind]) -> None:
    list(made.follow(Event(float(n), kind, client) for n, (client, kind) in enumerate(told)))


def delta_norm(made: Trainer, client: str) -> float:
    keys = made.holdings.deltas(client)
    assert keys
    flat = [p.detach() for key in keys for p in made.holdings.held[key].weights.parameters()]
    return float(torch.stack([p.square().sum() for p in flat[1::2]]).sum())


def test_a_gradient_is_of_the_trunk_that_the_step_met(checkpoint: Checkpoint) -> None:
    """bo meets the trunk, ada's step goes by, and only then is bo's gradient applied: bo's own part
    changes as if ada had never been, the trunk by both."""
    folder, order = checkpoint("bert"), [("bo.2", k) for k in (Kind.MEET, Kind.APPLY, Kind.DONE)]
    ada = [("ada", kind) for kind in (Kind.MEET, Kind.APPLY, Kind.DONE)]
    alone, stale, fresh = (trainer(folder, "flexp-sfl") for _ in range(3))
    happen(alone, *order)
    happen(stale, order[0], *ada, *order[1:])
    happen(fresh, *ada, *order)
    own = [key for key in alone.holdings.keys("bo.2") if key[0] == "bo.2"]
    for key in own:
        one, two, three = (m.holdings.held[key].parameters for m in (alone, stale, fresh))
        assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
        assert not all(torch.equal(a, c) for a, c in zip(one, three, strict=True))
    trunk = (SERVER, 3)
    one, two = (m.holdings.held[trunk].parameters for m in (alone, stale))
    assert not all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_the_device_changes_only_when_the_step_is_over(checkpoint: Checkpoint) -> None:
    made = trainer(checkpoint("bert"), "flexp-sfl")
    before = {key: t.clone() for key, t in weights(made, "ada").items()}

    def changed() -> set[int]:
        now = weights(made, "ada")
        return {key[0] for key, t in before.items() if not torch.equal(t, now[key])}

    happen(made, ("ada", Kind.MEET))
    assert changed() == set()
    happen(made, ("ada", Kind.APPLY))
    assert changed() == {1, 2, 3}
    happen(made, ("ada", Kind.DONE))
    assert changed() == {-2, 0, 1, 2, 3}


def test_prox_holds_personal_adapters_to_the_trunk(checkpoint: Checkpoint) -> None:
    norms = {}
    for alignment, lambdas in (("none", "constant:0"), ("prox", "constant:100")):
        options = {"server_side": "aligned", "alignment": alignment, "lambdas": lambdas}
        made = trainer(checkpoint("bert"), "flexp-sfl", **options)
        list(made.follow(one_by_one([("ada", step) for step in range(6)])))
        norms[alignment] = delta_norm(made, "ada")
    assert 0 < norms["prox"] < 0.1 * norms["none"]


def test_feature_alignment_holds_the_cut_to_the_pretrained_model(checkpoint: Checkpoint) -> None:
    """How far the output of the device's blocks is from the pre-trained one after training."""
    far = {}
    for alignment in ("none", "feature"):
        made = trainer(
            checkpoint("bert"), "flexp-sfl", alignment=alignment, lambdas="constant:1000"
        )
        list(made.follow(one_by_one([("cy", step) for step in range(6)])))
        inputs, _ = made.batch("cy", 0)
        made.holdings.install("cy")
        own = made.boundaries.up_to(2, made.model.root, inputs)
        made.holdings.install_pretrained()
        bare = made.boundaries.up_to(2, made.model.root, inputs)
        far[alignment] = float((own - bare).square().mean())
    assert 0 < far["feature"] < 0.5 * far["none"]


def test_a_codec_rounds_what_crosses_and_nothing_where_nothing_does(checkpoint: Checkpoint) -> None:
    folder = checkpoint("bert")
    for name, same in (("flexp-sfl", False), ("local", True)):
        ends = []
        for codec in ("fp32", "int8"):
            made = trainer(folder, name, codec=codec)
            list(made.follow(one_by_one([("ada", 0)])))
            ends.append(weights(made, "ada"))
        assert all(torch.equal(ends[0][key], ends[1][key]) for key in ends[0]) == same
        if not same:
            head = ends[0][-2, 0] - ends[1][-2, 0]
            assert head.abs().max() < 0.1 * ends[0][-2, 0].abs().max() + 2e-3


def test_one_model_two_modes(checkpoint: Checkpoint) -> None:
    """A head that says class 0 whatever it sees; the prior outweighs it in personal mode alone."""
    made = trainer(checkpoint("bert"), "local", label_prior=True)
    made.priors["ada"] = torch.tensor([-20.0, 0.0, 0.0])
    with torch.no_grad():
        weight, bias = made.holdings.held["ada", -2].parameters
        weight.zero_()
        bias.copy_(torch.tensor([5.0, 0.0, -5.0]))
    inputs, _ = made.batch("ada", 0)
    for mode, prior, says in (
        ("global", None, 0),
        ("personal", None, 1),
        ("personal", torch.tensor([0.0, 0.0, 20.0]), 2),
    ):
        labels = torch.full((4,), says)
        assert made.accuracy("ada", [(inputs, labels)], mode, prior) == 1.0


@pytest.mark.parametrize(
    ("text", "label", "options"),
    [
        ("fedavg", "fedavg", {}),
        ("fedavg+ft/prior", "fedavg+ft/prior", {"label_prior": True}),
        ("flexp-sfl/shared", "flexp-sfl", {}),
        (
            "local/prior/projection",
            "local/projection/prior",
            {"label_prior": True, "projection": True},
        ),
        (
            "flexp-sfl/prior/aligned/both",
            "flexp-sfl/aligned/both/prior",
            {"server_side": "aligned", "alignment": "both", "label_prior": True},
        ),
    ],
)
def test_names_with_words(text: str, label: str, options: dict[str, Any]) -> None:
    name, parsed = parse_algorithm(text, Options())
    assert parsed == Options(**options)
    assert label_of(name, parsed) == label
    assert parse_algorithm(label, Options()) == (name, parsed)


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("fedprox", UnknownNameError, "unknown algorithm 'fedprox'"),
        ("fedavg/aligned", FieldError, "fedavg has no 'aligned'"),
        ("flexp-sfl/half", FieldError, "flexp-sfl has no 'half'"),
        ("flexp-sfl/prox", FieldError, "the shared server side has one of the two only"),
    ],
)
def test_names_that_mean_nothing(text: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        parse_algorithm(text, Options())


def test_every_algorithm_has_a_file_of_its_name() -> None:
    folder = Path(__file__).parents[3] / "runtime" / "algorithms"
    for name in ALGORITHMS:
        assert (folder / f"{name.replace('-', '_').replace('+', '_')}.py").is_file()


def test_an_aligned_side_needs_adapters(checkpoint: Checkpoint) -> None:
    with pytest.raises(UnsupportedModelError, match="adds adapters to a trunk; full has none"):
        trainer(checkpoint("bert"), "flexp-sfl", server_side="aligned", method="full")
