from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from flexp.catalog.files import dump_json
from flexp.errors import UnknownNameError
from flexp.profiler import cache, measure
from flexp.profiler.cache import cached_profile
from flexp.profiler.profile import Profile, ProfileSettings

SETTINGS = ProfileSettings(batch=1, length=8)
BERT = {
    "model_type": "bert",
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "vocab_size": 100,
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint folder with a configuration; the cache is a folder beside it."""
    monkeypatch.setenv("FLEXP_CACHE", str(tmp_path / "cache"))
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / "config.json").write_text(json.dumps(BERT))
    return checkpoint


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that were profiled and not read from the cache."""
    models: list[str] = []

    def profile_model(model: str, settings: ProfileSettings) -> Profile:
        models.append(model)
        return original(model, settings)

    original = measure.profile_model
    monkeypatch.setattr(measure, "profile_model", profile_model)
    return models


def kept(folder: Path) -> list[Path]:
    return list((folder.parent / "cache" / "profiles").iterdir())


def test_the_second_profile_is_read(folder: Path, computed: list[str]) -> None:
    first = cached_profile(str(folder), SETTINGS)
    assert cached_profile(str(folder), SETTINGS) == first
    assert computed == [str(folder)]
    assert [path.read_text() for path in kept(folder)] == [dump_json(first)]


def test_a_catalogue_name_and_a_copy_of_its_name(folder: Path, computed: list[str]) -> None:
    assert cached_profile("gpt2", SETTINGS) == cached_profile("gpt2", SETTINGS)
    assert computed == ["gpt2"]


def test_the_name_is_the_one_asked_for(folder: Path, computed: list[str]) -> None:
    cached_profile(str(folder), SETTINGS)
    moved = folder.rename(folder.parent / "moved")
    assert cached_profile(str(moved), SETTINGS).model == str(moved)
    assert computed == [str(folder)]


def test_what_is_computed_anew(
    folder: Path, computed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cached_profile(str(folder), SETTINGS)
    cached_profile(str(folder), SETTINGS.model_copy(update={"batch": 2}))
    assert len(computed) == 2
    (folder / "config.json").write_text(json.dumps({**BERT, "num_hidden_layers": 3}))
    assert cached_profile(str(folder), SETTINGS).blocks == 3
    assert len(computed) == 3
    monkeypatch.setattr(cache, "PROFILER_VERSION", cache.PROFILER_VERSION + 1)
    cached_profile(str(folder), SETTINGS)
    assert len(computed) == 4
    monkeypatch.setattr(cache, "version", lambda package: "0.0")
    cached_profile(str(folder), SETTINGS)
    assert len(computed) == len(kept(folder)) == 5


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe", b"{}", b'{"a":\t1}', b"[1]"])
def test_a_damaged_file_is_replaced(folder: Path, computed: list[str], damage: bytes) -> None:
    first = cached_profile(str(folder), SETTINGS)
    [path] = kept(folder)
    path.write_bytes(damage)
    assert cached_profile(str(folder), SETTINGS) == first
    assert len(computed) == 2
    assert kept(folder) == [path]
    assert path.read_text() == dump_json(first)


def test_a_cache_that_cannot_be_written_does_no_harm(folder: Path, computed: list[str]) -> None:
    (folder.parent / "cache").write_text("a file, where the cache's folder would be")
    assert cached_profile(str(folder), SETTINGS) == cached_profile(str(folder), SETTINGS)
    assert len(computed) == 2


def test_an_unknown_name_is_refused(folder: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown model 'no-such-model'"):
        cached_profile("no-such-model", SETTINGS)


def test_reading_needs_neither_torch_nor_transformers(folder: Path) -> None:
    first = cached_profile(str(folder), SETTINGS)
    script = (
        "import sys\n"
        "from flexp.profiler.cache import cached_profile\n"
        "from flexp.profiler.profile import ProfileSettings\n"
        f"profile = cached_profile({str(folder)!r}, ProfileSettings(batch=1, length=8))\n"
        "print(profile.config_hash)\n"
        "print(sorted({'torch', 'transformers', 'peft'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines() == [first.config_hash, "[]"], done.stderr
