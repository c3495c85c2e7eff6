"""What GPUs do, and what that takes."""

from __future__ import annotations

from collections.abc import Iterator

from .. import colours
from ..limits import above, alert, alert_text
from ..links import label, to
from ..panels import Face, Panel, bars, series, states
from ..queries import Query

EMPTY = "No GPU exporter reports."
CHOSEN = '{instance=~"$instance", gpu=~"$gpu"}'
GPU = "{{instance}} GPU {{gpu}}"
LINKS = (to("gpu-usage", "This GPU", instance=label("instance"), gpu=label("gpu")),)


def work() -> Iterator[Panel]:
    """Give how much of GPUs is used."""
    for title, metric, said in (
        ("Multiprocessors busy", "sm_active", "streaming multiprocessors that were busy"),
        ("Tensor cores busy", "tensor_active", "the time in which tensor cores worked, which is what models live on"),
        (
            "Memory bandwidth",
            "dram_active",
            "the memory's bandwidth that was used; reading answers token by token needs it",
        ),
    ):
        yield series(
            title,
            Query(f"llm_monitor_gpu_{metric}_ratio{CHOSEN}", GPU),
            face=Face(
                f"Share of {said}, by GPU, as the hardware measures it.",
                "percentunit",
                "No GPU measures this: Hopper and newer do.",
                least=0,
                most=1,
                links=LINKS,
            ),
            width=8,
        )


def power() -> Iterator[Panel]:
    """Give what GPUs draw, how hot they are, and whether that slows them down."""
    yield _power_of_each_gpu()
    yield _temperature()
    yield _clocks()
    yield _slowed()
    yield _energy_in_this_time()


def _power_of_each_gpu() -> Panel:
    return series(
        "Power of each GPU",
        Query(f"llm_monitor_gpu_power_watts{CHOSEN}", GPU),
        Query(f"max(llm_monitor_gpu_power_limit_watts{CHOSEN})", "limit"),
        face=Face(
            "What each GPU draws, and the limit that holds. At the limit clocks go down a little, which is as it "
            "should be under full load.",
            "watt",
            EMPTY,
            least=0,
            links=LINKS,
        ),
        width=8,
        colour={"limit": colours.LIMIT},
        dashed="limit",
    )


def _temperature() -> Panel:
    return series(
        "Temperature",
        Query('llm_monitor_gpu_temperature_celsius{instance=~"$instance", gpu=~"$gpu", sensor="die"}', GPU),
        face=Face(
            "Temperature of each die; the lines are the alerts' limits. One that is hotter than its neighbours has "
            "less air.",
            "celsius",
            EMPTY,
            above(warning=alert("GpuTemperatureHigh"), critical=alert("GpuTemperatureCritical")),
            links=LINKS,
        ),
        width=8,
    )


def _clocks() -> Panel:
    return series(
        "Clocks",
        Query('llm_monitor_gpu_clock_hertz{instance=~"$instance", gpu=~"$gpu", domain="sm"}', GPU),
        Query('max(llm_monitor_gpu_clock_max_hertz{instance=~"$instance", gpu=~"$gpu", domain="sm"})', "highest"),
        face=Face(
            "Clock of the multiprocessors. It falls when a GPU is idle, at its power limit, or too hot: the panel "
            "beside says which.",
            "hertz",
            EMPTY,
            least=0,
            links=LINKS,
        ),
        width=8,
        colour={"highest": colours.LIMIT},
        dashed="highest",
    )


def _energy_in_this_time() -> Panel:
    return bars(
        "Energy in this time",
        Query(
            f"sum by (instance, gpu) (increase(llm_monitor_gpu_energy_joules_total{CHOSEN}[$__range])) / 3.6e6",
            GPU,
        ),
        face=Face(
            "Energy that each GPU has used in the time that is shown.",
            "kwatth",
            EMPTY,
            decimals=2,
            least=0,
            links=LINKS,
        ),
        width=8,
    )


def _slowed() -> Panel:
    reasons = alert_text("GpuThrottling", "reasons")
    active = 'llm_monitor_gpu_throttle_active{instance=~"$instance", gpu=~"$gpu", reason'
    return states(
        "Slowed down",
        Query(
            "max by (instance, gpu) (\n"
            f'  3 * {active}="hw_power_brake"}}\n'
            f'  or 2 * {active}=~"{reasons}"}}\n'
            f'  or {active}=~"sw_power_cap|hw_slowdown"}}\n'
            ")",
            GPU,
        ),
        face=Face(
            "Whether clocks are held down, and why. The power limit is usual under load; heat and the power supply are "
            "not, and make models slower.",
            "short",
            EMPTY,
            meanings={
                0: ("Full speed", colours.OK),
                1: ("At its power limit", colours.INFO),
                2: ("Too hot", colours.WARNING),
                3: ("Power supply", colours.CRITICAL),
            },
            links=LINKS,
        ),
        width=16,
    )
