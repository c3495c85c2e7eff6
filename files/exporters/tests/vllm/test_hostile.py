"""Servers whose metrics are fine, but not what else they tell as JSON."""

import json

import httpx
from prometheus_client.parser import text_string_to_metric_families

from exporter_testing.hostile import in_json, serving
from exporter_testing.process import Start
from exporter_testing.vllm import StandIn

Values = dict[tuple[str, ...], float]


def model_row(name: object, number: object) -> dict[str, object]:
    return {"id": name, "object": "model", "parent": None, "max_model_len": number}


def test_a_hostile_list_of_models_costs_what_it_tells_only(
    stand_in: StandIn, start_vllm: Start
) -> None:
    hostiles = {one.name: one for one in in_json(model_row)}
    servers = {}
    for name, hostile in hostiles.items():
        with serving(hostile) as url:
            body = httpx.get(url).content
        servers[name] = stand_in(bodies={"/v1/models": body, "/version": body}).address
    running = start_vllm({"good": stand_in().address, **servers}, refresh="5s")

    def scrape() -> Values:
        return {
            (one.name.removeprefix("llm_monitor_vllm_"), *one.labels.values()): one.value
            for family in text_string_to_metric_families(running.get().text)
            for one in family.samples
        }

    found = scrape()
    assert found["max_model_length_tokens", "good", "tiny"] == 512
    for name, hostile in hostiles.items():
        assert found["up", name] == 1, name
        assert found["requests_running", name, "tiny"] == 0
        said = {key[2] for key in found if key[:2] == ("upstream_errors_total", name)}
        # A version is no list of models, and neither is as long as this.
        also = {"too_large"} if name == "long_names" else {"unparsable"}
        assert said <= {*hostile.reasons, *also} - {""}, name
        assert said, name
    assert running.get("/api/v1/models").status_code == 200
    lines = [json.loads(line) for line in running.output.read_text().splitlines()]
    told = [(one["upstream"], one["part"]) for one in lines if one["event"] == "upstream failed"]
    assert len(told) == len(set(told))
    assert running.resident() < 192 << 20
