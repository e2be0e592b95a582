"""The work of `flexp train`: settle what is run, run it, and let whoever looks on see it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from ..errors import FieldError, PlanError
from . import render

if TYPE_CHECKING:
    from ..catalog.progress import Progress
    from ..planner.plan import Plan
    from ..runtime.data import TextData
    from ..runtime.observer import Start
    from ..runtime.records import StepRecord, Summary, TrainSettings


@dataclass(frozen=True, kw_only=True)
class Order:
    """What was typed."""

    folder: Path
    plan: Path | None
    given: dict[str, Any]
    """Fields of TrainSettings."""
    resume: bool
    new_plan: Path | None
    """Another plan to go on under."""
    adapter_upload: bool
    trackers: tuple[str, ...]
    quiet: bool


def carry_out(order: Order) -> Summary | None:
    """The run, shown as it goes; None when it was stopped."""
    from ..profiler.allocator import pin_allocator
    from .train_display import display

    _check(order)
    pin_allocator()  # before a model is built, so that memory is as it was planned
    with display(order.quiet) as view, _stop_on_interrupt() as stop:
        from ..runtime.observer import Observer
        from ..runtime.trackers import tracking
        from ..runtime.train import train

        with tracking(order.trackers, order.folder) as trackers:
            settle = _resumed if order.resume else _new
            plan, settings, data = settle(order, view.fetch)

            def begun(start: Start) -> None:
                view.begun(start)
                trackers.begin(settings)

            def stepped(record: StepRecord, total: int) -> None:
                view.stepped(record, total)
                trackers.step(record)

            observer = Observer(
                note=render.note,
                fetch=view.fetch,
                begun=begun,
                evaluated=view.evaluated,
                stepped=stepped,
                should_stop=stop.is_set,
            )
            summary = train(
                plan,
                settings,
                data,
                order.folder,
                observer,
                resume=order.resume,
                adapter_upload=order.adapter_upload,
            )
            trackers.end(summary)
        return summary


def _check(order: Order) -> None:
    """Raise FieldError for options that the others leave without effect."""
    if order.new_plan is not None and not order.resume:
        raise FieldError(
            "--plan: has no effect without --resume",
            "name the plan of a new run without --plan: flexp train plan.yaml --data NAME|FILE",
        )
    if order.new_plan is not None and order.plan is not None:
        raise FieldError("--plan: two plans are given", "leave one of them out")
    if order.adapter_upload and order.new_plan is None:
        raise FieldError("--allow-adapter-upload: has no effect without --plan", "leave it out")


def _new(order: Order, fetch: Progress) -> tuple[Plan, TrainSettings, TextData]:
    from ..catalog.files import content_hash
    from ..planner.plan import read_plan
    from ..runtime.assemble import check_model
    from ..runtime.data import load_data
    from ..runtime.partition import columns_read
    from ..runtime.records import LEARNING_RATES, TrainSettings
    from ..runtime.run_folder import check_new

    given = order.given
    if order.plan is None:
        raise FieldError("no plan is given", "flexp train plan.yaml --data NAME|FILE")
    if "data" not in given:
        raise FieldError("--data is not given", "--data 20newsgroups, or a CSV with text,label")
    check_new(order.folder)
    plan = read_plan(order.plan).expanded()
    if given.get("steps", 0) > plan.steps_per_client:
        raise PlanError(
            f"--steps: the plan promises {plan.steps_per_client} rounds, found {given['steps']}",
            "raise policy.steps_per_client in the fleet file and plan again",
        )
    check_model(plan, given.get("model", plan.model))
    columns = columns_read(given.get("columns", {}), given.get("partition"))
    data = load_data(given["data"], columns, fetch, plan.settings.task)
    defaults = {
        "model": plan.model,
        "steps": plan.steps_per_client,
        "learning_rate": LEARNING_RATES[plan.settings.method],
    }
    hashes = {"plan_hash": content_hash(plan), "data_hash": data.fingerprint()}
    return plan, TrainSettings(**{**defaults, **given, **hashes}), data


def _resumed(order: Order, fetch: Progress) -> tuple[Plan, TrainSettings, TextData]:
    from ..planner.plan import read_plan
    from ..runtime.data import load_data
    from ..runtime.partition import columns_read
    from ..runtime.run_folder import check_data, check_not_complete, reopen, with_changes

    check_not_complete(order.folder)
    plan, settings = reopen(order.folder, order.plan)
    if order.new_plan is not None:
        plan = read_plan(order.new_plan).expanded()
    settings = with_changes(settings, order.given)
    columns = columns_read(settings.columns, settings.partition)
    data = load_data(settings.data, columns, fetch, plan.settings.task)
    check_data(settings, data)
    return plan, settings, data


@contextmanager
def _stop_on_interrupt() -> Iterator[Event]:
    """The first Ctrl-C, or the first SIGTERM of a system that shuts down, asks the run to stop
    after its step; a second one interrupts at once."""
    stop = Event()

    def on_signal(number: int, frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        render.note("stopping after this step; Ctrl-C again stops at once")

    signals = (signal.SIGINT, signal.SIGTERM)
    previous = [signal.signal(number, on_signal) for number in signals]
    try:
        yield stop
    finally:
        for number, handler in zip(signals, previous, strict=True):
            signal.signal(number, handler)
