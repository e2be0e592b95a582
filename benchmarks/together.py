"""What a run saves where clients step together: CPU seconds of a client's step, one after the other
and all at the same time.

    python benchmarks/together.py                     8 and 32 clients of minilm-l6
    python benchmarks/together.py -n 16 -b 4 -l 64    larger batches

The plan is flexp's own for a small office of laptops, tablets and single-board computers; data and
weights are those of the quickstart. Only steps are timed, clients' part included; the two ways take
turns, and the ratio is that of the medians. The allocator is pinned, as in `flexp train`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
from flexp.catalog.files import content_hash
from flexp.planner.plan import Plan, read_plan
from flexp.profiler.allocator import pin_allocator
from flexp.runtime.data import TextData, load_data
from flexp.runtime.observer import Observer
from flexp.runtime.records import TrainSettings
from flexp.runtime.train import train

DEVICES = ("laptop-2023", "laptop-2019", "tablet-sd778g", "pi-5")
MODEL, DATA = "minilm-l6", "20newsgroups"


def plan_of(folder: Path, clients: int, batch: int, length: int, steps: int) -> Plan:
    rows = [
        f"  - {{name: client-{n}, device: {DEVICES[n % len(DEVICES)]}, link: office-ethernet}}"
        for n in range(clients)
    ]
    server = "server: {device: cpu-server, link: datacentre}"
    policy = f"policy: {{steps_per_client: {steps}, server_utilisation: 0.6}}"
    (folder / "fleet.yaml").write_text(
        "\n".join(
            ["schema_version: 1", "name: small-office", server, "clients:", *rows, policy, ""]
        )
    )
    sizes = ["--batch", str(batch), "--length", str(length)]
    words = ["plan", str(folder / "fleet.yaml"), "--model", MODEL, *sizes]
    subprocess.run(
        [sys.executable, "-m", "flexp", *words, "-o", str(folder / "plan.yaml")],
        check=True,
        capture_output=True,
    )
    return read_plan(folder / "plan.yaml").expanded()


def step_seconds(plan: Plan, data: TextData, folder: Path, together: int) -> float:
    """CPU seconds of one step of a client."""
    marks: list[float] = []

    def mark(*_: object) -> None:
        marks.append(time.process_time())

    settings = TrainSettings(
        plan_hash=content_hash(plan),
        data=DATA,
        data_hash=data.fingerprint(),
        model=MODEL,
        steps=plan.steps_per_client,
        train_samples=20,
        test_samples=1,
        partition="iid",
        checkpoint_every=10**6,
        together=together,
    )
    observer = Observer(
        note=lambda text: None,
        fetch=lambda what, done, total: None,
        begun=lambda start: None,
        evaluated=lambda when, done, total: mark() if when == "before" else None,
        stepped=mark,
        should_stop=lambda: False,
    )
    train(plan, settings, data, folder, observer)
    steps = sum(client.steps for client in plan.clients)
    return (marks[-1] - marks[-1 - steps]) / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=Path(__file__).name)
    parser.add_argument("-n", "--clients", type=int, action="append")
    parser.add_argument("-b", "--batch", type=int, default=1)
    parser.add_argument("-l", "--length", type=int, default=32)
    parser.add_argument("-s", "--steps", type=int, default=8)
    parser.add_argument("-r", "--repeats", type=int, default=3)
    given = parser.parse_args()
    pin_allocator()
    torch.set_num_threads(1)
    data = load_data(DATA, {}, lambda what, done, total: None, "classification")
    print("| clients | batch | depths | ms, one by one | ms, together | times faster |")
    print("|---|---|---|---|---|---|")
    for clients in given.clients or (8, 32):
        with TemporaryDirectory() as name:
            folder = Path(name)
            plan = plan_of(folder, clients, given.batch, given.length, given.steps)
            found: dict[int, list[float]] = {1: [], clients: []}
            for turn in range(given.repeats):
                for together, own in found.items():
                    own.append(step_seconds(plan, data, folder / f"{together}-{turn}", together))
        alone, group = (median(own) for own in found.values())
        depths = sorted({client.depth for client in plan.clients})
        print(
            f"| {clients} | {given.batch} x {given.length} | {depths[0]} to {depths[-1]} "
            f"| {1e3 * alone:.1f} | {1e3 * group:.1f} | {alone / group:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
