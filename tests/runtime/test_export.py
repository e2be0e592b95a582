"""What leaves a run predicts as the split model did: with peft, with transformers alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import safetensors.torch
import torch
import transformers
from flexp.catalog.models.heads import mean_pool
from flexp.catalog.progress import no_progress
from flexp.errors import FieldError, MissingFileError, PlanError, RunError, UnknownNameError
from flexp.runtime import train as runtime_train
from flexp.runtime.data import Row
from flexp.runtime.export_merged import as_transformers, check_empty, export_merged
from flexp.runtime.exported_classifier import FlexpClassifier
from flexp.runtime.merge import Merged, load_merged
from flexp.runtime.predict import predict
from peft import PeftModel
from torch import Tensor

from .families import DECODERS, ENCODERS, LABELS, batch_of, whole_model
from .jobs import CLIENTS, run, small_plan, text_data

Checkpoint = Callable[[str], Path]
INPUTS = {
    "input_ids": torch.tensor([[3, 4, 5, 6], [7, 8, 0, 0]]),
    "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]),
}


class Done(NamedTuple):
    folder: Path
    base: Path
    logits: dict[str, Tensor]
    """Of INPUTS, by client, from the split models."""


@pytest.fixture(scope="module")
def done(
    tmp_path_factory: pytest.TempPathFactory, checkpoint: Checkpoint
) -> Callable[[str, str], Done]:
    """(family, server side) -> a complete run, made once."""
    runs: dict[tuple[str, str], Done] = {}

    def make(family: str, server_side: str) -> Done:
        if (family, server_side) in runs:
            return runs[family, server_side]
        jobs, assemble = [], runtime_train.assemble

        def kept(*arguments: object) -> object:
            jobs.append(assemble(*arguments))
            return jobs[-1]

        folder = tmp_path_factory.mktemp(f"{family}-{server_side}")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(runtime_train, "assemble", kept)
            run(small_plan(checkpoint(family), server_side=server_side), folder)
        logits = {name: client.predict(INPUTS) for name, client in jobs[0].clients.items()}
        runs[family, server_side] = Done(folder, checkpoint(family), logits)
        return runs[family, server_side]

    return make


FAMILIES = ["bert", "llama", "gpt2"]


@pytest.mark.parametrize("server_side", ["shared", "personal", "aligned"])
@pytest.mark.parametrize("family", FAMILIES[:2])
def test_peft_loads_what_a_client_takes_away(
    done: Callable[[str, str], Done], family: str, server_side: str
) -> None:
    there = done(family, server_side)
    for name in CLIENTS:
        taken = there.folder / "clients" / name
        base = transformers.AutoModel.from_pretrained(there.base)
        model = PeftModel.from_pretrained(base, taken).eval()
        head = safetensors.torch.load_file(taken / "head.safetensors")
        with torch.no_grad():
            pooled = mean_pool(model(**INPUTS).last_hidden_state, INPUTS["attention_mask"])
        logits = pooled @ head["weight"].T + head["bias"]
        torch.testing.assert_close(logits, there.logits[name], rtol=1e-5, atol=1e-5)


WITHOUT_FLEXP = """
import json, sys
sys.modules["flexp"] = None  # importing it fails
import torch, transformers
found = {}
for folder in sys.argv[1:]:
    auto = transformers.AutoModelForSequenceClassification
    model = auto.from_pretrained(folder, trust_remote_code=True).eval()
    words = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
    inputs = words(["w0 w1 w2 w3", "w4 w5"], padding=True, return_tensors="pt")
    kept = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        found[folder] = model(**kept).logits.tolist()
    found["labels"] = model.config.id2label
json.dump(found, sys.stdout)
"""


def alone(folders: Iterable[Path], tmp_path: Path) -> dict[str, Any]:
    """Logits by folder, and the labels, in a process that can't import flexp."""
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT_FLEXP, *map(str, folders)],
        env={**os.environ, "HF_MODULES_CACHE": str(tmp_path / "modules")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def test_transformers_alone_loads_and_predicts_the_same(
    tmp_path: Path, done: Callable[[str, str], Done]
) -> None:
    folders = {}
    for family in FAMILIES:
        there = done(family, "aligned")
        folders[family] = tmp_path / family
        export_merged(load_merged(there.folder, "cy", None, no_progress), folders[family])
    found = alone(folders.values(), tmp_path)
    assert found["labels"] == {str(n): label for n, label in enumerate(text_data().classes)}
    for family, folder in folders.items():
        expected = done(family, "aligned").logits["cy"]
        assert expected.abs().max() > 0.01
        logits = torch.tensor(found[str(folder)])
        torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


OWN_CODE = ("gemma3", "modernbert", "opt", "opt-projected")
"""Families in which the library has no class of tokens, or one that is more than a linear layer."""


@pytest.mark.parametrize("task", ["classification", "token-classification"])
@pytest.mark.parametrize("family", sorted({**ENCODERS, **DECODERS}))
def test_every_family_as_one_model_of_transformers(
    tmp_path: Path, done: Callable[[str, str], Done], family: str, task: str
) -> None:
    """Saved and loaded again, and run by the library's class or the exported code, the logits
    stay."""
    whole = whole_model(family, task).eval()
    merged = load_merged(done("bert", "shared").folder, "ada", None, no_progress)
    classes = tuple(f"class-{number}" for number in range(LABELS))
    settings = merged.plan.settings.model_copy(update={"task": task})
    plan = merged.plan.model_copy(update={"settings": settings})
    config = whole.backbone.config
    parts = {**vars(merged), "model": whole, "config": config, "classes": classes, "plan": plan}
    model = as_transformers(Merged(**parts))
    assert isinstance(model, FlexpClassifier) == (task == "classification" or family in OWN_CODE)
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path).eval()
    inputs, _ = batch_of(whole, task, "right")
    with torch.no_grad():
        torch.testing.assert_close(again(**inputs).logits, whole(inputs), rtol=1e-5, atol=1e-5)
    assert again.config.id2label == dict(enumerate(classes))


def test_predictions_are_the_split_models(done: Callable[[str, str], Done]) -> None:
    there = done("bert", "aligned")
    merged = load_merged(there.folder, "ada", None, no_progress)
    rows = [Row(text="w0 w1 w2 w3", label="class-0"), Row(text="w4 w5", label="")]
    made = predict(merged, rows)
    expected = there.logits["ada"].softmax(-1)
    assert [one.label for one in made.predictions] == [
        merged.classes[int(best)] for best in expected.argmax(-1)
    ]
    found = torch.tensor([one.probability for one in made.predictions])
    torch.testing.assert_close(found, expected.amax(-1))
    assert made.accuracy == float(made.predictions[0].label == "class-0")
    assert predict(merged, rows[1:]).accuracy is None


def test_what_can_not_be_taken_away(
    tmp_path: Path, done: Callable[[str, str], Done], checkpoint: Checkpoint
) -> None:
    there = done("bert", "shared")
    with pytest.raises(UnknownNameError, match="unknown client 'bob'"):
        load_merged(there.folder, "bob", None, no_progress)
    with pytest.raises(MissingFileError, match=r"run\.json"):
        load_merged(tmp_path, "ada", None, no_progress)
    with pytest.raises(PlanError, match="another configuration"):
        load_merged(there.folder, "ada", str(checkpoint("llama")), no_progress)
    run(small_plan(checkpoint("bert")), tmp_path / "stopped", stop_after=2)
    with pytest.raises(RunError, match="is not complete"):
        load_merged(tmp_path / "stopped", "ada", None, no_progress)
    with pytest.raises(FieldError, match="not an empty folder"):
        check_empty(tmp_path)
