"""Models by name, folder or hub id: their configurations and their checkpoints."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import (
    DownloadError,
    FieldError,
    MissingFileError,
    UnknownNameError,
    UnsupportedModelError,
)
from ..fetch import PackagePin, fetch_members
from ..files import Contract, read_contract, read_mapping
from ..progress import Progress, no_progress
from .family import check_family

if TYPE_CHECKING:
    from transformers import PretrainedConfig

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
MODELS_LISTED = "`flexp catalog models` lists them"
HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.model"]
"""Configuration, weights and tokenizer; never pickled weights."""

VOLATILE_KEYS = frozenset(
    {
        "_name_or_path",
        "architectures",
        "bos_token_id",
        "dtype",
        "eos_token_id",
        "gradient_checkpointing",
        "id2label",
        "init_std",
        "initializer_factor",
        "initializer_range",
        "label2id",
        "output_attentions",
        "output_hidden_states",
        "pretraining_tp",
        "problem_type",
        "return_dict",
        "torch_dtype",
        "transformers_version",
        "use_cache",
    }
)
"""Keys of a configuration that say how it was made, saved or is used, not what the backbone is."""
UNDECLARED_KEYS = frozenset({"head_dim", "norm_rel_ebd", "position_buckets", "share_att_key"})
"""Keys that backbones read though their configuration's class does not declare them. What else it
does not declare is left over from older versions of transformers, and is not read."""


class ModelEntry(Contract):
    architecture: dict[str, Any]
    """`model_type`, and the keys of the published config.json."""
    source: str
    licence: str
    weights: PackagePin | None = None


class _ModelFile(Contract):
    models: dict[str, ModelEntry]


@cache
def _entries() -> dict[str, ModelEntry]:
    return read_contract(_ModelFile, Path(__file__).parents[1] / "data" / "models.yaml").models


def model_names() -> list[str]:
    return sorted(_entries())


def find_model(name: str) -> ModelEntry | None:
    return _entries().get(name)


def load_config(model: str) -> PretrainedConfig:
    """The configuration of a catalogue name, else of a checkpoint folder, else of a hub id.

    A folder of the same name as a catalogue entry is meant by "./name". Raises MissingFileError,
    UnknownNameError, DownloadError, SyntaxFileError, FieldError or UnsupportedModelError.
    """
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig

    entry = find_model(model)
    if entry is not None:
        return AutoConfig.for_model(**copy.deepcopy(entry.architecture))
    folder = _local_folder(model)
    if folder is None:
        return _hub_config(model)
    file = folder / "config.json"
    model_type = read_mapping(file).get("model_type")
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True)
    except StrictDataclassError as error:
        raise FieldError(f"{file}: {' '.join(str(error).split())}") from error
    except ValueError as error:
        raise UnsupportedModelError(
            f"{file}: transformers can't read a model of the type {model_type!r}: {error}",
            "choose a model that this version of transformers knows, without custom code",
        ) from error


def _local_folder(model: str) -> Path | None:
    """The folder that `model` names, or None for a hub id.

    Raises MissingFileError, FieldError (a file) or UnknownNameError (neither path nor hub id).
    """
    path = Path(model).expanduser()
    if path.is_dir():
        return path
    if path.is_file():
        raise FieldError(f"{path}: is a file, not a checkpoint", f"give the folder: {path.parent}")
    if HUB_ID.fullmatch(model):
        return None
    if "/" in model or "\\" in model or model.startswith((".", "~")):
        raise MissingFileError(path, "a checkpoint is a folder with config.json and *.safetensors")
    check_family(model, model_names())
    raise UnknownNameError("model", model, model_names())


def _hub_config(model: str) -> PretrainedConfig:
    from huggingface_hub.errors import RepositoryNotFoundError
    from huggingface_hub.utils import logging
    from transformers import AutoConfig

    logging.set_verbosity_error()  # retries are not news: the error below says what happened
    try:
        return AutoConfig.from_pretrained(model)
    except OSError as error:
        if isinstance(error.__cause__, RepositoryNotFoundError):
            raise UnknownNameError("model", model, model_names()) from error
        check_family(model, model_names())
        raise _hub_error(model, error) from error
    except ValueError as error:
        raise UnsupportedModelError(f"{model}: {error}") from error


def _hub_error(model: str, error: Exception) -> DownloadError:
    reason = str(error).partition("\n")[0]
    same = [name for name, entry in _entries().items() if f"/{model}/blob/" in entry.source]
    return DownloadError(
        f"{model}: no such folder here, and the model hub can't be reached: {reason}",
        f"give a local checkpoint folder, or a catalogue name: {', '.join(same) or MODELS_LISTED}",
    )


def without_dropout(config: PretrainedConfig) -> PretrainedConfig:
    """A copy in which every dropout and layer-drop probability is 0, sub-configurations included.

    flexp trains so: a step that is repeated after a lost connection must give the same result.
    """
    config = copy.deepcopy(config)
    _drop_nothing(config)
    return config


def _drop_nothing(config: PretrainedConfig) -> None:
    from transformers import PretrainedConfig

    for key, value in list(vars(config).items()):
        if isinstance(value, PretrainedConfig):
            _drop_nothing(value)
        elif "drop" in key and isinstance(value, int | float) and not isinstance(value, bool):
            setattr(config, key, type(value)(0))


def config_hash(config: PretrainedConfig) -> str:
    """SHA-256 of what the configuration says of the backbone, as canonical JSON.

    Equal for a catalogue entry and its checkpoint, and for a checkpoint that flexp saved itself:
    dropout, which flexp turns off, VOLATILE_KEYS and leftovers do not count.
    """
    told = json.loads(without_dropout(config).to_json_string(use_diff=False))
    read = {"model_type", *UNDECLARED_KEYS, *(field.name for field in fields(config))}
    kept = {key: value for key, value in told.items() if key in read - VOLATILE_KEYS}
    canonical = json.dumps(kept, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def checkpoint_folder(model: str, progress: Progress = no_progress) -> Path:
    """The folder with the model's config.json, safetensors weights and tokenizer, fetched if need
    be. Raises as `load_config` does, and MissingFileError where a folder holds no weights."""
    entry = find_model(model)
    if entry is not None:
        if entry.weights is None:
            raise MissingFileError(
                f"weights of {model}",
                f"the catalogue has only its architecture (see {entry.source}); "
                "give a local checkpoint folder with --model",
            )
        return fetch_members(entry.weights, f"models/{model}", progress)
    folder = _local_folder(model)
    if folder is None:
        return _hub_checkpoint(model)
    for pattern in ("config.json", "*.safetensors"):
        if not any(folder.glob(pattern)):
            raise MissingFileError(
                folder / pattern,
                "a checkpoint folder needs config.json and safetensors weights "
                "(`save_pretrained` writes both)",
            )
    return folder


def _hub_checkpoint(model: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

    try:
        return Path(snapshot_download(model, allow_patterns=HUB_FILES))
    except RepositoryNotFoundError as error:
        raise UnknownNameError("model", model, model_names()) from error
    except (OSError, HfHubHTTPError) as error:
        raise _hub_error(model, error) from error
