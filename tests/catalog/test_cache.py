from pathlib import Path

import platformdirs
import pytest
from flexp.catalog.cache import cache_folder


def test_the_variable_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLEXP_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.setenv("FLEXP_CACHE", "~/somewhere")
    assert cache_folder() == Path.home() / "somewhere"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLEXP_CACHE", "here")
    assert cache_folder() == tmp_path / "here"


@pytest.mark.parametrize("value", [None, ""])
def test_else_the_users_cache(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    if value is None:
        monkeypatch.delenv("FLEXP_CACHE", raising=False)
    else:
        monkeypatch.setenv("FLEXP_CACHE", value)
    assert cache_folder() == Path(platformdirs.user_cache_dir("flexp"))
