"""Means over seeds with 95% confidence intervals, by Student's t distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import NonNegativeFloat, NonNegativeInt

from ...catalog.files import Contract

T_975 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
"""97.5% quantiles for 1 to 30 degrees of freedom (NIST/SEMATECH e-Handbook of Statistical Methods,
1.3.6.7.2). More degrees take that of 30, which is up to 4% too wide."""


class Estimate(Contract):
    """A mean over seeds."""

    mean: float
    half_width: NonNegativeFloat | None
    """Of the 95% interval; none for a single seed."""
    seeds: NonNegativeInt

    @property
    def low(self) -> float | None:
        return None if self.half_width is None else self.mean - self.half_width

    @property
    def high(self) -> float | None:
        return None if self.half_width is None else self.mean + self.half_width


def estimate(values: Sequence[float]) -> Estimate | None:
    """None without values.

    Example: 1, 2, 3 have the mean 2 and a standard error of 1/√3: 2 ± 4.303/√3 = 2 ± 2.48.
    """
    count = len(values)
    if not count:
        return None
    mean = math.fsum(values) / count
    if count == 1:
        return Estimate(mean=mean, half_width=None, seeds=1)
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    t = T_975[min(count - 1, len(T_975)) - 1]
    return Estimate(mean=mean, half_width=t * math.sqrt(variance / count), seeds=count)
