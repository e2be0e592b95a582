"""Files as contracts: pydantic models read from YAML or JSON, with errors that name the line."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from ..errors import FieldError, MissingFileError, SyntaxFileError
from .lines import line_of


class Contract(BaseModel):
    """A frozen record that refuses unknown keys; every file format of flexp is one."""

    model_config = ConfigDict(extra="forbid", frozen=True)


C = TypeVar("C", bound=Contract)


def read_mapping(path: Path) -> dict[str, Any]:
    """The top-level mapping of a YAML or JSON file.

    Raises MissingFileError, or SyntaxFileError with the line of the first mistake.
    """
    if not path.is_file():
        raise MissingFileError(path)
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        if path.suffix == ".json":
            data = json.loads(text)
        else:
            data = yaml.load(text, Loader=yaml.CSafeLoader)
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


def read_contract(contract: type[C], path: Path) -> C:
    """`path` as a `contract`; raises FieldError naming file, line, field and value found."""
    data = read_mapping(path)
    try:
        return contract.model_validate(data)
    except ValidationError as error:
        raise _field_error(path, data, error) from error


def _field_error(path: Path, data: dict[str, Any], error: ValidationError) -> FieldError:
    problems = []
    for item in error.errors():
        location = _without_tags(item["loc"], data, item["type"] == "missing")
        in_union = len(location) < len(item["loc"])
        if in_union and item["type"] == "string_type" and isinstance(item["input"], dict):
            continue  # a name or a record is allowed, and this record has its own problems
        if item["type"] == "too_short" and len(item["input"]) >= item["ctx"]["min_length"]:
            continue  # its items have problems of their own, said above
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            message = "unknown key"
        line = line_of(path, location)
        found = "" if item["type"] == "missing" else f", found {_short(item['input'])}"
        field = ".".join(str(part) for part in location) or "file"
        problems.append(f"{path}:{line}: {field}: {message}{found}")
    return FieldError("\n".join(problems), "`flexp schema` prints what each file may hold")


def _without_tags(location: tuple[Any, ...], data: Any, missing: bool) -> tuple[Any, ...]:
    """`location` without the parts that pydantic adds for the members of a union."""
    kept = []
    for index, part in enumerate(location):
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            if not missing or index < len(location) - 1:
                continue
        kept.append(part)
    return tuple(kept)


def _short(value: object, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def dump_json(contract: BaseModel) -> str:
    return contract.model_dump_json(indent=2) + "\n"


def dump_yaml(contract: BaseModel, exclude_none: bool = True) -> str:
    data = contract.model_dump(mode="json", exclude_none=exclude_none)
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)


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
    canonical = json.dumps(contract.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
