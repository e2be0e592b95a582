"""Plans of 50 devices from the shell, as their owner waits for them.

    python benchmarks/fifty.py                       the figures of docs/benchmarks.md
    python benchmarks/fifty.py --fleets 8 --model gpt2

Fleets are drawn from the catalogue: any devices on any of the links that they usually have, some
with blocks that stay, some that may take no part, and any server or graphics card, so that some
fleets have plenty of it and others hardly enough, or not enough. Each one is planned by `flexp plan
FLEET --model MODEL --objective O` in a process of its own, with the profile in its cache; seconds
are those on the clock.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import yaml
from flexp.catalog.devices import device_types
from flexp.errors import InfeasibleError
from flexp.planner.solve import PROVEN_GAP

MODELS = ("minilm-l6", "gpt2", "smollm2-360m", "deit-small")
OBJECTIVES = ("total", "slowest", "value")
SERVERS = ("server", "gpu")
DEVICES = 50
NO_PLAN = "no plan"


def draw(seed: int) -> dict[str, Any]:
    """A fleet file."""
    rng, kinds = random.Random(seed), device_types()
    clients = [kind for kind in kinds if kind.kind not in SERVERS and kind.links]
    server = rng.choice([kind for kind in kinds if kind.kind in SERVERS])
    entries = []
    for number in range(DEVICES):
        kind = rng.choice(clients)
        entry: dict[str, Any] = {"name": f"d{number:02}", "device": kind.name}
        entry["link"] = rng.choice(kind.links)
        if rng.random() < 0.1:
            entry["min_depth"] = 2
        if rng.random() < 0.1:
            entry["optional"] = True
        entries.append(entry)
    return {
        "schema_version": 1,
        "name": f"fifty-{seed}",
        "server": {
            "device": server.name,
            "link": rng.choice(["datacentre", "ethernet-10g", "office-ethernet"]),
        },
        "clients": entries,
        "policy": {"codecs": rng.choice([["bf16"], ["bf16", "int8"], ["fp32", "bf16", "int8"]])},
    }


def plan(fleet: Path, model: str, objective: str) -> tuple[float, str]:
    """Seconds, and what came of it."""
    command = [sys.executable, "-m", "flexp", "plan", str(fleet), "--model", model]
    begin = time.perf_counter()
    ended = subprocess.run(
        [*command, "--objective", objective, "--json"], capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - begin
    if ended.returncode == InfeasibleError.exit_code:
        return seconds, NO_PLAN
    if ended.returncode:
        sys.exit(ended.stderr)
    (found,) = json.loads(ended.stdout)["objectives"][-1:]
    return seconds, "optimal" if found["gap"] <= PROVEN_GAP else f"gap {found['gap']:.1e}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--fleets", type=int, default=10)
    parser.add_argument("--model", nargs="+", default=list(MODELS))
    parser.add_argument("--objective", nargs="+", default=list(OBJECTIVES))
    parser.add_argument("-v", "--verbose", action="store_true")
    ask = parser.parse_args()
    print("| model, objective | plans | median s | 90% below | longest s | no plan | not proven |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for seed in range(ask.fleets):
            files.append(Path(folder) / f"{seed}.yaml")
            files[-1].write_text(yaml.safe_dump(draw(seed), sort_keys=False))
        for model in ask.model:
            plan(files[0], model, "total")  # the profile is in the cache from here on
            for objective in ask.objective:
                found = [plan(file, model, objective) for file in files]
                if ask.verbose:
                    for file, (seconds, outcome) in zip(files, found, strict=True):
                        print(file.stem, f"{seconds:.2f} s", outcome)
                none = sum(outcome == NO_PLAN for _, outcome in found)
                open_ = sum(outcome not in (NO_PLAN, "optimal") for _, outcome in found)
                seconds = [one for one, outcome in found if outcome != NO_PLAN]
                last = quantiles(seconds, n=10, method="inclusive")[-1]
                row = f"{model}, {objective} | {len(seconds)} | {median(seconds):.2f} | {last:.2f}"
                print(f"| {row} | {max(seconds):.2f} | {none} | {open_} |", flush=True)


if __name__ == "__main__":
    main()
