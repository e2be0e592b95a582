"""One client's training process, to be measured: its own blocks, a batch, and an echo for a server.

`python -m flexp.runtime.check_client` reads a Case as JSON from stdin, trains a few steps and
prints its peak resident bytes. Everything is as on a device: the allocator is pinned, what belongs
to the server takes no memory, and every message is encoded and decoded.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import PositiveInt

from ..catalog.files import Contract
from ..profiler.allocator import pin_allocator
from ..profiler.costs import Codec
from ..profiler.placement import Placement
from ..profiler.process_memory import peak_resident_bytes
from ..profiler.profile import ProfileSettings

STEPS = 3


class Case(Contract):
    """A client to run."""

    model: str
    """Where it is a folder with weights, the client loads its part of them; else they are random.
    """
    settings: ProfileSettings
    placement: Placement
    codec: Codec = "bf16"
    micro_batches: PositiveInt = 1
    threads: PositiveInt = 1


def run(case: Case) -> int:
    """Train STEPS steps; the process's peak resident bytes."""
    import torch

    from ..catalog.models.entry import load_config
    from ..profiler.fake import training_batch
    from .client import Client, ClientSettings
    from .device_model import load_device_model, random_device_model
    from .wire import Wire

    torch.set_num_threads(case.threads)
    torch.manual_seed(0)
    config, folder = load_config(case.model), Path(case.model)
    if any(folder.glob("*.safetensors")):
        model = load_device_model(folder, config, case.settings, case.placement)
        for weight in model.parameters():
            weight.detach().sum()  # a mapped file's pages count once they are read
    else:
        model = random_device_model(config, case.settings, case.placement)
    wire = Wire("check", echo, case.codec, frozen=case.settings.method == "head")
    settings = ClientSettings(
        steps=STEPS,
        learning_rate=1e-4,
        head_rate=1e-4,
        rank=case.settings.lora_rank,
        seed=0,
        optimizer=case.settings.optimizer,
        micro_batches=case.micro_batches,
    )
    client = Client("check", model, case.placement, wire, settings)
    inputs, labels = training_batch(model, case.settings)
    if "attention_mask" in inputs:  # a batch without padding needs no mask, which saves memory
        inputs["attention_mask"][0, -1] = 0
    for step in range(STEPS):
        client.train_step(step, inputs, labels)
    return peak_resident_bytes()


def echo(data: bytes) -> bytes:
    """Stands for the network and the server: an answer of the same size, in memory of its own."""
    from . import blob
    from .message import Kind

    fields, entries = blob.unpack(data)
    kind = Kind.ACTIVATION if fields["kind"] == Kind.FORWARD else Kind.GRADIENT
    answer = {**fields, "kind": kind.value, "shapes": "{}"}
    if answer.pop("share", None):
        answer["loss"] = "1.0"
    kept = {name: entry for name, entry in entries.items() if name in ("hidden", "scale")}
    return blob.pack({name: blob.load(data, entry) for name, entry in kept.items()}, answer)


if __name__ == "__main__":
    pin_allocator()
    sys.stdout.write(f"{run(Case.model_validate_json(sys.stdin.read()))}\n")
