"""A small plan, a small data set and a run of both."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from flexp.catalog.files import content_hash
from flexp.catalog.models.entry import config_hash, load_config
from flexp.planner.plan import ClientPlan, ObjectiveResult, Plan, Prediction, ServerPlan
from flexp.profiler.profile import ProfileSettings
from flexp.runtime.data import Row, TextData
from flexp.runtime.observer import Observer
from flexp.runtime.records import StepRecord, Summary, TrainSettings
from flexp.runtime.train import train
from torch import Tensor

CLIENTS = ("ada", "bo.2", "cy")
STEPS = 5


def text_data() -> TextData:
    """Three classes told apart by their words; every row belongs to a client."""
    rows = []
    for number in range(72):
        label = number % 3
        words = " ".join(f"w{label * 20 + (number * 7 + k) % 20}" for k in range(3 + number % 5))
        split = "test" if number % 6 >= 4 else "train"
        client = CLIENTS[number // 6 % 3]
        rows.append(Row(text=words, label=f"class-{label}", client=client, split=split))
    names = {f"class-{label}": f"w{label * 20} w{label * 20 + 1}" for label in range(3)}
    return TextData(name="toy", rows=tuple(rows), class_names=names)


def small_plan(
    model: Path,
    *,
    server_side: str = "shared",
    codec: str = "fp32",
    targets: tuple[str, ...] = (),
) -> Plan:
    """Depths 1, 2 and 3 of 4, the deeper the slower."""
    clients = tuple(
        ClientPlan(
            name=name,
            device="laptop",
            link="lan",
            server="server",
            depth=depth,
            codec=codec,
            batch=4,
            steps=STEPS,
            deepest=3,
            memory_limit_bytes=2**31,
            predicted=Prediction(
                peak_memory_bytes=2**30,
                up_bytes_per_step=10_000,
                down_bytes_per_step=10_000,
                device_seconds=0.1 * depth,
                wire_seconds=0.01,
                server_seconds=0.01,
                hidden_seconds=0.0,
                wait_seconds=0.0,
                step_seconds=0.1 * depth + 0.02,
                p50_step_seconds=0.1 * depth + 0.02,
                p95_step_seconds=0.2 * depth,
            ),
        )
        for depth, name in enumerate(CLIENTS, 1)
    )
    return Plan(
        model=str(model),
        config_hash=config_hash(load_config(str(model))),
        profile_hashes={4: "0" * 64},
        fleet="toy",
        fleet_hash="0" * 64,
        blocks=4,
        settings=ProfileSettings(labels=3, batch=4, length=16, lora_rank=4, lora_targets=targets),
        steps_per_client=STEPS,
        server_side=server_side,
        strategy="optimized",
        objectives=(
            ObjectiveResult(
                name="total", unit="s", value=0.66, bound=0.66, gap=0.0, status="optimal"
            ),
        ),
        bottleneck="cy",
        servers=(
            ServerPlan(
                name="server",
                device="server",
                accelerators=1,
                clients=3,
                peak_memory_bytes=2**30,
                memory_limit_bytes=2**32,
                utilisation=0.1,
                link_utilisation=0.1,
                utilisation_limit=0.6,
            ),
        ),
        clients=clients,
    )


def with_depths(plan: Plan, *depths: int, tops: tuple[int, ...] = (0, 0, 0)) -> Plan:
    """The plan with other depths, in the order of CLIENTS; each step then takes longer or less."""
    clients = []
    for entry, depth, top in zip(plan.clients, depths, tops, strict=True):
        cost = entry.predicted.model_copy(update={"step_seconds": 0.1 * (depth + top) + 0.02})
        update = {"depth": depth, "top": top, "predicted": cost}
        clients.append(entry.model_copy(update=update))
    return plan.model_copy(update={"clients": tuple(clients)})


def with_rounds(plan: Plan, rounds: int) -> Plan:
    clients = tuple(entry.model_copy(update={"steps": rounds}) for entry in plan.clients)
    return plan.model_copy(update={"steps_per_client": rounds, "clients": clients})


def settings_for(plan: Plan, **changes: Any) -> TrainSettings:
    return TrainSettings(
        **{
            "plan_hash": content_hash(plan),
            "data": "toy",
            "data_hash": text_data().fingerprint(),
            "model": plan.model,
            "steps": plan.steps_per_client,
            "learning_rate": 1e-2,
            "checkpoint_every": 4,
            **changes,
        }
    )


class Recorder:
    """An observer that keeps what it saw; it may ask to stop, or crash, after a number of steps."""

    def __init__(self, stop_after: int | None = None, crash_after: int | None = None) -> None:
        self.records: list[StepRecord] = []
        self.notes: list[str] = []
        self.stop_after, self.crash_after = stop_after, crash_after

    def stepped(self, record: StepRecord, total: int) -> None:
        self.records.append(record)
        if len(self.records) == self.crash_after:
            raise OSError("power cut")

    def observer(self) -> Observer:
        return Observer(
            note=self.notes.append,
            fetch=lambda what, done, total: None,
            begun=lambda start: None,
            evaluated=lambda when, done, total: None,
            stepped=self.stepped,
            should_stop=lambda: (
                self.stop_after is not None and len(self.records) >= self.stop_after
            ),
        )


def run(
    plan: Plan,
    folder: Path,
    *,
    stop_after: int | None = None,
    crash_after: int | None = None,
    resume: bool = False,
    notes: list[str] | None = None,
    adapter_upload: bool = False,
    **changes: Any,
) -> Summary | None:
    recorder = Recorder(stop_after, crash_after)
    if notes is not None:
        recorder.notes = notes
    settings = settings_for(plan, **changes)
    return train(
        plan,
        settings,
        text_data(),
        folder,
        recorder.observer(),
        resume=resume,
        adapter_upload=adapter_upload,
    )


def weights(folder: Path) -> dict[str, Tensor]:
    """All that the clients take away from a run."""
    return {
        f"{file.parent.name}/{name}": tensor
        for file in sorted(folder.glob("clients/*/*.safetensors"))
        for name, tensor in safetensors.torch.load_file(file).items()
    }


def assert_same_end(one: Path, other: Path) -> None:
    """The same weights to the last bit, and the same metrics."""
    expected, got = weights(one), weights(other)
    assert expected.keys() == got.keys() and expected
    assert [name for name in expected if not torch.equal(expected[name], got[name])] == []
    assert metrics(one) == metrics(other)


CLOCK = ("waiting_seconds", "step_seconds")
"""What no two runs have in common."""


def metrics(folder: Path) -> list[dict[str, Any]]:
    """The whole lines of metrics.jsonl, without what the clock says."""
    path = folder / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    records = [json.loads(line) for line in lines if line.endswith("\n")]
    return [{k: v for k, v in r.items() if k not in CLOCK} for r in records]


def write_csv(path: Path) -> None:
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["text", "label", "client", "split"])
        table.writerows([row.text, row.label, row.client, row.split] for row in text_data().rows)
