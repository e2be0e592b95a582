"""What every variant costs on every device with every kind of server: seconds and own limits.

Arrays are [n, O, K]: n client entries, O variants, K kinds of servers. planner/predict.py computes
the same figures for one choice, planner/guests.py for a plan's; the checker holds a plan against
those.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .fleet import Policy
from .machines import Clients, Servers
from .menu import Menu
from .solver.problem import BoolArray, FloatArray


@dataclass(frozen=True, eq=False)
class Figures:
    """Of one step, without waiting at the server or on its link."""

    device_seconds: FloatArray
    """[n, O, 1]"""
    apart_seconds: FloatArray
    """[n, O, K]: device and round trips, less what micro-batches hide."""
    up_seconds: FloatArray
    """[n, O, K]: of all messages to the server, at the lower one of both links' rates."""
    down_seconds: FloatArray
    up_share: FloatArray
    """[n, 1, K]: the rate of these messages over that of the server's link."""
    down_share: FloatArray
    server_seconds: FloatArray
    """[1, O, K]: of all visits, on one accelerator."""
    visit_seconds: FloatArray
    """[1, O, K]: Σ visit² / Σ visit."""
    allowed: BoolArray
    """[n, O, K]: variants that keep the client's own limits C2, C3, C7, C8 and C9."""


def figures(menu: Menu, clients: Clients, servers: Servers, policy: Policy) -> Figures:
    """A step takes, with M micro-batches that overlap (a pipeline whose slowest stage never idles),

        sum / M + (1 − 1/M) · slowest stage + round trips · RTT,

    where the stages are the device, the wire up, the server and the wire down, and `sum` is all of
    them.
    """
    device = (menu.column("device_flops")[None, :] / clients.flops_per_second[:, None])[:, :, None]
    server, visit = (
        (menu.column(field)[:, None] / servers.flops_per_second[None, :])[None]
        for field in ("server_flops", "visit_flops")
    )
    up, up_share = _transfer(
        menu.column("up_bytes"), clients.up_bits_per_second, servers.down_bits_per_second
    )
    down, down_share = _transfer(
        menu.column("down_bytes"), clients.down_bits_per_second, servers.up_bits_per_second
    )
    apart = device + menu.column("visits")[None, :, None] * clients.rtt_seconds[:, None, None]
    if (menu.micro_batches > 1).any():
        slowest = np.maximum(np.maximum(device, server), np.maximum(up, down))
        hidden = (1 - 1 / menu.micro_batches)[None, :, None] * (
            device + up + down + server - slowest
        )
        apart = apart - hidden
    own = _keeps_own_limits(menu, clients, policy, device)
    allowed = np.broadcast_to(own[:, :, None], up.shape)
    if policy.step_deadline_seconds is not None:
        allowed = allowed & (apart + up + down + server <= policy.step_deadline_seconds)
    return Figures(device, apart, up, down, up_share, down_share, server, visit, allowed)


def _transfer(
    sizes: FloatArray, client_rates: FloatArray, server_rates: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Seconds [n, O, K] and share of the server's link [n, 1, K]."""
    rates = np.minimum(client_rates[:, None], server_rates[None, :])[:, None, :]
    return 8 * sizes[None, :, None] / rates, rates / server_rates


def _keeps_own_limits(
    menu: Menu, clients: Clients, policy: Policy, device: FloatArray
) -> BoolArray:
    """bool[n, O]: C2 memory, C3 data budget, C8 depth and C9 energy."""
    private = menu.private_blocks[None, :]
    own = menu.column("model_memory_bytes")[None, :] <= clients.memory_bytes[:, None]
    own &= (menu.depth[None, :] >= clients.min_depth[:, None]) & (
        private <= clients.max_depth[:, None]
    )
    steps = policy.steps_per_client * menu.steps_per_round
    moved = (menu.column("up_bytes") + menu.column("down_bytes")) * steps
    own &= moved[None, :] <= clients.data_budget_bytes[:, None]
    if policy.energy_budget_wh is not None:
        spent = device[:, :, 0] * clients.watts[:, None] * steps[None, :] / 3600
        own &= spent <= policy.energy_budget_wh
    return own
