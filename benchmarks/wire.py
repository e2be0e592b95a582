"""What the wire costs: bytes and gradient error of each codec, and what micro-batches hide.

    python benchmarks/wire.py                    both tables
    python benchmarks/wire.py codecs             the first one
    python benchmarks/wire.py overlap -r 5       the second one, 5 steps of each kind

Codecs: one step of the same client and server in each codec; errors are relative to fp32,
|g - g_fp32| / |g_fp32| over all adapters and the head of the client, and over all adapters of the
server. Weights are trained ones where the catalogue has them, else random.

Overlap: whole training steps of a client over an emulated link (runtime/emulated_link.py sleeps in
real time), the batch in 1, 2, 4 and 8 parts in turn; the median of each. Both predictions are made
from what the step in one piece took: the planner's formula, and the schedule of every part.
Tables are markdown.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import torch
from flexp.catalog.models.blocks import block_stack
from flexp.catalog.models.build import bare_model, load_model
from flexp.catalog.models.entry import checkpoint_folder, find_model, load_config
from flexp.catalog.models.heads import Inputs, TaskModel, own_copy
from flexp.profiler.config_slice import with_blocks
from flexp.profiler.costs import wire_bytes
from flexp.profiler.measure import profile_config
from flexp.profiler.pipeline import schedule_seconds, step_seconds, u_shape
from flexp.profiler.placement import Placement
from flexp.profiler.profile import TOKEN_TASKS, ProfileSettings
from flexp.runtime.client import Client, ClientSettings
from flexp.runtime.codecs import CODECS
from flexp.runtime.emulated_link import EmulatedLink
from flexp.runtime.server import Server, ServerSettings
from flexp.runtime.wire import Deliver, Wire
from torch import Tensor

CODEC_CASES = {
    "minilm-l6": ProfileSettings(task="classification", batch=8, length=64),
    "smollm2-135m": ProfileSettings(task="causal-lm", batch=4, length=64),
    "deit-small": ProfileSettings(task="image-classification", batch=4),
}
BLOCKS = 6
OVERLAP_MODEL, OVERLAP_BLOCKS = "minilm-l6", 4
OVERLAP_SETTINGS = ProfileSettings(task="classification", batch=16, length=96)
RATE_BITS_PER_SECOND, RTT_SECONDS = 20e6, 0.05
PARTS = (1, 2, 4, 8)
SEED = 0


def template_of(
    name: str, settings: ProfileSettings, blocks: int = BLOCKS
) -> tuple[TaskModel, str]:
    """The first blocks of a model, and where its weights are from."""
    config = with_blocks(load_config(name), range(blocks))
    torch.manual_seed(SEED)
    entry = find_model(name)
    if entry is not None and entry.weights is not None:
        return load_model(checkpoint_folder(name), config, settings), "trained"
    return bare_model(config, settings), "random"


def batch_of(model: TaskModel, settings: ProfileSettings) -> tuple[Inputs, Tensor]:
    random = torch.Generator().manual_seed(SEED)
    rows = settings.batch
    classes_B = torch.randint(0, settings.labels, (rows,), generator=random)
    if settings.task == "image-classification":
        size = model.backbone.config.image_size
        return {"pixel_values": torch.randn(rows, 3, size, size, generator=random)}, classes_B
    ids_BT = torch.randint(0, 1000, (rows, settings.length), generator=random)
    mask_BT = torch.ones_like(ids_BT)
    mask_BT[0, settings.length // 2 :] = 0
    labels = ids_BT if settings.task in TOKEN_TASKS else classes_B
    return {"input_ids": ids_BT, "attention_mask": mask_BT}, labels


class Pair:
    """A client at half of a model's depth and its server, and the gradients of each step."""

    def __init__(
        self,
        template: TaskModel,
        settings: ProfileSettings,
        codec: str,
        parts: int = 1,
        link: Any = None,
    ) -> None:
        remote = own_copy(template)
        blocks = len(block_stack(remote.backbone)[1])
        self.placement = Placement(blocks // 2)
        self.server = Server(
            remote.backbone,
            ServerSettings(
                server_side="shared",
                codec=codec,
                steps=1000,
                learning_rate=1e-4,
                lambdas=(0.0,) * blocks,
                rank=settings.lora_rank,
                seed=SEED,
            ),
        )
        self.server.admit("a", self.placement.depth)
        deliver: Deliver = self.server.handle
        wire = Wire("a", link(deliver) if link else deliver, codec)
        client_settings = ClientSettings(
            steps=1000,
            learning_rate=1e-4,
            head_rate=1e-4,
            rank=settings.lora_rank,
            seed=SEED,
            micro_batches=parts,
        )
        model = own_copy(template)
        self.client = Client("a", model, self.placement, wire, client_settings)
        _move_every_b((self.client.adapter, self.server.trunk))
        self.gradients: dict[str, Tensor] = {}
        assert self.server.optimizer is not None
        for name, optimizer in (
            ("client", self.client.optimizer),
            ("server", self.server.optimizer),
        ):
            optimizer.register_step_pre_hook(self._keep(name))

    def _keep(self, name: str) -> Any:
        def keep(optimizer: torch.optim.Optimizer, *_: Any) -> None:
            held = [p.grad for group in optimizer.param_groups for p in group["params"]]
            self.gradients[name] = torch.cat([g.flatten() for g in held if g is not None])

        return keep


def _move_every_b(adapters: Any) -> None:
    """A new adapter's B is zero, and with it the gradient of every A: begin a little later."""
    random = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for adapter in adapters:
            for parameter in adapter.parameters():
                if not parameter.any():
                    parameter.add_(1e-2 * torch.randn(parameter.shape, generator=random))


def relative(got: Tensor, exact: Tensor) -> float:
    return float((got - exact).norm() / exact.norm())


def codecs() -> None:
    print(
        "| model, weights | codec | bytes of a step: up, down | predicted / measured: up, down "
        "| error of the client's gradients | of the server's |"
    )
    print("|---|---|---|---|---|---|")
    for name, settings in CODEC_CASES.items():
        template, weights = template_of(name, settings)
        config = with_blocks(load_config(name), range(BLOCKS))
        profile = profile_config(name, config, settings)
        inputs, labels = batch_of(template, settings)
        exact: dict[str, Tensor] = {}
        for codec in CODECS:
            pair = Pair(template, settings, codec)
            pair.client.train_step(0, inputs, labels)
            exact = exact or pair.gradients
            traffic = pair.client.wire.traffic
            promise = wire_bytes(profile, pair.placement, codec)
            errors = [relative(pair.gradients[side], exact[side]) for side in exact]
            print(
                f"| {name}, {weights} | {codec} | {traffic.up_bytes}, {traffic.down_bytes} "
                f"| {promise.up / traffic.up_bytes:.4f}, {promise.down / traffic.down_bytes:.4f} "
                f"| {errors[0]:.1e} | {errors[1]:.1e} |",
                flush=True,
            )


def emulated(deliver: Deliver) -> EmulatedLink:
    return EmulatedLink(
        deliver,
        up_bits_per_second=RATE_BITS_PER_SECOND,
        down_bits_per_second=RATE_BITS_PER_SECOND,
        rtt_seconds=RTT_SECONDS,
    )


@dataclass
class Watch:
    """What the steps of a batch in one piece were made of."""

    crossings: list[tuple[float, float]] = field(default_factory=list)
    """When a message was handed over, and when its answer was there: two a step."""
    served: list[float] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)

    def link(self, deliver: Deliver) -> Deliver:
        def serve(data: bytes) -> bytes:
            start = time.perf_counter()
            answer = deliver(data)
            self.served.append(time.perf_counter() - start)
            return answer

        slow = emulated(serve)

        def crossing(data: bytes) -> bytes:
            start = time.perf_counter()
            answer = slow(data)
            self.crossings.append((start, time.perf_counter()))
            self.sizes.append((len(data), len(answer)))
            return answer

        return crossing

    def stages(self, begun: list[float], ended: list[float]) -> dict[str, Any]:
        """Medians over the steps, as `u_shape` takes them."""
        out, back = self.crossings[0::2], self.crossings[1::2]
        ways = [[8 * size[way] / RATE_BITS_PER_SECOND for size in self.sizes[:2]] for way in (0, 1)]
        return {
            "bottom_seconds": (
                median(o[0] - b for o, b in zip(out, begun, strict=True)),
                median(e - b[1] for e, b in zip(ended, back, strict=True)),
            ),
            "top_seconds": median(b[0] - o[1] for o, b in zip(out, back, strict=True)),
            "server_seconds": (median(self.served[0::2]), median(self.served[1::2])),
            "up_seconds": tuple(ways[0]),
            "down_seconds": tuple(ways[1]),
            "rtt_seconds": RTT_SECONDS,
        }


def formula_seconds(stages: dict[str, Any], parts: int) -> float:
    """The planner's, which knows sums alone."""
    return step_seconds(
        device_seconds=sum(stages["bottom_seconds"]) + stages["top_seconds"],
        up_seconds=sum(stages["up_seconds"]),
        server_seconds=sum(stages["server_seconds"]),
        down_seconds=sum(stages["down_seconds"]),
        rtt_seconds=RTT_SECONDS,
        round_trips=2,
        parts=parts,
    )


def overlap(repeats: int) -> None:
    settings = OVERLAP_SETTINGS
    template, weights = template_of(OVERLAP_MODEL, settings, OVERLAP_BLOCKS)
    batch = batch_of(template, settings)
    watch = Watch()
    pairs = {
        parts: Pair(template, settings, "bf16", parts, watch.link if parts == 1 else emulated)
        for parts in PARTS
    }
    exact = {parts: Pair(template, settings, "fp32", parts) for parts in PARTS}
    for pair in exact.values():
        pair.client.train_step(0, *batch)
    times: dict[int, list[tuple[float, float]]] = {parts: [] for parts in PARTS}
    for step in range(repeats + 1):
        for parts, pair in pairs.items():
            start = time.perf_counter()
            pair.client.train_step(step, *batch)
            times[parts].append((start, time.perf_counter()))
    stages = watch.stages(*(list(column) for column in zip(*times[1], strict=True)))
    one = median(end - start for start, end in times[1][1:])
    shown = {k: v if isinstance(v, float) else sum(v) for k, v in stages.items()}
    print(
        f"{OVERLAP_MODEL}, {weights} weights, depth {pairs[1].placement.depth} of "
        f"{OVERLAP_BLOCKS}, batch {settings.batch} x {settings.length}, bf16, "
        f"{RATE_BITS_PER_SECOND / 1e6:.0f} Mbit/s both ways, round trip "
        f"{1e3 * RTT_SECONDS:.0f} ms, {repeats} steps. In one piece: device "
        f"{shown['bottom_seconds'] + shown['top_seconds']:.2f} s, up {shown['up_seconds']:.2f}, "
        f"server {shown['server_seconds']:.2f}, down {shown['down_seconds']:.2f}.\n"
    )
    print(
        "| parts | step, s | times faster | formula / measured | schedule / measured "
        "| difference of gradients, fp32: client, server |"
    )
    print("|---|---|---|---|---|---|")
    for parts in PARTS:
        measured = median(end - start for start, end in times[parts][1:])
        formula = formula_seconds(stages, parts)
        schedule = schedule_seconds(u_shape(**stages), parts)
        apart = [
            relative(exact[parts].gradients[s], exact[1].gradients[s]) for s in exact[1].gradients
        ]
        print(
            f"| {parts} | {measured:.2f} | {one / measured:.2f} | {formula / measured:.2f} "
            f"| {schedule / measured:.2f} | {apart[0]:.1e}, {apart[1]:.1e} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=Path(__file__).name)
    parser.add_argument("table", nargs="?", choices=("codecs", "overlap"))
    parser.add_argument("-r", "--repeats", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.table != "overlap":
        codecs()
        print()
    if given.table != "codecs":
        overlap(given.repeats)


if __name__ == "__main__":
    main()
