from pathlib import Path
from typing import NamedTuple

import pytest
from flexp.profiler import disk_speed
from flexp.profiler.disk_speed import DiskReport, measure_disk

MIB = 2**20


class Usage(NamedTuple):
    free: int


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_speed, "LEAST_BYTES", MIB)
    monkeypatch.setattr(disk_speed, "MOST_BYTES", 3 * MIB)


def test_a_folder_is_measured_and_left_empty(tmp_path: Path) -> None:
    found = measure_disk(tmp_path)
    assert found.folder == str(tmp_path)
    assert found.notes == () or found.read_bytes_per_second is None
    assert MIB <= found.file_bytes <= 3 * MIB
    assert found.write_bytes_per_second is not None
    assert found.write_bytes_per_second.samples == disk_speed.SAMPLES
    assert found.write_bytes_per_second.min > 0
    assert list(tmp_path.iterdir()) == []
    assert DiskReport.model_validate_json(found.model_dump_json()) == found


def test_the_file_is_sized_by_the_disks_speed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 1 MiB in 0.25 s, half a second is 2 MiB."""
    sizes: list[int] = []

    def write(file: object, size: int) -> float:
        sizes.append(size)
        return size / (4 * MIB)

    monkeypatch.setattr(disk_speed, "_write", write)
    found = measure_disk(tmp_path)
    assert sizes == [MIB, 2 * MIB, 2 * MIB, 2 * MIB]
    assert found.write_bytes_per_second is not None
    assert found.write_bytes_per_second.median == 4 * MIB


def test_a_folder_that_is_not_there_yet_is_measured_where_it_will_be(tmp_path: Path) -> None:
    assert measure_disk(tmp_path / "not" / "yet").folder == str(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_not_filled_further(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_speed.shutil, "disk_usage", lambda path: Usage(free=9 * MIB))
    found = measure_disk(tmp_path)
    assert (found.free_bytes, found.file_bytes) == (9 * MIB, 0)
    assert (found.write_bytes_per_second, found.read_bytes_per_second) == (None, None)
    assert found.notes == ("its speed was not measured: 9 MiB are free",)


def test_a_disk_that_fails_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(file: object, size: int) -> float:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk_speed, "_write", fail)
    found = measure_disk(tmp_path)
    assert found.free_bytes is not None
    assert found.write_bytes_per_second is None
    assert found.notes == ("its speed could not be measured: No space left on device",)


def test_an_interrupt_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(file: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(disk_speed, "_forget", interrupt)
    with pytest.raises(KeyboardInterrupt):
        measure_disk(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_system_that_forgets_no_file_has_no_read_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_speed, "_forget", lambda file: False)
    found = measure_disk(tmp_path)
    assert found.read_bytes_per_second is None
    assert found.write_bytes_per_second is not None
    assert "read rate is unknown" in found.notes[0]
