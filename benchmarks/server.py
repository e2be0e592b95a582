"""One frozen backbone for many clients: a server that batches them, beside a copy of the model for
each client and beside peft's adapter switching.

    python benchmarks/server.py                     2, 8, 32 and 128 clients
    python benchmarks/server.py -n 32 -t 2          32 clients, on two threads
    python benchmarks/server.py --width 512 -l 64   larger blocks, longer rows

Every client sends one activation and one gradient a step; the server answers both and trains the
client's own adapter (r = 8, queries and values) with AdamW. Depths are 1 to 4, in turn. All three
read and write the same messages in fp32, one client's after the other's but for the batched ones.

Each figure comes from a process of its own. A step's time is the fastest of several, by the clock
and, in brackets, by the CPU time of the process, which other programs disturb less. Memory is the
peak with the allocator pinned as on a device, beside that of the same process once a small model
was trained and dropped; pinned, large tensors cost page faults, so times are taken without.
"computed" is the backbone's weights, each client's adapters (weights, two moments, gradient),
activations as the profile gives them, and four messages: two received, two kept.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flexp.catalog.units import format_bytes

VARIANTS = ("batched", "copies", "switching")
RANK, RATE, WARM = 8, 1e-3, 2
Serve = Callable[[Sequence[bytes]], list[bytes]]


@dataclass(frozen=True, kw_only=True)
class Case:
    variant: str
    clients: int
    width: int
    blocks: int
    batch: int
    length: int
    threads: int
    repeats: int
    pinned: bool = False

    def depth(self, client: int) -> int:
        return 1 + client % 4


@dataclass(frozen=True, kw_only=True)
class Measured:
    step_seconds: float
    cpu_seconds: float
    peak_bytes: int


def config_of(case: Case) -> Any:
    import transformers

    return transformers.LlamaConfig(
        vocab_size=64,
        hidden_size=case.width,
        intermediate_size=int(2.75 * case.width) // 8 * 8,
        num_hidden_layers=case.blocks,
        num_attention_heads=case.width // 64,
        num_key_value_heads=case.width // 64,
        use_cache=False,
    )


def settings_of(case: Case) -> Any:
    from flexp.profiler.profile import ProfileSettings

    return ProfileSettings(
        method="lora", lora_rank=RANK, batch=case.batch, length=case.length, labels=2
    )


def name_of(client: int) -> str:
    return f"client-{client}"


def flexp_server(case: Case, clients: range) -> Any:
    """A server of flexp's for these clients."""
    import torch
    from flexp.catalog.models.build import bare_model
    from flexp.runtime.server import Server, ServerSettings

    torch.manual_seed(0)
    settings = ServerSettings(
        server_side="personal",
        codec="fp32",
        steps=10_000,
        learning_rate=RATE,
        lambdas=(0.0,) * case.blocks,
        rank=RANK,
        seed=0,
    )
    server = Server(bare_model(config_of(case), settings_of(case)).backbone, settings)
    for client in clients:
        server.admit(name_of(client), case.depth(client))
    return server


def batched(case: Case) -> Serve:
    return flexp_server(case, range(case.clients)).handle_all


def copies(case: Case) -> Serve:
    servers = [flexp_server(case, range(n, n + 1)) for n in range(case.clients)]
    return lambda messages: [
        server.handle(message) for server, message in zip(servers, messages, strict=True)
    ]


def switching(case: Case) -> Serve:
    """One model of peft's; before each client's pass its adapter is made the active one."""
    import torch
    import transformers
    from flexp.runtime.message import Kind, Message, decode, encode
    from flexp.runtime.middle import Middle
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config_of(case))
    names = [name_of(client) for client in range(case.clients)]
    middle = Middle(model.base_model)
    depths = {name: case.depth(client) for client, name in enumerate(names)}
    adapters = {
        name: LoraConfig(
            r=RANK,
            lora_alpha=2 * RANK,
            target_modules=["q_proj", "v_proj"],
            layers_to_transform=list(range(depth, case.blocks)),
        )
        for name, depth in depths.items()
    }
    switched = get_peft_model(model, adapters[names[0]], adapter_name=names[0])
    for name in names[1:]:
        switched.add_adapter(name, adapters[name])
    optimizers = {
        name: torch.optim.AdamW(
            [p for key, p in switched.named_parameters() if f".{name}." in key], lr=RATE
        )
        for name in names
    }
    flights: dict[str, Any] = {}

    def answer(data: bytes) -> bytes:
        message = decode(data)
        name = message.client
        switched.set_adapter(name)
        if message.kind is Kind.FORWARD:
            calls = middle.recipe(message.masks, message.shapes)
            entry = message.hidden.requires_grad_()
            output = middle.run(entry, range(depths[name], case.blocks), calls)
            flights[name] = entry, output
            kind, hidden = Kind.ACTIVATION, output
        else:
            entry, output = flights.pop(name)
            output.backward(message.hidden)
            optimizers[name].step()
            optimizers[name].zero_grad()
            kind, hidden = Kind.GRADIENT, entry.grad
        reply = Message(kind=kind, client=name, step=message.step, hidden=hidden)
        return encode(reply, "fp32")

    return lambda messages: [answer(message) for message in messages]


def messages_of(case: Case, kind: Any, step: int) -> list[bytes]:
    import torch
    from flexp.runtime.message import Kind, Message, encode

    random = torch.Generator().manual_seed(step)
    size = (case.batch, case.length)
    asking = kind is Kind.FORWARD
    return [
        encode(
            Message(
                kind=kind,
                client=name_of(client),
                step=step,
                hidden=torch.randn(*size, case.width, generator=random),
                masks={"attention_mask": torch.ones(size, dtype=torch.uint8)} if asking else {},
                shapes={"input_ids": list(size)} if asking else {},
            ),
            "fp32",
        )
        for client in range(case.clients)
    ]


def run(case: Case) -> Measured:
    """In this process, which must be a new one."""
    from flexp.profiler.allocator import pin_allocator

    if case.pinned:
        pin_allocator()
    import torch
    from flexp.profiler.process_memory import peak_resident_bytes, resident_bytes
    from flexp.runtime.message import Kind

    torch.set_num_threads(case.threads)
    make = {"batched": batched, "copies": copies, "switching": switching}[case.variant]
    small = Case(**{**asdict(case), "clients": 2, "blocks": 5})
    train(make(small), small, WARM, Kind)
    before = resident_bytes()
    clock, cpu = train(make(case), case, case.repeats + WARM, Kind)
    return Measured(
        step_seconds=min(clock[WARM:]),
        cpu_seconds=min(cpu[WARM:]),
        peak_bytes=peak_resident_bytes() - before,
    )


def train(serve: Serve, case: Case, steps: int, kinds: Any) -> tuple[list[float], list[float]]:
    clock, cpu = [], []
    for step in range(steps):
        seconds = [0.0, 0.0]
        for kind in (kinds.FORWARD, kinds.BACKWARD):
            messages = messages_of(case, kind, step)
            started, cpu_started = time.perf_counter(), time.process_time()
            answers = serve(messages)
            seconds[0] += time.perf_counter() - started
            seconds[1] += time.process_time() - cpu_started
            assert all(isinstance(answer, bytes) for answer in answers), answers
            del messages, answers
        clock.append(seconds[0])
        cpu.append(seconds[1])
    return clock, cpu


def computed_bytes(case: Case) -> int:
    """The backbone's blocks once; of each client the adapters, the saved activations of its blocks,
    what a block needs for a moment, and the messages."""
    from flexp.profiler.measure import profile_config

    blocks = profile_config("llama", config_of(case), settings_of(case)).block_units
    backbone = sum(block.parameter_bytes - block.trainable_bytes for block in blocks)
    own = [blocks[case.depth(client) :] for client in range(case.clients)]
    adapters = 4 * sum(block.trainable_bytes for units in own for block in units)
    saved = sum(block.saved_bytes for units in own for block in units)
    last = blocks[-1]
    moment = max(last.forward_transient_bytes - last.saved_bytes, last.backward_transient_bytes)
    return backbone + adapters + saved + case.clients * (moment + 4 * last.boundary_bytes)


def measure(case: Case, **changes: Any) -> Measured:
    done = subprocess.run(
        [sys.executable, __file__, "--case", json.dumps(asdict(case) | changes)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def compare(case: Case) -> None:
    """Print one row."""
    timed = {variant: measure(case, variant=variant) for variant in VARIANTS}
    peaks = [measure(case, variant=v, pinned=True).peak_bytes for v in VARIANTS]
    own, *others = timed.values()
    ratios = [
        f"{one.step_seconds / own.step_seconds:.1f} ({one.cpu_seconds / own.cpu_seconds:.1f})"
        for one in others
    ]
    computed = computed_bytes(case)
    cells = [
        str(case.clients),
        " / ".join(f"{1e3 * one.step_seconds:.0f}" for one in timed.values()),
        *ratios,
        " / ".join(format_bytes(peak) for peak in peaks),
        format_bytes(computed),
        f"{peaks[0] / computed:.2f}",
    ]
    print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=Path(__file__).name)
    parser.add_argument("-n", "--clients", type=int, action="append")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--blocks", type=int, default=8)
    parser.add_argument("-b", "--batch", type=int, default=1)
    parser.add_argument("-l", "--length", type=int, default=16)
    parser.add_argument("-t", "--threads", type=int, default=1)
    parser.add_argument("-r", "--repeats", type=int, default=8)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    given = vars(parser.parse_args())
    if one := given.pop("case"):
        print(json.dumps(asdict(run(Case(**json.loads(one))))))
        return
    print(
        "| clients | step, ms: batched / copies / switching | copies / batched (CPU) "
        "| switching / batched (CPU) | memory: batched / copies / switching | computed "
        "| batched / computed |\n|---|---|---|---|---|---|---|"
    )
    for clients in given.pop("clients") or (2, 8, 32, 128):
        compare(Case(variant="batched", clients=clients, **given))


if __name__ == "__main__":
    main()
