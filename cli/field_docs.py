"""What a contract's fields mean, for its JSON Schema: the texts under them in the source.

Pydantic can read these itself, but does so whenever a contract is imported, which takes as long as
to plan a small fleet.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
from collections.abc import Iterator
from typing import Any, get_args

from ..catalog.files import Contract


def describe(schema: dict[str, Any], contract: type[Contract]) -> None:
    """Adds a description to each property of a contract's schema, and of those that it refers to,
    that has none."""
    known = {model.__name__: model for model in _contracts(contract, set())}
    for name, part in {contract.__name__: schema, **schema.get("$defs", {})}.items():
        docs = _docs(known[name]) if name in known else {}
        for field, found in part.get("properties", {}).items():
            if field in docs:
                found.setdefault("description", docs[field])


def _contracts(kind: Any, seen: set[Any]) -> Iterator[type[Contract]]:
    """Those that a value of this type may be or have in it."""
    parts = get_args(kind)
    if isinstance(kind, type) and issubclass(kind, Contract):
        if kind in seen:
            return
        seen.add(kind)
        yield kind
        parts = tuple(field.annotation for field in kind.model_fields.values())
    for part in parts:
        yield from _contracts(part, seen)


def _docs(model: type[Contract]) -> dict[str, str]:
    """By field, those that it inherits as well."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, Contract):
            found |= dict(_own_docs(base))
    return found


def _own_docs(model: type[Contract]) -> Iterator[tuple[str, str]]:
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(definition, ast.ClassDef)
    for field, text in itertools.pairwise(definition.body):
        match field, text:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(doc))),
            ):
                yield name, inspect.cleandoc(doc)
