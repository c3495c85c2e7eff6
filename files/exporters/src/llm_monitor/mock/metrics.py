"""The mock's own metric families; all others are those of the exporters that it plays."""

from llm_monitor.base.metrics.family import COUNTER, GAUGE, Family

SCENARIO_INFO = Family(
    "llm_monitor_mock_scenario_info",
    GAUGE,
    "1, with the scenario that is played: what this instance gives is simulated.",
    ("scenario",),
)
VIRTUAL_TIME = Family(
    "llm_monitor_mock_virtual_time_seconds",
    GAUGE,
    "The simulation's Unix time, which may run ahead of the clock.",
    unit="seconds",
)

LOG_LINES = Family(
    "llm_monitor_mock_log_lines_total",
    COUNTER,
    "Log lines of simulated containers: written, left out as there were too many, or failed.",
    ("result",),
)

FAMILIES = (SCENARIO_INFO, VIRTUAL_TIME, LOG_LINES)
