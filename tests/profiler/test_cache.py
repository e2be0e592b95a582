from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from flexp.catalog.files import dump_json
from flexp.errors import UnknownNameError
from flexp.profiler import cache, measure, verify
from flexp.profiler.cache import cached_profile
from flexp.profiler.profile import FlopsCheck, Profile, ProfileSettings

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


def test_versions_are_importlibs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, file in (("dist", "METADATA"), ("egg", "PKG-INFO")):
        folder = tmp_path / f"{kind}_made-1.5.{kind}-info"
        folder.mkdir()
        text = f"Metadata-Version: 2.1\nName: {kind}-made\nVersion: 1.5+cpu\n\nVersion: 2\n"
        (folder / file).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    assert (cache.version("dist-made"), cache.version("egg-made")) == ("1.5+cpu", "1.5+cpu")
    for package in ("torch", "transformers", "peft"):
        assert cache.version(package) == metadata.version(package)
    with pytest.raises(metadata.PackageNotFoundError):
        cache.version("no-such-package")


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


def test_reading_imports_none_of_what_computes(folder: Path) -> None:
    first = cached_profile(str(folder), SETTINGS, verify=True)
    script = (
        "import sys\n"
        "from flexp.profiler.cache import cached_profile\n"
        "from flexp.profiler.profile import ProfileSettings\n"
        "settings = ProfileSettings(batch=1, length=8)\n"
        f"profile = cached_profile({str(folder)!r}, settings, verify=True)\n"
        "print(profile.config_hash)\n"
        "print(sorted({'torch', 'transformers', 'peft', 'fvcore'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines() == [first.config_hash, "[]"], done.stderr


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models whose FLOPs were counted a second time."""
    models: list[str] = []

    def verify_model(profile: Profile) -> FlopsCheck:
        models.append(profile.model)
        return original(profile)

    original = verify.verify_model
    monkeypatch.setattr(verify, "verify_model", verify_model)
    return models


def test_a_kept_profile_without_a_second_count_gets_it(
    folder: Path, computed: list[str], verified: list[str]
) -> None:
    bare = cached_profile(str(folder), SETTINGS)
    assert bare.verification is None
    first = cached_profile(str(folder), SETTINGS, verify=True)
    assert first.verification is not None
    assert first.model_copy(update={"verification": None}) == bare
    assert [path.read_text() for path in kept(folder)] == [dump_json(first)]
    assert cached_profile(str(folder), SETTINGS, verify=True) == first
    assert computed == verified == [str(folder)]


def test_what_is_kept_does_not_change_what_was_asked_for(folder: Path, computed: list[str]) -> None:
    """A plan holds its profile's hash: it must not depend on what others asked for before."""
    verified = cached_profile(str(folder), SETTINGS, verify=True)
    bare = cached_profile(str(folder), SETTINGS)
    assert bare.verification is None
    assert [path.read_text() for path in kept(folder)] == [dump_json(verified)]
    assert computed == [str(folder)]


def test_another_counter_counts_anew(
    folder: Path, computed: list[str], verified: list[str]
) -> None:
    first = cached_profile(str(folder), SETTINGS, verify=True)
    assert first.verification is not None
    [path] = kept(folder)
    old = first.verification.model_copy(update={"version": "0.0"})
    path.write_text(dump_json(first.model_copy(update={"verification": old})))
    assert cached_profile(str(folder), SETTINGS, verify=True) == first
    assert path.read_text() == dump_json(first)
    assert (len(computed), len(verified)) == (1, 2)
