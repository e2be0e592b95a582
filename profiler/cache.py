"""Profiles kept between runs. A profile that is there is read without torch or transformers."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from ..catalog.cache import cache_folder
from ..catalog.files import write_contract
from ..catalog.models.entry import find_model
from .profile import Profile, ProfileSettings

PROFILER_VERSION = 2
"""Raise it when the profile of the same configuration and settings comes out differently."""


def cached_profile(model: str, settings: ProfileSettings) -> Profile:
    """The profile of a catalogue name, a checkpoint folder or a hub id; raises as `profile_model`.

    Kept by content: the configuration, the settings and the versions of what computes it. A file
    that can't be read is replaced. Hub ids are profiled anew, for what they name can change.
    """
    configuration = _configuration(model)
    if configuration is None:
        return _profile(model, settings)
    path = cache_folder() / "profiles" / f"{_key(configuration, settings)}.json"
    with suppress(OSError, ValueError):
        kept = Profile.model_validate_json(path.read_bytes())
        return kept.model_copy(update={"model": model})
    profile = _profile(model, settings)
    with suppress(OSError):  # a cache that can't be written costs time, not the profile
        write_contract(profile, path)
    return profile


def _profile(model: str, settings: ProfileSettings) -> Profile:
    from .measure import profile_model

    return profile_model(model, settings)


def _configuration(model: str) -> bytes | None:
    """What says how the model is built: the catalogue's entry, or the folder's config.json."""
    entry = find_model(model)
    if entry is not None:
        return json.dumps(entry.architecture, sort_keys=True).encode()
    file = Path(model).expanduser() / "config.json"
    return file.read_bytes() if file.is_file() else None


def _key(configuration: bytes, settings: ProfileSettings) -> str:
    parts = {
        "configuration": hashlib.sha256(configuration).hexdigest(),
        "settings": settings.model_dump(mode="json"),
        "profiler": PROFILER_VERSION,
        **{package: version(package) for package in ("torch", "transformers", "peft")},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
