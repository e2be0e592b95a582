"""flexp profile beside other counters of FLOPs: seconds, memory and forward FLOPs, in one run.

    python benchmarks/profile.py                              every tool on every model
    python benchmarks/profile.py -m gpt2 -t flexp -t fvcore   some of them
    python benchmarks/profile.py --repeats 3                  the fastest of three
    python benchmarks/profile.py --zoo                          flexp on the whole catalogue

Each measurement is a process of its own with one thread. Its clock and memory start once torch,
transformers, the model's class and the tool are imported. A tool that reads a model gets it with
random weights where they fit, else on torch's meta device (shapes without data). What takes too
long or too much memory is ended and said to be so. The tables are markdown.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

if __name__ == "profile":  # this folder's scripts, and cProfile, mean the standard library's
    sys.path.remove(str(Path(__file__).parent))
    del sys.modules[__name__]
    importlib.import_module(__name__)

import argparse
import contextlib
import json
import logging
import os
import subprocess
import time
from collections.abc import Callable
from functools import cache
from statistics import median
from typing import Any, NamedTuple

import psutil
from flexp.catalog.models.entry import model_names
from flexp.catalog.units import format_bytes
from flexp.profiler.limits import usable_memory
from flexp.profiler.profile import ProfileSettings

MODELS = ("bert-base", "vit-base", "gpt2", "qwen2.5-0.5b", "llama-3.2-1b", "llama-3-70b")
BATCH, LENGTH = 1, 128
LIMIT_SECONDS = 60.0
USABLE_SHARE = 0.8
"""Of the memory that is free: what a measurement may take."""
WATCH_SECONDS = 0.02


class Cell(NamedTuple):
    """One tool on one model."""

    weights: str
    """"real", "meta", or "none" for a tool that builds its own model."""
    build_seconds: float = 0.0
    """Building the model that the tool reads."""
    seconds: float = 0.0
    processor_seconds: float = 0.0
    """As `seconds`, of the processor's own: other programs hardly show in it."""
    peak_bytes: int = 0
    forward_flops: int = 0
    second_flops: int = 0
    """fvcore's count, made after the clock has stopped (--zoo)."""
    problem: str = ""
    """Why there are no figures."""


@cache
def settings_of(model: str) -> ProfileSettings:
    """Full training of a decoder as a language model, of all others as a classifier."""
    import transformers
    from flexp.catalog.models.entry import load_config

    kind = type(load_config(model))
    decodes = kind in transformers.AutoModelForCausalLM._model_mapping
    encodes = kind in transformers.AutoModelForMaskedLM._model_mapping
    task = "causal-lm" if decodes and not encodes else "classification"
    fields = {"task": task, "method": "full", "batch": BATCH, "length": LENGTH}
    return ProfileSettings.model_validate(fields)


def run_flexp(model: str) -> int:
    """Forward and backward FLOPs and the memory of every unit."""
    from flexp.profiler.measure import profile_model

    return sum(unit.forward_flops for unit in profile_model(model, settings_of(model)).units)


def run_verify(model: str) -> int:
    """The same, and fvcore's count beside it, which is returned."""
    from flexp.profiler.measure import profile_model
    from flexp.profiler.verify import verify_model

    return verify_model(profile_model(model, settings_of(model))).forward_flops


def run_fake(model: str) -> int:
    """torch's own counter on the whole model of fake tensors."""
    import torch
    from flexp.catalog.models.build import build_model
    from flexp.catalog.models.entry import load_config
    from flexp.profiler.fake import fake_tensors, make_fake, training_batch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        task_model = build_model(load_config(model), settings_of(model))
    with fake_tensors(), torch.no_grad(), FlopCounterMode(display=False) as counter:
        make_fake(task_model)
        task_model(training_batch(task_model, settings_of(model))[0])
    return int(counter.get_total_flops())


def run_fvcore(model: Any, tensors: list[Any]) -> int:
    from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(model, tuple(tensors))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    return 2 * int(analysis.tracer_warnings("none").total())


def run_calflops(model: Any, tensors: list[Any]) -> int:
    from calflops import calculate_flops

    found = calculate_flops(model, args=tensors, print_results=False, output_as_string=False)
    return int(found[0])


def run_torchinfo(model: Any, tensors: list[Any]) -> int:
    from torchinfo import summary

    found = summary(model, input_data=tensors, verbose=0, device=tensors[0].device)
    return 2 * int(found.total_mult_adds)


BY_NAME = {"flexp": run_flexp, "flexp --verify": run_verify, "FakeTensor": run_fake}
BY_MODEL = {"fvcore": run_fvcore, "calflops": run_calflops, "torchinfo": run_torchinfo}
PACKAGES = {"flexp --verify": "fvcore", **{tool: tool for tool in BY_MODEL}}
IMPORTS = ("torch", "transformers", "flexp.profiler.measure", "flexp.profiler.verify")


def measure(tool: str, model: str, weights: str) -> Cell:
    """In this process, once; its imports come first."""
    package = PACKAGES.get(tool, "torch")
    for name in (*IMPORTS, "fvcore.nn" if package == "fvcore" else package):
        importlib.import_module(name)
    import torch
    import transformers
    from flexp.catalog.models.build import build_model
    from flexp.catalog.models.entry import load_config
    from flexp.profiler.fake import training_batch
    from flexp.profiler.process_memory import peak_resident_bytes, resident_bytes

    logging.disable(logging.WARNING)
    config, settings = load_config(model), settings_of(model)
    lm = settings.task == "causal-lm"
    auto = transformers.AutoModelForCausalLM if lm else transformers.AutoModel
    auto._model_mapping[type(config)]  # imports the model's class

    class ByPosition(torch.nn.Module):
        """Takes tensors by position, as every tool can give them."""

        def __init__(self, task_model: Any, names: list[str]) -> None:
            super().__init__()
            self.model, self.names = task_model, names

        def forward(self, *tensors: Any) -> Any:
            return self.model(dict(zip(self.names, tensors, strict=True)))

    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak starts anew
    before_bytes, start = resident_bytes(), time.perf_counter()
    processor_start = time.process_time()
    if tool in BY_NAME:
        built, flops = start, BY_NAME[tool](model)
    else:
        with torch.device("meta" if weights == "meta" else "cpu"):
            task_model = build_model(config, settings).eval()
            inputs, _ = training_batch(task_model, settings)
        built, processor_start = time.perf_counter(), time.process_time()
        with torch.no_grad():
            flops = BY_MODEL[tool](ByPosition(task_model, list(inputs)), list(inputs.values()))
    end, processor_seconds = time.perf_counter(), time.process_time() - processor_start
    peak_bytes = peak_resident_bytes() - before_bytes
    return Cell(weights, built - start, end - built, processor_seconds, peak_bytes, flops)


def watched(tool: str, model: str, weights: str, limit_bytes: int, *options: str) -> Cell:
    """`measure` in a process of its own, ended where it goes over a limit."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--one", tool, model, weights, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    start, over = time.monotonic(), ""
    while process.poll() is None and not over:
        time.sleep(WATCH_SECONDS)
        with contextlib.suppress(psutil.Error):
            if psutil.Process(process.pid).memory_info().rss > limit_bytes:
                over = f"over {format_bytes(limit_bytes)}"
        if time.monotonic() - start > LIMIT_SECONDS:
            over = f"over {LIMIT_SECONDS:.0f} s"
    process.kill()
    printed, complaints = process.communicate()
    if not over and process.returncode == 0:
        return Cell(**json.loads(printed.splitlines()[-1]))
    return Cell(weights, problem=over or reason(tool, weights, complaints.splitlines()))


def reason(tool: str, weights: str, complaints: list[str]) -> str:
    """Why a measurement failed: the first error of its chain."""
    lines = [line for line in complaints if line.partition(": ")[0].endswith("Error")]
    error = (lines or complaints or ["killed"])[0]
    if error.startswith("ModuleNotFoundError") and tool in PACKAGES:
        return f"not installed: pip install {PACKAGES[tool]}"
    return f"{tool} fails on {weights} tensors: {error}"


def fastest(tool: str, model: str, repeats: int, limit_bytes: int) -> Cell:
    from flexp.profiler.cache import cached_profile

    units = cached_profile(model, settings_of(model)).units
    fits = sum(unit.parameter_bytes for unit in units) < limit_bytes
    weights = "none" if tool in BY_NAME else "real" if fits else "meta"
    cells = [watched(tool, model, weights, limit_bytes)]
    while len(cells) < repeats and not cells[-1].problem:
        cells.append(watched(tool, model, weights, limit_bytes))
    return min(cells, key=lambda cell: (not cell.problem, cell.build_seconds + cell.seconds))


def print_tables(cells: dict[str, dict[str, Cell]]) -> None:
    """Seconds, memory and FLOPs, a row for each tool; then why figures are missing."""
    models, notes = list(next(iter(cells.values()))), {}
    own = {model: cell.forward_flops for model, cell in cells.get("flexp", {}).items()}
    shown: dict[str, Callable[[str, Cell], str]] = {
        "seconds": lambda _, cell: f"{cell.build_seconds:.2f} + {cell.seconds:.2f}".removeprefix(
            "0.00 + "
        ),
        "peak memory": lambda _, cell: format_bytes(cell.peak_bytes),
        "forward FLOPs / flexp": lambda model, cell: (
            f"{cell.forward_flops / own[model]:.4f}" if own.get(model) else "unknown"
        ),
    }
    for title, show in shown.items():
        print(f"\n| {title} | {' | '.join(models)} |\n|---|{'---|' * len(models)}")
        for tool, row in cells.items():
            texts = [
                f"({notes.setdefault(cell.problem, len(notes) + 1)})"
                if cell.problem
                else show(model, cell) + " (meta)" * (cell.weights == "meta")
                for model, cell in row.items()
            ]
            print(f"| {tool} | {' | '.join(texts)} |")
    print("", *(f"({number}) {problem}" for problem, number in notes.items()), sep="\n")


def print_zoo(limit_bytes: int) -> None:
    """A row for each model of the catalogue, and the worst of all."""
    print("\n| model | seconds | of the processor | peak memory | FLOPs / fvcore's |")
    print("|---|---|---|---|---|")
    rows: list[tuple[float, float, int, float]] = []
    for model in model_names():
        own = watched("flexp", model, "none", limit_bytes, "--zoo")
        if own.problem:
            print(f"| {model} | {own.problem} | | | |", flush=True)
            continue
        ratio = own.forward_flops / own.second_flops
        rows.append((own.seconds, own.processor_seconds, own.peak_bytes, ratio))
        times = f"{own.seconds:.2f} | {own.processor_seconds:.2f}"
        print(f"| {model} | {times} | {format_bytes(own.peak_bytes)} | {ratio:.4f} |", flush=True)
    seconds, processor, peaks, ratios = zip(*rows, strict=True)
    print(
        f"\n{len(rows)} models: at most {max(seconds):.2f} s, {max(processor):.2f} s of the "
        f"processor, {format_bytes(max(peaks))}; medians {median(seconds):.2f} s, "
        f"{median(processor):.2f} s; ratios {min(ratios):.4f} to {max(ratios):.4f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=Path(__file__).name)
    parser.add_argument("-m", "--model", action="append", choices=model_names(), metavar="NAME")
    parser.add_argument("-t", "--tool", action="append", choices=[*BY_NAME, *BY_MODEL])
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--zoo", action="store_true")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        cell = measure(*given.one)
        if given.zoo:
            cell = cell._replace(second_flops=run_verify(given.one[1]))
        print(json.dumps(cell._asdict()))
        return
    limit_bytes = int(USABLE_SHARE * usable_memory().usable_bytes)
    limits = f"{LIMIT_SECONDS:.0f} s, {format_bytes(limit_bytes)}"
    busy = f"{psutil.cpu_count()} CPUs, load average {psutil.getloadavg()[0]:.1f}"
    print(f"batch {BATCH}, length {LENGTH}; limits {limits}; {busy}")
    if given.zoo:
        print_zoo(limit_bytes)
        return
    cells: dict[str, dict[str, Cell]] = {}
    for model in given.model or MODELS:
        for tool in given.tool or [*BY_NAME, *BY_MODEL]:
            print(f"{model}: {tool}", file=sys.stderr, flush=True)
            cells.setdefault(tool, {})[model] = fastest(tool, model, given.repeats, limit_bytes)
    print_tables(cells)


if __name__ == "__main__":
    main()
