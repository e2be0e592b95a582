"""The profiles that a plan is made of, by batch size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import FieldError, FlexpError, PlanError
from . import options, render

if TYPE_CHECKING:
    from ..profiler.profile import Profile

HALVINGS = 4


def profiles_of(
    paths: Sequence[Path], model: str | None, given: dict[str, object], batches: tuple[int, ...]
) -> dict[int, Profile]:
    """By batch size: those in `paths`, or those of `model`; the batch of a round first.

    Raises FieldError unless either files or a model are given, PlanError for files that do not
    belong together.
    """
    if paths and model is None:
        if given:
            raise FieldError(
                f"--profile: {paths[0]} already says what is trained; {', '.join(given)} can't "
                "change",
                "leave the other options out, or use --model in place of --profile",
            )
        return _read(paths)
    if model is not None and not paths:
        settings = options.settings_from(given)
        from ..profiler.cache import cached_profile

        sizes = dict.fromkeys((settings.batch, *batches))
        with render.late_spinner(f"profiling {model}"):
            return {
                size: cached_profile(model, settings.model_copy(update={"batch": size}))
                for size in sizes
            }
    raise FieldError(
        f"give either --profile or --model, found {'both' if paths else 'neither'}",
        "--model minilm-l6 profiles a model of the catalogue; --profile takes a file that "
        "`flexp profile MODEL -o profile.json` wrote",
    )


def smaller_profiles(profiles: Mapping[int, Profile]) -> dict[int, Profile]:
    """Of half the smallest batch, a quarter and so on, at most HALVINGS of them: where a fleet has
    no plan, a smaller batch may give one. None where the model isn't at hand any more."""
    smallest = min(profiles)
    first = profiles[smallest]
    sizes = [size for halving in range(1, HALVINGS + 1) if (size := smallest >> halving)]
    from ..profiler.cache import cached_profile

    found = {}
    with render.late_spinner(f"profiling {first.model} at smaller batches"):
        for size in sizes:
            try:
                made = cached_profile(
                    first.model, first.settings.model_copy(update={"batch": size})
                )
            except FlexpError:
                return {}
            if made.config_hash != first.config_hash:
                return {}
            found[size] = made
    return found


def _read(paths: Sequence[Path]) -> dict[int, Profile]:
    from ..catalog.files import read_contract
    from ..profiler.profile import Profile

    found: dict[int, Profile] = {}
    kinds: dict[tuple[str, str, str], Path] = {}
    for path in paths:
        profile = read_contract(Profile, path)
        settings = profile.settings
        if settings.batch in found:
            raise PlanError(
                f"{path}: batch {settings.batch} has a profile already",
                "give one --profile for each batch size",
            )
        found[settings.batch] = profile
        alike = settings.model_copy(update={"batch": 1})
        kinds.setdefault((profile.model, profile.config_hash, alike.model_dump_json()), path)
        if len(kinds) > 1:
            raise PlanError(
                f"{path} and {paths[0]} differ in more than the batch",
                "profile one model several times, with --batch alone changed",
            )
    return found
