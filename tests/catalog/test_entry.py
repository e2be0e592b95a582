import json
from pathlib import Path

import pytest
import torch
from flexp.catalog.models.entry import (
    checkpoint_folder,
    config_hash,
    find_model,
    load_config,
    model_names,
    without_dropout,
)
from flexp.errors import (
    DownloadError,
    FieldError,
    FlexpError,
    MissingFileError,
    SyntaxFileError,
    UnknownNameError,
    UnsupportedModelError,
)
from transformers import AutoConfig, AutoModel

# The config.json of the published all-MiniLM-L6-v2 checkpoint.
MINILM_CONFIG = {
    "_name_or_path": "nreimers/MiniLM-L6-H384-uncased",
    "architectures": ["BertModel"],
    "attention_probs_dropout_prob": 0.1,
    "gradient_checkpointing": False,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 384,
    "initializer_range": 0.02,
    "intermediate_size": 1536,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512,
    "model_type": "bert",
    "num_attention_heads": 12,
    "num_hidden_layers": 6,
    "pad_token_id": 0,
    "position_embedding_type": "absolute",
    "transformers_version": "4.8.2",
    "type_vocab_size": 2,
    "use_cache": True,
    "vocab_size": 30522,
}


@pytest.fixture(autouse=True)
def hub_is_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def write_config(folder: Path, config: object) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(
        config if isinstance(config, str) else json.dumps(config), encoding="utf-8"
    )
    return folder


@pytest.mark.parametrize("name", model_names())
def test_entries_say_where_they_come_from(name: str) -> None:
    entry = find_model(name)
    assert entry is not None
    assert entry.source.startswith("https://huggingface.co/")
    assert entry.licence
    # YAML 1.1 reads 1e-5 (no point) as text
    assert not [v for v in entry.architecture.values() if isinstance(v, str) and "e-" in v]


def test_a_folder_is_read_as_its_config_says(tmp_path: Path) -> None:
    folder = write_config(tmp_path / "model", MINILM_CONFIG)
    assert load_config(str(folder)).hidden_size == 384


def test_a_catalogue_name_wins_over_a_folder_unless_the_folder_is_written_as_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_config(tmp_path / "gpt2", MINILM_CONFIG)
    monkeypatch.chdir(tmp_path)
    assert load_config("gpt2").model_type == "gpt2"
    assert load_config("./gpt2").model_type == "bert"


@pytest.mark.parametrize(
    ("model", "error", "says"),
    [
        ("./nowhere", MissingFileError, "nowhere"),
        ("a/b/c", MissingFileError, "a/b/c"),
        ("~/nowhere-at-all", MissingFileError, "nowhere-at-all"),
        ("minilm", UnknownNameError, "unknown model 'minilm'"),
        ("bert-base-uncased", UnknownNameError, "bert-base-uncased"),
        ("some-org/some-model", DownloadError, "the model hub can't be reached"),
    ],
)
def test_names_that_lead_nowhere(model: str, error: type[FlexpError], says: str) -> None:
    with pytest.raises(error) as raised:
        load_config(model)
    assert says in raised.value.message
    assert raised.value.hint


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("t5-small", "t5 is an encoder-decoder"),
        ("openai/whisper-tiny", "whisper is an encoder-decoder"),
        ("state-spaces/mamba-130m-hf", "mamba is a state-space"),
        ("swin-tiny", "swin is a pyramid"),
    ],
)
def test_a_name_of_a_family_that_cannot_be_split_says_why(model: str, reason: str) -> None:
    with pytest.raises(UnsupportedModelError, match=reason):
        load_config(model)


@pytest.mark.parametrize("model", ["clip-vit-b-23", "gemma-3-27m", "gpt-j-6b"])
def test_other_names_may_be_slips(model: str) -> None:
    with pytest.raises(UnknownNameError):
        load_config(model)


def test_a_name_like_none_says_where_all_are_listed() -> None:
    with pytest.raises(UnknownNameError) as raised:
        load_config("xyz")
    assert raised.value.hint.endswith("are known: `flexp catalog models` lists them")


def test_a_near_miss_is_pointed_out() -> None:
    with pytest.raises(UnknownNameError) as raised:
        load_config("minilm-6")
    assert "minilm-l6" in raised.value.hint


@pytest.mark.parametrize(
    ("config", "error", "says"),
    [
        ('{"model_type":', SyntaxFileError, "config.json:1"),
        ("[1]", SyntaxFileError, "expected a mapping"),
        ({"model_type": "nosuch"}, UnsupportedModelError, "'nosuch'"),
        ({"hidden_size": 3}, UnsupportedModelError, "None"),
        ({"model_type": "bert", "hidden_size": "x"}, FieldError, "hidden_size"),
    ],
)
def test_bad_config_files(
    tmp_path: Path, config: object, error: type[FlexpError], says: str
) -> None:
    folder = write_config(tmp_path / "model", config)
    with pytest.raises(error) as raised:
        load_config(str(folder))
    assert says in raised.value.message
    assert "config.json" in raised.value.message


def test_a_folder_without_config_names_the_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"config\.json"):
        load_config(str(tmp_path))


def test_a_file_is_not_a_checkpoint(tmp_path: Path) -> None:
    folder = write_config(tmp_path / "model", MINILM_CONFIG)
    with pytest.raises(FieldError) as raised:
        load_config(str(folder / "config.json"))
    assert str(folder) in raised.value.hint


@pytest.mark.parametrize("name", model_names())
def test_without_dropout_zeroes_every_probability_and_nothing_else(name: str) -> None:
    config = load_config(name)
    before = config.to_dict()
    after = without_dropout(config).to_dict()
    assert config.to_dict() == before
    changed = {key for key in before if before[key] != after[key]}
    assert all("drop" in key and after[key] == 0 for key in changed)
    left = {k: v for k, v in after.items() if "drop" in k and v not in (0, None)}
    assert not left


def test_without_dropout_leaves_none_and_reaches_sub_configurations() -> None:
    bert = without_dropout(AutoConfig.for_model("bert", classifier_dropout=None))
    assert bert.classifier_dropout is None
    clip = without_dropout(AutoConfig.for_model("clip", text_config={"attention_dropout": 0.3}))
    assert clip.text_config.attention_dropout == 0


def test_the_catalogue_and_the_checkpoint_hash_alike(tmp_path: Path) -> None:
    folder = write_config(tmp_path / "model", MINILM_CONFIG)
    assert config_hash(load_config("minilm-l6")) == config_hash(load_config(str(folder)))


def test_a_saved_checkpoint_keeps_its_hash(tmp_path: Path) -> None:
    config = load_config("gpt2")
    trained = without_dropout(config)
    trained.use_cache = False
    trained.num_labels = 7
    trained.dtype = torch.float32
    trained.save_pretrained(tmp_path)
    assert config_hash(load_config(str(tmp_path))) == config_hash(config)


@pytest.mark.parametrize(
    ("name", "published"),
    [
        # keys of the published files that transformers no longer reads, and of other uses
        ("gpt2", {"n_ctx": 1024, "task_specific_params": {}, "bos_token_id": 50256}),
        ("bloom-560m", {"pretraining_tp": 4, "seq_length": 2048, "masked_softmax_fusion": True}),
        ("gemma-3-1b", {"_sliding_window_pattern": 6, "initializer_range": 0.02}),
    ],
)
def test_leftovers_of_a_checkpoint_do_not_count(
    tmp_path: Path, name: str, published: dict[str, object]
) -> None:
    entry = find_model(name)
    assert entry is not None
    folder = write_config(tmp_path / "model", entry.architecture | published)
    assert config_hash(load_config(str(folder))) == config_hash(load_config(name))


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [("deberta-v3-base", "position_buckets", 128), ("qwen3-30b-a3b", "head_dim", 64)],
)
def test_what_a_model_reads_counts_though_its_class_does_not_declare_it(
    name: str, key: str, value: int
) -> None:
    config = load_config(name)
    setattr(config, key, value)
    assert config_hash(config) != config_hash(load_config(name))


def test_entries_share_no_state() -> None:
    load_config("llama-3.2-1b").rope_parameters["factor"] = 1.0
    assert load_config("llama-3.2-1b").rope_parameters["factor"] == 32.0
    assert load_config("llama-3.2-3b").rope_parameters["factor"] == 32.0


def test_hashes_tell_architectures_apart() -> None:
    hashes = {config_hash(load_config(name)) for name in model_names()}
    assert len(hashes) == len(model_names())
    deeper = load_config("bert-base")
    deeper.num_hidden_layers = 13
    assert config_hash(deeper) not in hashes


def test_a_checkpoint_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    folder = write_config(tmp_path / "model", MINILM_CONFIG)
    with pytest.raises(MissingFileError) as raised:
        checkpoint_folder(str(folder))
    assert "*.safetensors" in raised.value.message
    (folder / "model.safetensors").write_bytes(b"")
    assert checkpoint_folder(str(folder)) == folder


def test_an_entry_without_weights_asks_for_a_folder() -> None:
    with pytest.raises(MissingFileError) as raised:
        checkpoint_folder("gpt2")
    assert "gpt2" in raised.value.message
    assert "local checkpoint folder" in raised.value.hint


def test_a_hub_checkpoint_that_cannot_be_reached() -> None:
    with pytest.raises(DownloadError, match="hub can't be reached"):
        checkpoint_folder("some-org/some-model")


def test_a_hub_id_whose_architecture_is_known() -> None:
    with pytest.raises(DownloadError) as caught:
        load_config("Qwen/Qwen2.5-0.5B")
    assert caught.value.hint.endswith("a catalogue name: qwen2.5-0.5b")


@pytest.mark.slow
def test_the_pinned_checkpoint_is_the_catalogue_model() -> None:
    folder = checkpoint_folder("minilm-l6")
    assert config_hash(load_config(str(folder))) == config_hash(load_config("minilm-l6"))
    model = AutoModel.from_pretrained(folder, use_safetensors=True, local_files_only=True)
    assert sum(p.numel() for p in model.parameters()) == 22_713_216
