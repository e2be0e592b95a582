"""The alternatives, each as lines of money: no model, central fine-tuning, fedavg on the devices,
fedavg with new devices, and FlexP-SFL with the existing ones."""

from __future__ import annotations

from decimal import Decimal

from ...catalog.devices import device_type
from ..fleet import ResolvedClient
from ..plan import Plan
from ..whatif.outcome import figures_of, money, run_bytes
from .costs import decimal
from .flows import Purchase, flows, net_present_value, payback_years
from .lines import GB, Setting, Sum, energy, for_server, people, rented, said, transfer, value
from .result import Alternative, Kind, Line
from .work import OnDevice, central, fits, on_device, trainable_bytes


def finished(kind: Kind, setting: Setting, found: Sum, devices: int, *remarks: str) -> Alternative:
    """With cash flows and what follows from them."""
    years = int(setting.costs.figure("years"))
    bought = sum((one.price for one in found.purchases), Decimal(0))
    once = sum((line.amount for line in found.lines if line.when == "once"), Decimal(0))
    yearly = sum((line.amount for line in found.lines if line.when == "yearly"), Decimal(0))
    cash = flows(once + bought, yearly, years, found.purchases)
    return Alternative(
        kind=kind,
        devices=devices,
        left_out=setting.fleet.members - devices,
        remarks=remarks,
        lines=found.lines,
        flows=tuple(map(money, cash)),
        npv=money(net_present_value(cash, setting.costs.figure("discount_rate"))),
        payback_years=payback_years(cash),
    )


def no_model(setting: Setting) -> Alternative:
    """Nothing is paid and nothing earned: what the others are measured against."""
    return finished("none", setting, Sum(()), 0, "every task is done by hand")


def by_server(setting: Setting) -> Alternative:
    """Data go to the server, which trains one model on them; the model goes to every device."""
    costs, fleet = setting.costs, setting.fleet
    work, members = central(setting.profile, fleet), fleet.members
    gigabytes = costs.figure("data_gb_per_device_year")
    lines = [
        *people(setting, members),
        *transfer(
            setting,
            lambda client: gigabytes * GB / setting.runs + work.model_bytes // members,
            ("data_gb_per_device_year",),
        ),
        *([] if rented(fleet, costs) else [energy(setting, "server energy", work.server_wh)]),
        value(setting, members, costs.figure("accuracy_central"), "accuracy_central", False),
    ]
    server = for_server(setting, work.server_hours)
    slowest = min(client.link.up_bits_per_second for client in fleet.clients)
    hours = float(gigabytes * GB) * 8 / slowest / 3600
    remark = (
        f"{said(gigabytes)} GB of data a year leave each device, labels too: up to {hours:.3g} h "
        "of sending"
    )
    return finished("central", setting, _with(lines, server), members, remark)


def by_fedavg(setting: Setting) -> Alternative:
    """The whole model trains on each device that can hold it; the others stay without."""
    able = [client for client in setting.fleet.clients if fits(setting.profile, client)]
    unable = [client for client in setting.fleet.clients if client not in able]
    remark = _unable(unable) if unable else "every device holds the whole model"
    return _fedavg(setting, "fedavg", able, Sum(()), remark)


def with_new_devices(setting: Setting) -> Alternative:
    """As fedavg, with a new device for each one that can't hold the model."""
    costs = setting.costs
    name = costs.given.replacement or costs.defaults.replacement
    assert name is not None
    price, label = costs.device_price(name)
    new = device_type(name)
    able, bought = [], 0
    for client in setting.fleet.clients:
        replaced = not fits(setting.profile, client)
        bought += client.count * replaced
        able.append(client.model_copy(update={"device": new}) if replaced else client)
    life = int(costs.figure("device_life_years"))
    total = price * bought
    line = Line(
        name="new devices",
        when="once",
        amount=money(-total),
        how=f"{bought:,} {name} × {price:,.2f}, again every {life} years",
        assumes=(label, "device_life_years"),
    )
    extra = Sum((line,), (Purchase(total, life),)) if bought else Sum(())
    remark = f"{bought:,} {name} are bought" if bought else "no device has to be replaced"
    return _fedavg(setting, "new devices", able, extra, remark)


def by_flexp(setting: Setting, plan: Plan) -> Alternative:
    """The plan, with existing devices."""
    costs, fleet = setting.costs, setting.fleet
    power = "energy of devices and server"
    if rented(fleet, costs):  # its price holds its energy
        servers = tuple(s.model_copy(update={"energy_watts": None}) for s in fleet.servers)
        power, fleet = "energy of the devices", fleet.model_copy(update={"servers": servers})
    figures = figures_of(plan, fleet, setting.hours_per_day)
    moved: dict[str, Decimal] = {}
    for entry in plan.clients:
        total = moved.get(entry.name, Decimal(0)) + decimal(run_bytes(entry) * entry.count)
        moved[entry.name] = total
    shares = sum(e.count * setting.curve.value(e.depth / plan.blocks) for e in plan.clients)
    accuracy = decimal(round(shares / plan.devices, 4)) if plan.devices else Decimal(0)
    source = "accuracy_flexp" if costs.has("accuracy_flexp") else "curve"
    if source == "accuracy_flexp":
        accuracy = costs.figure(source)
    lines = [
        *people(setting, plan.devices),
        *transfer(setting, lambda client: moved.get(client.name, Decimal(0)) / client.count, ()),
        energy(setting, power, figures.energy_wh),
        value(setting, plan.devices, accuracy, source, True),
    ]
    remark = f"a run takes {figures.finish_hours:.3g} h of training"
    found = _with(lines, for_server(setting, figures.server_hours))
    return finished("flexp", setting, found, plan.devices, remark)


def _fedavg(
    setting: Setting, kind: Kind, able: list[ResolvedClient], extra: Sum, remark: str
) -> Alternative:
    costs, steps = setting.costs, setting.fleet.policy.steps_per_client
    devices = sum(client.count for client in able)
    if not devices:
        return finished(kind, setting, Sum(()), 0, remark)
    local = int(costs.figure("local_steps"))
    each: dict[str, OnDevice] = {
        client.name: on_device(setting.profile, client, steps, local) for client in able
    }
    hours = max(one.hours for one in each.values())
    joules = sum(client.count * each[client.name].wh for client in able)
    rate = costs.money("small_server_per_hour")
    nothing = OnDevice(0.0, 0.0, 0.0)
    lines = [
        *extra.lines,
        *people(setting, devices),
        *transfer(
            setting,
            lambda client: decimal(each.get(client.name, nothing).run_bytes),
            ("local_steps",),
        ),
        energy(setting, "energy of the devices", joules),
        Line(
            name="server that averages",
            when="yearly",
            amount=money(-rate * decimal(hours) * setting.runs),
            how=f"{said(hours)} h × {said(setting.runs)} runs × {said(rate)}",
            assumes=("small_server_per_hour", "runs_per_year", "local_steps"),
        ),
        value(setting, devices, costs.figure("accuracy_fedavg"), "accuracy_fedavg", True),
    ]
    sent = trainable_bytes(setting.profile) / 1e6
    remarks = (remark, f"each average waits for the slowest; {sent:.3g} MB each way")
    return finished(kind, setting, Sum(tuple(lines), extra.purchases), devices, *remarks)


def _unable(clients: list[ResolvedClient]) -> str:
    counts: dict[str, int] = {}
    for client in clients:
        counts[client.device.name] = counts.get(client.device.name, 0) + client.count
    listed = ", ".join(f"{count:,} {name}" for name, count in list(counts.items())[:4])
    more = f" and {len(counts) - 4} more types" if len(counts) > 4 else ""
    return f"too little memory for the whole model: {listed}{more}"


def _with(lines: list[Line], server: Sum) -> Sum:
    return Sum((*lines, *server.lines), server.purchases)
