"""Files as contracts: pydantic models read from YAML or JSON, with errors that name the line."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Hashable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from ..errors import MissingFileError, SyntaxFileError
from .field_errors import field_error
from .loaders import Loader, TextLoader


class Contract(BaseModel):
    """A frozen record that refuses unknown keys; every file format of flexp is one."""

    model_config = ConfigDict(extra="forbid", frozen=True)


C = TypeVar("C", bound=Contract)
WrittenOne = Annotated[Literal[1], BeforeValidator(lambda value: 1 if value == "1" else value)]
"""The version of a file that is read as it is written."""


def read_mapping(path: Path, *, as_written: bool = False) -> dict[str, Any]:
    """The top-level mapping of a YAML or JSON file; `as_written`: with texts in place of numbers,
    so that 0.1 is a tenth exactly and +1 keeps its sign.

    Raises MissingFileError, or SyntaxFileError with the line of the first mistake.
    """
    if not path.is_file():
        raise MissingFileError(path)
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        data = _parsed(text, path.suffix, as_written)
    except json.JSONDecodeError as error:
        raise SyntaxFileError(f"{path}:{error.lineno}: not valid JSON: {error.msg}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise SyntaxFileError(
            f"{path}{line}: not valid YAML: {problem}", "check the indentation and the colons there"
        ) from error
    if not isinstance(data, dict):
        found = type(data).__name__
        raise SyntaxFileError(f"{path}: expected a mapping (key: value), found {found}")
    return data


def _parsed(text: str, suffix: str, as_written: bool) -> object:
    if suffix == ".json":
        number = str if as_written else None
        return json.loads(text, parse_int=number, parse_float=number)
    return yaml.load(text, Loader=TextLoader if as_written else Loader)  # both are safe


def read_contract(contract: type[C], path: Path) -> C:
    """`path` as a `contract`; raises FieldError naming file, line, field and value found."""
    data = read_mapping(path)
    try:
        return contract.model_validate(data)
    except ValidationError as error:
        raise field_error(path, data, error) from error


def dump_json(contract: BaseModel) -> str:
    return contract.model_dump_json(indent=2) + "\n"


FOR_PEOPLE = "for people"
"""Context of a dump that people read: a contract may leave out what is as usual."""


class _Flow(dict[str, Any]):
    """A mapping that is written on one line: {key: value, ...}."""


class _Dumper(yaml.CSafeDumper):
    pass


_Dumper.add_representer(
    _Flow,
    lambda dumper, data: dumper.represent_mapping(
        "tag:yaml.org,2002:map", data.items(), flow_style=True
    ),
)


def _compact(value: Any, listed: bool = False) -> Any:
    """With mappings of plain values inside of a list's entries on one line."""
    if isinstance(value, list):
        return [_compact(item, isinstance(item, dict)) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _Flow(item) if listed and _plain(item) else _compact(item)
        for key, item in value.items()
    }


def _plain(value: Any) -> bool:
    return isinstance(value, dict) and not any(
        isinstance(item, dict | list) for item in value.values()
    )


def dump_yaml(contract: BaseModel, exclude_none: bool = True) -> str:
    data = contract.model_dump(mode="json", exclude_none=exclude_none, context=FOR_PEOPLE)
    compact = _compact(data)
    return yaml.dump(compact, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def write_contract(contract: BaseModel, path: Path) -> None:
    """Write as JSON or YAML by the suffix of `path`, replacing the file atomically."""
    write_atomic(path, dump_json(contract) if path.suffix == ".json" else dump_yaml(contract))


def write_atomic(path: Path, content: str | bytes) -> None:
    """Replace `path` in one step: a reader sees the old file or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def content_hash(contract: BaseModel) -> str:
    """SHA-256 of the canonical JSON: equal for equal content, whatever the file's layout."""
    if _holds_mappings(type(contract)):
        data = contract.model_dump(mode="json")
        canonical = json.dumps(data, sort_keys=True, separators=(",", ":"))
    else:
        canonical = contract.model_dump_json()
    return hashlib.sha256(canonical.encode()).hexdigest()


@cache
def _holds_mappings(kind: Hashable) -> bool:
    """Whether a value of this type may have a mapping in it, whose keys are in the file's order."""
    if kind in (Any, dict) or get_origin(kind) in (dict, Mapping):
        return True
    parts = get_args(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        parts = tuple(field.annotation for field in kind.model_fields.values())
    return any(_holds_mappings(part) for part in parts)
