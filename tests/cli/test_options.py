"""The options repeat the contract's choices and defaults, so that help starts fast: same ones."""

from __future__ import annotations

from typing import get_args

import pytest
from flexp.cli import options
from flexp.errors import FieldError
from flexp.profiler.profile import Method, Optimizer, ProfileSettings, Task

DEFAULTS = {
    "task": options.TaskOption,
    "labels": options.LabelsOption,
    "batch": options.BatchOption,
    "length": options.LengthOption,
    "method": options.MethodOption,
    "lora_rank": options.RankOption,
    "dtype": options.DtypeOption,
    "optimizer": options.OptimizerOption,
}


def test_choices_are_the_contracts() -> None:
    assert get_args(options.TaskName) == get_args(Task)
    assert get_args(options.MethodName) == get_args(Method)
    assert get_args(options.OptimizerName) == get_args(Optimizer)
    dtype = ProfileSettings.model_fields["dtype"].annotation
    assert get_args(options.DtypeName) == get_args(dtype)


@pytest.mark.parametrize("field", DEFAULTS)
def test_defaults_in_the_help_are_the_contracts(field: str) -> None:
    shown = get_args(DEFAULTS[field])[1].show_default
    assert shown == str(ProfileSettings.model_fields[field].default)


def test_every_setting_has_an_option() -> None:
    given = options.given_settings(
        "causal-lm", 3, 4, 5, "lora", 6, "query, value", "bfloat16", "sgd"
    )
    assert set(given) == set(ProfileSettings.model_fields)
    del given["labels"]
    settings = options.settings_from(given)
    assert settings.lora_targets == ("query", "value")
    assert (settings.batch, settings.length, settings.lora_rank) == (4, 5, 6)
    assert (settings.dtype, settings.optimizer) == ("bfloat16", "sgd")


def test_nothing_given_is_the_contracts_defaults() -> None:
    assert options.settings_from(options.given_settings()) == ProfileSettings()


@pytest.mark.parametrize(
    ("given", "option"),
    [
        ({"method": "full", "lora_rank": 4}, "--rank"),
        ({"method": "full", "lora_targets": ("query",)}, "--targets"),
        ({"method": "head", "lora_rank": 4}, "--rank"),
        ({"method": "head", "lora_targets": ("query",)}, "--targets"),
        ({"task": "causal-lm", "labels": 4}, "--labels"),
    ],
)
def test_an_option_without_effect_is_refused(given: dict[str, object], option: str) -> None:
    with pytest.raises(FieldError, match=f"^{option}: has no effect"):
        options.settings_from(given)
