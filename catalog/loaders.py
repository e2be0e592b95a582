"""YAML as flexp reads it: libyaml's nodes become Python's mappings and lists in one pass, in the
order of the text. A key stands once in a mapping; YAML itself keeps the last of several."""

from __future__ import annotations

from typing import Any

import yaml

_PREFIX = "tag:yaml.org,2002:"
_TEXT, _MERGE = _PREFIX + "str", _PREFIX + "merge"


class _OnceEach:
    """Everything inside of a mapping or list is complete before it is, so that what is merged into
    a mapping (<<) was checked before."""

    def construct_mapping(self, node: yaml.Node, deep: bool = True) -> dict[Any, Any]:
        if not isinstance(node, yaml.MappingNode):
            return super().construct_mapping(node, deep)  # type: ignore[misc]  # it refuses
        _check_keys(node)
        merged = [value for key, value in node.value if key.tag == _MERGE]
        if merged:
            for value in merged:
                self._made(value)  # which checks its keys
            self.flatten_mapping(node)  # type: ignore[attr-defined]
        return {self._made(key): self._made(value) for key, value in node.value}

    def construct_sequence(self, node: yaml.Node, deep: bool = True) -> list[Any]:
        if not isinstance(node, yaml.SequenceNode):
            return super().construct_sequence(node, deep)  # type: ignore[misc]  # it refuses
        return [self._made(entry) for entry in node.value]

    def _made(self, node: yaml.Node) -> Any:
        if node.tag == _TEXT and isinstance(node, yaml.ScalarNode):
            return node.value  # what comes of most nodes
        return self.construct_object(node, deep=True)  # type: ignore[attr-defined]


class Loader(_OnceEach, yaml.CSafeLoader):
    """Numbers, dates and truth values by YAML's rules."""


class TextLoader(_OnceEach, yaml.CBaseLoader):
    """Every value is the text that stands there."""


for _kind, _maker in (("map", Loader.construct_mapping), ("seq", Loader.construct_sequence)):
    Loader.add_constructor(_PREFIX + _kind, _maker)  # type: ignore[type-var]


def _check_keys(mapping: yaml.MappingNode) -> None:
    keys = set()
    for key, _ in mapping.value:
        if not isinstance(key, yaml.ScalarNode):
            problem = "a list or mapping can't be a key"
        elif key.value in keys and key.value != "<<":
            problem = f"key {key.value!r} stands twice in one mapping"
        else:
            keys.add(key.value)
            continue
        raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
