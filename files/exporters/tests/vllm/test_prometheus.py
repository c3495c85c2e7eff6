"""What a real Prometheus makes of the exporter and of the servers behind it."""

import pytest

from exporter_testing.process import Start
from exporter_testing.prometheus import prometheus, query
from exporter_testing.vllm import StandIn

SCRAPE_CONFIGS = """\
- job_name: vllm
  scrape_interval: 1s
  scrape_timeout: 1s
  static_configs: [{{targets: ['127.0.0.1:{port}']}}]
- job_name: vllm-engine
  scrape_interval: 5s
  scrape_timeout: 5s
  http_sd_configs: [{{url: 'http://127.0.0.1:{port}/api/v1/targets', refresh_interval: 1s}}]
"""


def test_percentiles_are_the_same_either_way(
    stand_in: StandIn, start_vllm: Start, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Prometheus finds the server through the exporter, and both tell it the same."""
    running = start_vllm({"a": stand_in().address})
    folder = tmp_path_factory.mktemp("prometheus")
    with prometheus(folder, SCRAPE_CONFIGS.format(port=running.port)) as port:
        assert query(port, 'up{job="vllm-engine",container="a",model="tiny"}') == 1
        assert query(port, 'llm_monitor_vllm_up{container="a"}') == 1
        for name in ("time_to_first_token", "inter_token_latency", "e2e_request_latency"):
            for share in (0.5, 0.9, 0.99):
                ours, theirs = (
                    query(port, f"histogram_quantile({share}, {prefix}{name}_seconds_bucket)")
                    for prefix in ("llm_monitor_vllm_", "vllm:")
                )
                assert ours == theirs
