"""The GPU or another accelerator that torch can use here."""

from __future__ import annotations

from typing import Any

import torch

from .probe_report import Accelerator


def find_accelerator() -> Accelerator | None:
    """What `torch.accelerator` names, if it is there and its driver works; None without one."""
    found = torch.accelerator.current_accelerator(check_available=True)
    if found is None:
        return None
    free, total = _memory(found.type)
    return Accelerator(
        type=found.type, name=_name(found.type), memory_bytes=total, free_memory_bytes=free
    )


def _name(kind: str) -> str | None:
    """The product's name, where torch has a module for its kind that tells it."""
    get_name = getattr(getattr(torch, kind, None), "get_device_name", None)
    return str(get_name()) if get_name is not None else None


def _memory(kind: str) -> tuple[int | None, int | None]:
    """(free, total) bytes. MPS shares the machine's memory: what Metal recommends at most counts as
    its total."""
    if kind == "mps":
        return None, torch.mps.recommended_max_memory()
    get_info: Any = getattr(torch.accelerator, "get_memory_info", None)
    if get_info is None:  # torch 2.9
        get_info = getattr(getattr(torch, kind, None), "mem_get_info", None)
    try:
        free, total = get_info()
    except (RuntimeError, TypeError):
        return None, None
    return free, total
