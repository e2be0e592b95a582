"""Each client alone: the whole model on the device, and no exchange."""

from __future__ import annotations

from .algorithm import Algorithm, Options


def local(options: Options) -> Algorithm:
    return Algorithm(where="device")
