"""What a model is that is known by its name alone: "t5-small", "openai/whisper-tiny"."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress


def check_family(model: str, known: Iterable[str]) -> None:
    """Raises UnsupportedModelError, with the reason, where the name begins with a model type that
    flexp can't split. A name of a family of which some models are `known` may be a slip."""
    from transformers import AutoConfig
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    from .blocks import check_one_stack

    name = _plain(model.rpartition("/")[2])
    types = [kind for kind in CONFIG_MAPPING_NAMES if name.startswith(_plain(kind))]
    if not types:
        return
    family = max(types, key=len)
    if any(_plain(other).startswith(_plain(family)) for other in known):
        return
    with suppress(TypeError, ValueError):  # a type that can't be built without its parts
        check_one_stack(AutoConfig.for_model(family))


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")
