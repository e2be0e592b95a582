"""Where downloads and computed profiles are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "FLEXP_CACHE"


def cache_folder() -> Path:
    """The folder that $FLEXP_CACHE names, else the user's cache folder; it may not exist yet."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("flexp")
