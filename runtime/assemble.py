"""From a plan, a model and data to a server and clients that are ready to train."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ..catalog.models.build import load_model
from ..catalog.models.entry import checkpoint_folder, config_hash, load_config
from ..catalog.models.heads import CausalLM, Classifier, TaskModel, own_copy, set_head
from ..catalog.progress import Progress
from ..errors import PlanError, UnsupportedModelError
from ..planner.plan import Plan
from ..profiler.fake import training_batch
from .alignment import parse_lambdas
from .batches import Batcher, Encoded
from .bounds import Bounds, token_bounds
from .client import Client, ClientSettings
from .data import TextData
from .evaluate import TestSets
from .export import export_adapter, export_head, export_weights
from .image_batches import ImageBatcher
from .label_prior import log_prior
from .partition import Partition, divide
from .records import TrainSettings
from .schedule import steps_of
from .server import Server, ServerSettings
from .server_head import HeadSettings, ServerHead
from .tasks import batcher_for, classes_of, with_tags
from .wire import Wire

if TYPE_CHECKING:
    from transformers import PretrainedConfig


@dataclass(frozen=True, kw_only=True)
class Job:
    """Everything that trains, in one process. Client and server share no object but the frozen
    weights, which both read only; they talk through `Client.wire`."""

    plan: Plan
    server: Server
    clients: dict[str, Client]
    partition: Partition
    train: dict[str, Encoded]
    tests: TestSets
    batcher: Batcher

    def set_steps(self, client: str, steps: int) -> None:
        """How many steps the client will run, which its learning rates follow."""
        own, seat = self.clients[client], self.server.seats[client]
        own.settings, seat.steps = replace(own.settings, steps=steps), steps
        if seat.head is not None:
            seat.head.settings = replace(seat.head.settings, steps=steps)

    def head(self, client: str) -> nn.Module:
        """The client's head, wherever it is."""
        seat = self.server.seats[client]
        return (seat.head or self.clients[client]).model.head

    def export(self, client: str, folder: Path) -> None:
        """Write what the client takes away."""
        own, server = self.clients[client], self.server
        if server.settings.method == "lora":
            remote, rank = server.effective(client), self.plan.settings.lora_rank
            export_adapter(own, remote, folder, self.plan.model, rank)
        elif server.settings.method == "full":
            export_weights(own, server.effective_weights(client), folder)
        export_head(self.head(client), folder)


def check_model(plan: Plan, model: str) -> PretrainedConfig:
    """The configuration of `model`; raises PlanError unless the plan was made for it."""
    config = load_config(model)
    if config_hash(config) != plan.config_hash:
        raise PlanError(
            f"the plan was made for {plan.model}; {model} has another configuration",
            f"make a plan for it: flexp plan FLEET.yaml --model {model}",
        )
    return config


def assemble(plan: Plan, settings: TrainSettings, data: TextData, progress: Progress) -> Job:
    """Load the model once, share its frozen weights, and give each client its rows.

    Raises PlanError, LabelError, EmptyDataError, DownloadError or UnsupportedModelError.
    """
    _check_plan(plan)
    if settings.label_prior:
        _check_label_prior(plan)
    config, task = check_model(plan, settings.model), plan.settings.task
    data = with_tags(data, task)
    names = tuple(client.name for client in plan.clients)
    partition = divide(
        data,
        names,
        scheme=settings.partition,
        seed=settings.seed,
        train_samples=settings.train_samples,
        test_samples=settings.test_samples,
    )
    classes = classes_of(data, task, partition.classes)
    partition = replace(partition, classes=classes)
    if len(classes) > plan.settings.labels:
        raise PlanError(
            f"{data.name} has {len(classes)} classes; the plan was made for at most "
            f"{plan.settings.labels}",
            f"profile and plan again with --labels {len(classes)}",
        )
    folder = checkpoint_folder(settings.model, progress)
    labels = len(classes) or plan.settings.labels
    template = load_model(folder, config, plan.settings.model_copy(update={"labels": labels}))
    batcher = batcher_for(task, folder, template.backbone, plan.settings.length, data)
    start_head(template, batcher, tuple(data.class_names.get(c, c) for c in classes))
    bounds = _bounds(plan, template)
    remote = own_copy(template)
    server = Server(remote.backbone, _server_settings(plan, settings, template, bounds))
    clients = _clients(plan, settings, template, remote, server, bounds)
    train = {n: batcher.encode(part.train, classes) for n, part in partition.clients.items()}
    if settings.label_prior:
        for name, client in clients.items():
            client.prior_C = log_prior(train[name].labels, len(classes))
    return Job(
        plan=plan,
        server=server,
        clients=clients,
        partition=partition,
        train=train,
        tests=TestSets(
            {n: batcher.encode(part.test, classes) for n, part in partition.clients.items()}
        ),
        batcher=batcher,
    )


def _check_plan(plan: Plan) -> None:
    """What a plan may ask for and a run can't do."""
    remote = [client.name for client in plan.clients if client.head == "server"]
    if plan.settings.method == "full" and remote:
        raise UnsupportedModelError(
            f"the plan trains all weights with the head of {remote[0]!r} on the server, where the "
            "norm between the blocks and the head is every client's",
            "set policy.labels_may_leave: false in the fleet file and plan again",
        )


def _check_label_prior(plan: Plan) -> None:
    if plan.settings.task == "causal-lm":
        raise UnsupportedModelError(
            "--label-prior: a model of the next token has no labels whose frequencies could be "
            "a client's own",
            "leave it out",
        )
    elsewhere = [client.name for client in plan.clients if client.head == "server"]
    if elsewhere:
        raise PlanError(
            f"--label-prior: the plan puts the head of {elsewhere[0]} on the server, which does "
            "not know its label frequencies",
            "plan with labels_may_leave: false in the fleet's policy",
        )


@torch.no_grad()
def start_head(template: TaskModel, batcher: Batcher, class_names: tuple[str, ...]) -> None:
    """Start a head over classes of texts from what the pre-trained model makes of the classes'
    names: public words, and the same start for every client. Without names, and for classes of
    tokens and images, it starts at zero; a vocabulary head is the pre-trained one."""
    if isinstance(template, CausalLM):
        return
    of_texts = not isinstance(batcher, ImageBatcher) and class_names
    if not isinstance(template, Classifier) or not of_texts:
        nn.init.zeros_(template.head.weight)
        nn.init.zeros_(template.head.bias)
        return
    ids = batcher.tokenizer(list(class_names), truncation=True, max_length=batcher.length)
    set_head(template, template.features(batcher.inputs(ids["input_ids"])))


def _bounds(plan: Plan, template: TaskModel) -> Bounds:
    """What a message of this run may hold."""
    backbone: Any = template.backbone
    batch = max(client.batch or plan.settings.batch for client in plan.clients)
    example, _ = training_batch(template, plan.settings.model_copy(update={"batch": 1}))
    with torch.no_grad():
        _, length, _ = backbone(**example).last_hidden_state.shape
    outputs = max(weight.shape[0] for weight in template.head.parameters())
    bounds = token_bounds(
        batch=batch, length=length, hidden_size=backbone.config.hidden_size, outputs=outputs
    )
    private_bytes = 8 * batch * max(tensor.numel() for tensor in example.values())
    return replace(bounds, message_bytes=max(bounds.message_bytes, private_bytes))


def _server_settings(
    plan: Plan, settings: TrainSettings, template: TaskModel, bounds: Bounds
) -> ServerSettings:
    nothing = not any(weight.requires_grad for weight in template.backbone.parameters())
    return ServerSettings(
        method=plan.settings.method,
        optimizer=plan.settings.optimizer,
        frozen=plan.settings.method == "head" and nothing,
        bounds=bounds,
        server_side=plan.server_side,
        codec=plan.clients[0].codec,
        steps=settings.steps,
        learning_rate=settings.learning_rate,
        lambdas=parse_lambdas(settings.alignment, plan.blocks),
        rank=plan.settings.lora_rank,
        seed=settings.seed,
    )


def _clients(
    plan: Plan,
    settings: TrainSettings,
    template: TaskModel,
    remote: TaskModel,
    server: Server,
    bounds: Bounds,
) -> dict[str, Client]:
    client_settings = ClientSettings(
        steps=settings.steps,
        learning_rate=settings.learning_rate,
        head_rate=settings.head_rate,
        rank=plan.settings.lora_rank,
        seed=settings.seed,
        optimizer=plan.settings.optimizer,
    )
    head_settings = HeadSettings(
        learning_rate=settings.head_rate, steps=settings.steps, optimizer=plan.settings.optimizer
    )
    clients, steps = {}, steps_of(plan, settings.steps)
    for entry in plan.clients:
        own_steps = steps[entry.name]
        model, head = own_copy(template), None
        if entry.head == "server":
            own_head = replace(head_settings, steps=own_steps)
            at_home = own_copy(remote, server.middle.blocks)
            head = ServerHead(entry.name, at_home, server.middle, own_head)
        server.admit(entry.name, entry.depth, entry.top, head, entry.codec, own_steps)
        frozen = server.settings.frozen
        wire = Wire(entry.name, server.handle, entry.codec, frozen=frozen, bounds=bounds)
        own_settings = replace(client_settings, steps=own_steps, micro_batches=entry.micro_batches)
        clients[entry.name] = Client(entry.name, model, entry.placement, wire, own_settings)
    return clients
