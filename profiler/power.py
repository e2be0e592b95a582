"""Battery and power saving: reasons why a speed may not hold."""

from __future__ import annotations

from pathlib import Path

import psutil
from pydantic import NonNegativeFloat

from ..catalog.files import Contract

SYS = Path("/sys")
OWN_POLICY_DRIVERS = ("intel_pstate", "amd-pstate-epp")
"""With these, the governor named powersave is the usual one, and no slow mode."""


class PowerReport(Contract):
    """None: the system does not say."""

    battery_percent: NonNegativeFloat | None
    on_battery: bool | None
    saving: str | None
    """The setting that slows the processor down; empty: none does (Linux only)."""

    @property
    def note(self) -> str | None:
        """What to doubt of a speed that was measured in this state."""
        states = []
        if self.on_battery:
            left = "" if self.battery_percent is None else f" ({self.battery_percent:.0f}%)"
            states.append(f"ran on battery{left}")
        if self.saving:
            states.append(f"was saving power ({self.saving})")
        if not states:
            return None
        return f"the machine {' and '.join(states)}: on mains at full power its speed may differ"


def power_state(sys: Path = SYS) -> PowerReport:
    """The state now. `sys` is where Linux shows it."""
    try:
        battery = psutil.sensors_battery()
    except (AttributeError, OSError):  # not made for this system, or apps may not look (Android)
        battery = None
    plugged = None if battery is None else battery.power_plugged
    return PowerReport(
        battery_percent=None if battery is None else battery.percent,
        on_battery=None if plugged is None else not plugged,
        saving=_saving(sys),
    )


def _saving(sys: Path) -> str | None:
    frequency = sys / "devices/system/cpu/cpu0/cpufreq"
    profile = _text(sys / "firmware/acpi/platform_profile")
    preference = _text(frequency / "energy_performance_preference")
    governor, driver = _text(frequency / "scaling_governor"), _text(frequency / "scaling_driver")
    if profile in ("low-power", "quiet"):
        return f"platform profile {profile}"
    if preference == "power":
        return "energy preference power"
    if governor == "powersave" and driver not in OWN_POLICY_DRIVERS:
        return "governor powersave"
    return "" if profile or preference or governor else None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
