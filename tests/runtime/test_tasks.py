"""Runs of each task: what they read, learn and leave behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import safetensors.torch
import torch
import transformers
from flexp.catalog.files import content_hash
from flexp.catalog.models.build import load_model
from flexp.catalog.models.entry import config_hash, load_config
from flexp.catalog.models.heads import UNLABELLED
from flexp.catalog.progress import no_progress
from flexp.errors import FieldError, MissingFileError, UnsupportedModelError
from flexp.planner.plan import Plan
from flexp.profiler.profile import ProfileSettings
from flexp.runtime.batches import Encoded
from flexp.runtime.data import Row, TextData, load_data
from flexp.runtime.export_merged import export_merged
from flexp.runtime.exported_classifier import FlexpClassifier
from flexp.runtime.image_batches import ImageBatcher
from flexp.runtime.merge import load_merged
from flexp.runtime.predict import predict
from flexp.runtime.records import Summary
from flexp.runtime.tasks import with_tags
from flexp.runtime.token_batches import NextTokenBatcher, TagBatcher
from flexp.runtime.train import train
from PIL import Image

from .conftest import word_tokenizer
from .families import whole_model
from .jobs import CLIENTS, Recorder, settings_for, small_plan, text_data

STEPS = 12


def plan_for(folder: Path, task: str, *, heads: str = "device") -> Plan:
    plan = small_plan(folder)
    settings = ProfileSettings(task=task, labels=3, batch=4, length=16, lora_rank=4)
    clients = tuple(
        client.model_copy(update={"head": heads, "steps": STEPS}) for client in plan.clients
    )
    blocks = load_config(str(folder)).num_hidden_layers
    return plan.model_copy(
        update={
            "settings": settings,
            "clients": clients,
            "steps_per_client": STEPS,
            "blocks": blocks,
            "config_hash": config_hash(load_config(str(folder))),
        }
    )


def run(plan: Plan, data: TextData, folder: Path) -> Summary:
    settings = settings_for(plan).model_copy(
        update={"data_hash": data.fingerprint(), "plan_hash": content_hash(plan)}
    )
    summary = train(plan, settings, data, folder, Recorder().observer())
    assert summary is not None
    return summary


def save(family: str, task: str, folder: Path) -> Path:
    whole_model(family, task).root.save_pretrained(folder)
    word_tokenizer().save_pretrained(folder)
    return folder


def falls(summary: Summary) -> None:
    for client in summary.clients.values():
        assert client.first_loss is not None and client.last_loss is not None
        assert client.last_loss < client.first_loss


@pytest.mark.parametrize("heads", ["device", "server"])
def test_next_tokens(tmp_path: Path, heads: str) -> None:
    base = save("llama", "causal-lm", tmp_path / "base")
    plan = plan_for(base, "causal-lm", heads=heads)
    data = text_data()
    summary = run(plan, data, tmp_path / "run")
    falls(summary)
    assert summary.classes == ()
    client = tmp_path / "run" / "clients" / "cy"
    assert not (client / "head.safetensors").exists()
    alone = peft.PeftModel.from_pretrained(
        transformers.AutoModelForCausalLM.from_pretrained(base), client
    ).eval()
    merged = load_merged(tmp_path / "run", "cy", None, no_progress)
    export_merged(merged, tmp_path / "out")
    whole = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()
    inputs = merged.batcher.inputs(merged.batcher.token_ids(["w1 w2 w3", "w4"]))
    with torch.no_grad():
        expected = alone(**inputs).logits
        torch.testing.assert_close(whole(**inputs).logits, expected, rtol=1e-4, atol=1e-4)
        before = load_model(base, load_config(str(base)), plan.settings)(inputs)
    assert (expected - before).abs().max() > 1e-3
    with pytest.raises(UnsupportedModelError, match="its model is for causal-lm"):
        predict(merged, data.rows[:1])


def test_rows_without_labels_do_for_next_tokens(tmp_path: Path) -> None:
    file = tmp_path / "texts.csv"
    file.write_text("text\n" + "".join(f"w{n} w{n + 1} w{n + 2}\n" for n in range(60)))
    base = save("llama", "causal-lm", tmp_path / "base")
    data = load_data(str(file), {}, no_progress, "causal-lm")
    summary = run(plan_for(base, "causal-lm"), data, tmp_path / "run")
    assert all(client.data.classes == {} for client in summary.clients.values())


def test_a_head_that_the_checkpoint_lacks_is_not_made_up(tmp_path: Path) -> None:
    model = whole_model("llama", "causal-lm")
    model.backbone.save_pretrained(tmp_path)
    settings = ProfileSettings(task="causal-lm")
    with pytest.raises(UnsupportedModelError, match=r"no lm_head\.weight") as caught:
        load_model(tmp_path, load_config(str(tmp_path)), settings)
    assert "LlamaForCausalLM" in caught.value.hint


def tagged_rows() -> TextData:
    """Nine words; a tag says which third of them its word is of."""
    rows = []
    for number in range(72):
        words = [(number * 7 + 2 * place) % 9 for place in range(3 + number % 4)]
        rows.append(
            Row(
                text=" ".join(f"w{word}" for word in words),
                label=" ".join(f"third-{word // 3}" for word in words),
                client=CLIENTS[number // 6 % 3],
                split="test" if number % 6 >= 4 else "train",
            )
        )
    return TextData(name="tags.csv", rows=tuple(rows), class_names={})


@pytest.mark.parametrize("heads", ["device", "server"])
def test_tags_of_words(tmp_path: Path, heads: str) -> None:
    base = save("bert", "token-classification", tmp_path / "base")
    summary = run(
        plan_for(base, "token-classification", heads=heads), tagged_rows(), tmp_path / "run"
    )
    falls(summary)
    assert summary.classes == ("third-0", "third-1", "third-2")
    for client in summary.clients.values():
        assert set(client.data.classes) <= set(summary.classes)
        assert client.after.personal > client.before.personal
    head = safetensors.torch.load_file(tmp_path / "run" / "clients" / "cy" / "head.safetensors")
    assert head["weight"].shape == (3, 32)
    line = export_merged(load_merged(tmp_path / "run", "cy", None, no_progress), tmp_path / "out")
    assert "trust_remote_code" not in line
    plain = transformers.AutoModelForTokenClassification.from_pretrained(tmp_path / "out").eval()
    assert sorted(plain.config.id2label.values()) == sorted(summary.classes)
    assert torch.equal(plain.classifier.weight, head["weight"])


def test_a_tag_goes_to_the_first_token_of_its_word() -> None:
    tokenizer = word_tokenizer()
    batcher = TagBatcher(tokenizer, 16)
    rows = (
        Row(text="w1 w2+w3 w4", label="", tags=("b", "a", "b")),
        Row(text="w5", label="", tags=("a",)),
    )
    encoded = batcher.encode(rows, ("a", "b"))
    assert encoded.labels[0][0] == 1 and encoded.labels[0][-1] == 1
    assert encoded.labels[0][1] == 0 and set(encoded.labels[0][2:-1]) == {UNLABELLED}
    for side in ("right", "left"):
        tokenizer.padding_side = side
        inputs, labels = batcher.batch(encoded, np.array([0, 1]))
        kept = labels[1][inputs["attention_mask"][1].bool()]
        assert (kept.tolist(), int((labels[1] != UNLABELLED).sum())) == ([0], 1)


def test_the_next_tokens_of_padding_do_not_count() -> None:
    batcher = NextTokenBatcher(word_tokenizer(), 16)
    rows = (Row(text="w1 w2 w3", label=""), Row(text="w4", label=""))
    inputs, labels = batcher.batch(batcher.encode(rows, ()), np.array([0, 1]))
    assert labels.tolist() == [[4, 5, 6], [7, UNLABELLED, UNLABELLED]]
    assert inputs["input_ids"].tolist() == [[4, 5, 6], [7, 0, 0]]


def test_words_and_tags_pair_up() -> None:
    data = TextData(name="a.csv", rows=(Row(text="one two", label="x"),), class_names={})
    with pytest.raises(FieldError, match=r"a\.csv: row 1: 2 words and 1 tags"):
        with_tags(data, "token-classification")
    assert with_tags(data, "classification") is data


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A table of 36 images in three colours."""
    lines = ["image,label,client,split"]
    random = np.random.default_rng(0)
    for number in range(36):
        colour = number % 3
        pixels = random.integers(0, 90, (20, 24, 3), dtype=np.uint8)
        pixels[..., colour] += 150
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        split = "test" if number % 6 >= 4 else "train"
        client = CLIENTS[number // 6 % 3]
        lines.append(f"{number}.png,{('red', 'green', 'blue')[colour]},{client},{split}")
    table = tmp_path / "images.csv"
    table.write_text("\n".join(lines))
    return table


@pytest.mark.parametrize(("family", "heads"), [("vit", "device"), ("deit", "server")])
def test_classes_of_images(tmp_path: Path, images: Path, family: str, heads: str) -> None:
    base = save(family, "image-classification", tmp_path / "base")
    data = load_data(str(images), {}, no_progress, "image-classification")
    summary = run(plan_for(base, "image-classification", heads=heads), data, tmp_path / "run")
    falls(summary)
    assert summary.classes == ("blue", "green", "red")
    for client in summary.clients.values():
        assert client.data.tokens is None
        assert client.after.personal > 0.6
    merged = load_merged(tmp_path / "run", "cy", None, no_progress)
    with pytest.raises(UnsupportedModelError, match="its model is for image-classification"):
        predict(merged, data.rows)
    export_merged(merged, tmp_path / "out")
    assert (tmp_path / "out" / "modeling_flexp.py").is_file()
    plain = FlexpClassifier.from_pretrained(tmp_path / "out").eval()
    reader = transformers.AutoImageProcessor.from_pretrained(tmp_path / "out")
    path = str(images.parent / "4.png")
    pixels = reader(images=Image.open(path), return_tensors="pt")["pixel_values"]
    own = merged.batcher.inputs([[path]])
    torch.testing.assert_close(pixels, own["pixel_values"], rtol=0, atol=0.02)
    with torch.no_grad():
        torch.testing.assert_close(plain(**own).logits, merged.model(own), rtol=1e-5, atol=1e-5)


def test_an_image_is_resized_and_normalised(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(
        '{"image_mean": [0.2, 0.4, 0.6], "image_std": [0.5, 0.25, 0.1]}'
    )
    Image.new("RGBA", (30, 7), (51, 102, 255, 255)).save(tmp_path / "a.png")
    config = transformers.ViTConfig(image_size=(8, 12))
    batcher = ImageBatcher(tmp_path, config, tmp_path)
    encoded = batcher.encode((Row(text="a.png", label="x"),), ("x",))
    pixels = batcher.inputs(list(encoded.ids))["pixel_values"]
    assert pixels.shape == (1, 3, 8, 12)
    expected = torch.tensor([0.0, 0.0, 4.0])[None, :, None, None].expand_as(pixels)
    torch.testing.assert_close(pixels, expected, atol=1e-5, rtol=0)


def test_images_that_are_none(tmp_path: Path) -> None:
    batcher = ImageBatcher(tmp_path, transformers.ViTConfig(image_size=8), tmp_path)
    with pytest.raises(MissingFileError, match=r"nothing\.png"):
        batcher.encode((Row(text="nothing.png", label="x"),), ("x",))
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"none")
    with pytest.raises(FieldError, match=r"broken\.png: not an image"):
        batcher.batch(Encoded(ids=([str(broken)],), labels=(0,)), np.array([0]))


@pytest.mark.parametrize("task", ["token-classification", "image-classification"])
def test_a_data_set_that_does_not_suit_the_task(task: Any) -> None:
    with pytest.raises(FieldError, match=f"nothing for {task}"):
        load_data("20newsgroups", {}, no_progress, task)
