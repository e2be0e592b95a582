"""One model on the server over the rows of all clients: what privacy costs is measured by it."""

from __future__ import annotations

from .algorithm import Algorithm, Options


def central(options: Options) -> Algorithm:
    return Algorithm(where="server")
