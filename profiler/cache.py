"""Profiles kept between runs. A profile that is there is read without torch or transformers."""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from ..catalog.cache import cache_folder
from ..catalog.files import write_contract
from ..catalog.models.entry import find_model
from .profile import Profile, ProfileSettings

PROFILER_VERSION = 2
"""Raise it when the profile of the same configuration and settings comes out differently."""


def cached_profile(model: str, settings: ProfileSettings, verify: bool = False) -> Profile:
    """The profile of a catalogue name, a checkpoint folder or a hub id; with `verify`, its FLOPs
    counted a second time. Raises as `profile_model` and `verify_model`.

    Kept by content: the configuration, the settings and the versions of what computes it. A file
    that can't be read is replaced; one without a second count by the fvcore that is installed gets
    it when it is asked for. Hub ids are profiled anew, for what they name can change.
    """
    path = _path(model, settings)
    kept = _read(path)
    profile = kept.model_copy(update={"model": model}) if kept else _profile(model, settings)
    if verify and not _is_verified(profile):
        profile = _verified(profile)
    if path is not None and (kept is None or profile.verification != kept.verification):
        with suppress(OSError):  # a cache that can't be written costs time, not the profile
            write_contract(profile, path)
    return profile if verify else profile.model_copy(update={"verification": None})


def _path(model: str, settings: ProfileSettings) -> Path | None:
    configuration = _configuration(model)
    if configuration is None:
        return None
    return cache_folder() / "profiles" / f"{_key(configuration, settings)}.json"


def _read(path: Path | None) -> Profile | None:
    if path is not None:
        with suppress(OSError, ValueError):
            return Profile.model_validate_json(path.read_bytes())
    return None


def _profile(model: str, settings: ProfileSettings) -> Profile:
    from .measure import profile_model

    return profile_model(model, settings)


def _is_verified(profile: Profile) -> bool:
    check = profile.verification
    return check is not None and check.version == version(check.counter)


def _verified(profile: Profile) -> Profile:
    from .verify import verify_model

    return profile.model_copy(update={"verification": verify_model(profile)})


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


def version(package: str) -> str:
    """What is installed of `package`. As importlib's own, which parses its whole description for
    that: a hundredth of the time that a plan of tens of devices takes."""
    text = metadata.distribution(package).read_text("METADATA") or ""
    found = re.search(r"^Version: *(\S+)$", text, re.MULTILINE)
    return found[1] if found else metadata.version(package)
