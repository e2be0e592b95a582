"""A tiny BERT, its settings, and a probe's report."""

from __future__ import annotations

from flexp.profiler.disk_speed import DiskReport
from flexp.profiler.power import PowerReport
from flexp.profiler.probe_report import BlockTiming, ProbeReport
from flexp.profiler.profile import ProfileSettings

MIB = 2**20
QUIET = PowerReport(battery_percent=None, on_battery=None, saving=None)
DISK = DiskReport(
    folder="/cache",
    free_bytes=MIB,
    file_bytes=0,
    write_bytes_per_second=None,
    read_bytes_per_second=None,
)
HIDDEN, INNER, BATCH, LENGTH, RANK = 32, 64, 4, 8, 2
TINY_BERT = {
    "model_type": "bert",
    "vocab_size": 5000,
    "hidden_size": HIDDEN,
    "intermediate_size": INNER,
    "num_attention_heads": 2,
    "num_hidden_layers": 3,
    "max_position_embeddings": 64,
}
TINY_VIT = {
    "model_type": "vit",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
}


def settings(method: str = "lora", **other: object) -> ProfileSettings:
    given = {"method": method, "batch": BATCH, "length": LENGTH, "lora_rank": RANK, **other}
    return ProfileSettings.model_validate(given)


def report(**changes: object) -> ProbeReport:
    timing = {"block": 0, "alike": 3, "length": LENGTH, "batch": 2, "step_flops": 600, "steps": 3}
    seconds = {"min_seconds": 1.0, "median_seconds": 2.0}
    good = {
        "machine": "here",
        "date": "2026-11-01",
        "model": "tiny",
        "settings": settings(),
        "cores": 1.5,
        "threads": 1,
        "ram_bytes": 1000 * MIB,
        "usable_memory_bytes": 900 * MIB,
        "memory_limit": "memory available now",
        "load_average": None,
        "machine_cores": 2,
        "other_cores": None,
        "power": QUIET,
        "accelerator": None,
        "disk": DISK,
        "timings": [BlockTiming.model_validate({**timing, **seconds})],
        "runtime_bytes": 300 * MIB,
    }
    return ProbeReport.model_validate({**good, **changes})
