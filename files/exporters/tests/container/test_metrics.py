"""The declarations."""

from llm_monitor.base import catalogue
from llm_monitor.container.metrics import FAMILIES

CADVISOR = {
    "cpu": [
        *("usage_seconds_total", "user_seconds_total", "system_seconds_total"),
        *("cfs_periods_total", "cfs_throttled_periods_total", "cfs_throttled_seconds_total"),
    ],
    "memory": ["usage_bytes", "working_set_bytes", "rss", "cache", "swap"],
    "network": [
        *("receive_bytes_total", "receive_packets_total"),
        *("receive_errors_total", "receive_packets_dropped_total"),
        *("transmit_bytes_total", "transmit_packets_total"),
        *("transmit_errors_total", "transmit_packets_dropped_total"),
    ],
    "fs": ["reads_bytes_total", "writes_bytes_total"],
    "spec": ["memory_limit_bytes", "cpu_quota", "cpu_period"],
    "start": ["time_seconds"],
    "last": ["seen"],
    "oom": ["events_total"],
}


def test_the_catalogue_lists_cadvisors_names_with_its_labels() -> None:
    families = {family.name: family for family in catalogue.families("container")}
    assert set(families) == {family.name for family in FAMILIES}
    names = [f"container_{part}_{one}" for part, rest in CADVISOR.items() for one in rest]
    for name in [*names, "container_processes"]:
        assert families[name].labels[:3] == ("id", "name", "image")
        assert f"| `{name}` |" in catalogue.markdown()


def test_our_own_families_name_the_container_first() -> None:
    own = [family for family in FAMILIES if family.name.startswith("llm_monitor_container_")]
    assert own
    assert all(family.labels[0] == "container" for family in own)
