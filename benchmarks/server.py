"""One frozen backbone for many clients: a server that batches them, beside a copy of the model for
each client and beside peft's adapter switching.

    python benchmarks/server.py                     2, 8, 32 and 128 clients
    python benchmarks/server.py -n 32 -t 2          32 clients, on two threads
    python benchmarks/server.py --width 512 -l 64   larger blocks, longer rows

Every client sends one activation and one gradient a step; the server answers both and trains the
client's own adapter (r = 8, queries and values) with AdamW. Depths are 1 to 4, in turn. All three
read and write the same messages in fp32, one client's after the other's but for the batched ones.

Times come from one process, in which the three take turns, a step each, so that other programs
disturb all alike: the fastest step of each, and the median ratio of the steps of one turn.
"arriving" is the mean step of the batched server where every client is a thread that goes from step
to step by itself: nobody waits for a batch, the server serves together what has come. Memory
comes from a process for each: the peak with the allocator pinned as on a device, beside that of the
same process once a small model was trained and dropped, which loads the code of libraries; pinned,
large tensors cost page faults, so times are taken without.
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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from flexp.catalog.units import format_bytes

RANK, RATE, WARM = 8, 1e-3, 2
Serve = Callable[[Sequence[bytes]], list[bytes]]


@dataclass(frozen=True, kw_only=True)
class Case:
    variant: str
    """One of MAKERS, whose memory is measured, or "times" of all of them."""
    clients: int
    width: int
    blocks: int
    batch: int
    length: int
    threads: int
    repeats: int

    def depth(self, client: int) -> int:
        return 1 + client % 4


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


def peak_bytes(case: Case) -> int:
    """Of one variant, in this process, which must be a new one."""
    from flexp.profiler.allocator import pin_allocator

    pin_allocator()
    from flexp.profiler.process_memory import peak_resident_bytes, resident_bytes

    start(case)
    make = MAKERS[case.variant]
    small = Case(**{**asdict(case), "clients": 2, "blocks": 5, "length": 128})
    train(make(small), small, range(WARM))
    before = resident_bytes()
    train(make(case), case, range(WARM + 1))
    return peak_resident_bytes() - before


def step_seconds(case: Case) -> dict[str, list[float]]:
    """Of each variant, turn by turn."""
    start(case)
    made = {variant: make(case) for variant, make in MAKERS.items()}
    seconds: dict[str, list[float]] = {variant: [] for variant in made}
    for step in range(WARM + case.repeats):
        for variant, serve in made.items():
            seconds[variant] += train(serve, case, range(step, step + 1))
    found = {variant: own[WARM:] for variant, own in seconds.items()}
    return found | {"arriving": [arriving_seconds(case)]}


def arriving_seconds(case: Case) -> float:
    """Of a step of every client, each in a thread of its own that waits for nobody else's."""
    from flexp.runtime.dispatch import Dispatcher
    from flexp.runtime.message import Kind

    steps = range(case.repeats)
    kinds = (Kind.FORWARD, Kind.BACKWARD)
    asked = [messages_of(case, kind, step) for step in steps for kind in kinds]
    with (
        Dispatcher(flexp_server(case, range(case.clients)).handle_all) as dispatcher,
        ThreadPoolExecutor(case.clients) as threads,
    ):
        started = time.perf_counter()
        done = [
            threads.submit(list, map(dispatcher.submit, [messages[client] for messages in asked]))
            for client in range(case.clients)
        ]
        for future in done:
            future.result()
        return (time.perf_counter() - started) / case.repeats


def start(case: Case) -> None:
    import torch

    torch.set_num_threads(case.threads)


MAKERS: dict[str, Callable[[Case], Serve]] = {
    "batched": batched,
    "copies": copies,
    "switching": switching,
}


def train(serve: Serve, case: Case, steps: range) -> list[float]:
    """Seconds of each step."""
    from flexp.runtime.message import Kind

    found = []
    for step in steps:
        seconds = 0.0
        for kind in (Kind.FORWARD, Kind.BACKWARD):
            messages = messages_of(case, kind, step)
            started = time.perf_counter()
            answers = serve(messages)
            seconds += time.perf_counter() - started
            assert all(isinstance(answer, bytes) for answer in answers), answers
            del messages, answers
        found.append(seconds)
    return found


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


def measure(case: Case, variant: str) -> Any:
    """In a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--case", json.dumps(asdict(case) | {"variant": variant})],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def compare(case: Case) -> None:
    """Print one row."""
    seconds = measure(case, "times")
    peaks = {variant: measure(case, variant) for variant in MAKERS}
    computed = computed_bytes(case)
    cells = [
        str(case.clients),
        " / ".join(f"{1e3 * min(own):.0f}" for own in seconds.values()),
        *(f"{ratio(seconds[other], seconds['batched']):.1f}" for other in ("copies", "switching")),
        " / ".join(format_bytes(peak) for peak in peaks.values()),
        format_bytes(computed),
        f"{peaks['batched'] / computed:.2f}",
    ]
    print(f"| {' | '.join(cells)} |", flush=True)


def ratio(others: Sequence[float], own: Sequence[float]) -> float:
    return median(other / mine for other, mine in zip(others, own, strict=True))


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
        case = Case(**json.loads(one))
        print(json.dumps(step_seconds(case) if case.variant == "times" else peak_bytes(case)))
        return
    print(
        "| clients | step, ms: batched / copies / switching / arriving | copies / batched "
        "| switching / batched | memory: batched / copies / switching | computed "
        "| batched / computed |\n|---|---|---|---|---|---|---|"
    )
    for clients in given.pop("clients") or (2, 8, 32, 128):
        compare(Case(variant="times", clients=clients, **given))


if __name__ == "__main__":
    main()
