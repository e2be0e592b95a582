"""The rules by which a type's training speed follows from its FP32 peak."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydantic import Field

from .files import Contract, read_contract


class SpeedRule(Contract):
    """The share of the FP32 peak that training sustains on machines of a family."""

    name: str
    training_share: float = Field(gt=0, le=1)
    uncertainty: float = Field(gt=0)
    """u: the true speed is expected between 1/(1 + u) and 1 + u times the figure."""
    evidence: str = Field(min_length=1)


class _RuleFile(Contract):
    rules: tuple[SpeedRule, ...]


@cache
def speed_rules() -> dict[str, SpeedRule]:
    """The rules of data/speed-rules.yaml by name."""
    file = read_contract(_RuleFile, Path(__file__).parent / "data" / "speed-rules.yaml")
    return {rule.name: rule for rule in file.rules}
