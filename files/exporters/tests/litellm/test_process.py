"""The LiteLLM exporter as the process that the image runs."""

import json
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import httpx

from exporter_testing.hostile import HOSTILES, serving
from exporter_testing.litellm.server import KEY, StandIn, deployment
from exporter_testing.process import EXPORTER, Start, plain_environment, tool

# What the container may use.
MEMORY = 192 << 20


def test_the_output_is_as_prometheus_wants_it(proxy: StandIn, start_exporter: Start) -> None:
    settings = {"LITELLM__URL": proxy.url, "LITELLM__API_KEY": KEY, "MIN_INTERVAL": "0"}
    with proxy.uncounted():
        running = start_exporter("litellm", settings)
        running.get()
    text = running.get().text
    assert 'llm_monitor_litellm_requests_total{model="llama3-8b"} 31.0\n' in text
    command = [tool("promtool"), "check", "metrics"]
    checked = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert running.resident() < 80 << 20


def test_thousands_of_models_cost_no_more_memory_than_there_is(
    proxy: StandIn, start_exporter: Start
) -> None:
    # LiteLLM describes each in 7 KB.
    words = {f"supports_{i}": "x" * 9 for i in range(255)}
    known = [deployment(f"azure/{i}", "w", note="\U0001f680", **words) for i in range(5000)]
    data = json.dumps({"data": known}, ensure_ascii=False).encode()
    assert len(data) > 34 << 20
    proxy.pages["/model/info"] = 200, data
    running = start_exporter("litellm", {"LITELLM__URL": proxy.url, "LITELLM__TIMEOUT": "7s"})
    assert 'llm_monitor_litellm_model_configured{model="azure/*",' in running.get().text
    assert running.most_resident() < MEMORY


def test_a_key_comes_from_a_file(proxy: StandIn, start_exporter: Start, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")
    settings = {"LITELLM__URL": proxy.url, "LITELLM__API_KEY_FILE": str(tmp_path / "key")}
    running = start_exporter("litellm", settings)
    assert running.get("/api/v1/models").json()[0]["model_name"] == "llama3-8b"
    assert proxy.keys == {f"Bearer {KEY}"}
    assert KEY not in running.output.read_text()


def test_it_ends_at_once_while_litellm_hangs(start_exporter: Start) -> None:
    (silent,) = (one for one in HOSTILES if one.name == "silent")
    with serving(silent) as url:
        running = start_exporter("litellm", {"LITELLM__URL": url, "MIN_INTERVAL": "0"})

        def ask(path: str) -> None:
            with suppress(httpx.HTTPError):
                httpx.get(f"http://127.0.0.1:{running.port}{path}", timeout=10)

        asking = [
            threading.Thread(target=ask, args=(path,)) for path in ("/metrics", "/api/v1/models")
        ]
        for one in asking:
            one.start()
        assert running.terminate() < 5
        for one in asking:
            one.join()


def test_an_address_with_a_password_is_refused_without_showing_it() -> None:
    environment = {"LLM_MONITOR_LITELLM__URL": "http://user:planted@litellm:4000?key=planted"}
    done = subprocess.run(
        [EXPORTER, "--check", "litellm"],
        env={**plain_environment(), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "litellm.url (LLM_MONITOR_LITELLM__URL)" in done.stderr
    assert "planted" not in done.stderr
