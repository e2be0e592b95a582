"""The scenario file: what it may say, and errors with line and field."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from flexp.errors import FieldError, FlexpError, UnknownNameError
from flexp.runtime.scenario import CALM, RandomOutages, Scenario, read_scenario

GOOD = """\
schema_version: 1
seed: 3
slow:
  - {client: pi, device: 20, until_seconds: 2 min}
outages:
  - {client: van, from_seconds: 60 s, lasts_seconds: 30 s}
dropouts:
  - {client: pi, at_seconds: 1 h}
joins:
  - {client: van, at_seconds: 10 s}
"""


def test_a_file_with_units(tmp_path: Path) -> None:
    path = tmp_path / "bad-day.yaml"
    path.write_text(GOOD)
    pi = read_scenario(path, ("pi", "van")).of("pi")
    assert (pi.device_factor(119.0), pi.device_factor(120.0), pi.link_factor(0.0)) == (20, 1, 1)
    assert (pi.leaves_seconds, pi.joins_seconds) == (3600.0, 0)
    van = read_scenario(path, ("pi", "van")).of("van")
    assert (van.done(59.0, 2.0), van.up_again(70.0), van.joins_seconds) == (91.0, 90.0, 10.0)


@pytest.mark.parametrize(
    ("held", "instead", "error", "says"),
    [
        ("client: pi, device", "client: p, device", UnknownNameError, ["day.yaml:4", "'p'", "pi"]),
        ("device: 20", "device: 0", FieldError, ["day.yaml:4", "slow.0.device", "greater than 0"]),
        ("2 min", "0 s", FieldError, ["day.yaml:4", "until_seconds", "not after from_seconds"]),
        ("lasts_seconds: 30 s", "lasts: 3", FieldError, ["day.yaml:6", "outages.0.lasts"]),
        ("seed: 3", "seed: -3", FieldError, ["day.yaml:2", "seed", "-3"]),
        ("60 s", "60 kg", FieldError, ["day.yaml:6", "from_seconds", "60 kg"]),
    ],
)
def test_mistakes_are_named_with_line_and_field(
    tmp_path: Path, held: str, instead: str, error: type[FlexpError], says: list[str]
) -> None:
    path = tmp_path / "day.yaml"
    path.write_text(GOOD.replace(held, instead, 1))
    with pytest.raises(error) as caught:
        read_scenario(path, ("pi", "van"))
    told = caught.value.message + caught.value.hint
    assert [word for word in says if word not in told] == []


def test_random_outages_fill_their_share_of_time_and_are_a_clients_own() -> None:
    """30 s in every 90 s: a third of ten days, within 3%."""
    scenario = Scenario(random_outages=RandomOutages(every_seconds=60, lasts_seconds=30))
    ends = {name: scenario.of(name).done(0.0, 576_000.0) for name in ("pi", "van")}
    assert ends["pi"] == scenario.of("pi").done(0.0, 576_000.0) != ends["van"]
    assert np.allclose(list(ends.values()), 864_000.0, rtol=0.03)


def test_calm_is_as_planned() -> None:
    assert CALM.of("pi").done(5.0, 2.5) == 7.5
