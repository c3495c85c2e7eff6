# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""Data sources, and queries that a real Prometheus answers, in Grafana's data frames."""

from __future__ import annotations

import json
import math
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

UNKNOWN = {"message": "Data source not found", "messageId": "datasources.notFound", "statusCode": 404, "traceID": ""}


class DataSources:
    """The data sources of one Grafana. Those that are no Prometheus answer by `prepared`: query text → frames or error.

    `ill` has what is wrong with a data source, by its uid.
    """

    def __init__(self, prometheus: str) -> None:
        self.prometheus = prometheus
        self.ill: dict[str, str] = {}
        self.prepared: dict[str, Any] = {}
        self.sources: dict[str, dict[str, Any]] = {}
        self.asked: list[dict[str, Any]] = []
        self.add("llm-monitor-prometheus", "prometheus", isDefault=True, jsonData={"timeInterval": "1s"})
        self.add("llm-monitor-alertmanager", "alertmanager")

    def add(self, uid: str, kind: str, **more: Any) -> None:
        self.sources[uid] = {
            "id": len(self.sources) + 1,
            "uid": uid,
            "name": uid,
            "type": kind,
            "url": f"http://{kind}:1",
            "isDefault": False,
            "jsonData": {},
            **more,
        }

    def listed(self) -> list[dict[str, Any]]:
        return list(self.sources.values())

    def health(self, uid: str) -> tuple[int, Any]:
        if uid not in self.sources:
            return 404, UNKNOWN
        if self.sources[uid]["type"] == "alertmanager":
            # It has no part on the server that could be asked.
            return 404, {"message": "Plugin not found", "messageId": "plugin.notRegistered", "statusCode": 404}
        if uid in self.ill:
            return 400, {"status": "ERROR", "message": self.ill[uid], "details": {}}
        return 200, {"status": "OK", "message": "Successfully queried the API."}

    def proxied(self, uid: str, path: Sequence[str]) -> tuple[int, Any]:
        if uid not in self.sources:
            return 404, UNKNOWN
        if uid in self.ill:
            return 502, {"message": self.ill[uid]}
        return 200, {"cluster": {"status": "disabled"}, "path": "/".join(path)}

    def resource(self, uid: str, path: Sequence[str], query: dict[str, list[str]]) -> tuple[int, Any]:
        if uid not in self.sources:
            return 404, UNKNOWN
        if self.sources[uid]["type"] == "prometheus":
            return self._prometheus("/".join(path), query)
        return 200, self.prepared.get("/".join(path), {"status": "success", "data": []})

    def _prometheus(self, path: str, query: dict[str, Any]) -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(
                f"{self.prometheus}/{path}?{urlencode(query, doseq=True)}", timeout=20
            ) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)
        except OSError as error:
            return 502, {"errorType": "unavailable", "error": str(error)}

    def query(self, body: dict[str, Any]) -> tuple[int, Any]:
        """Answer a request of queries as a whole: 400 when one of them fails, with what the others gave."""
        self.asked.extend(body["queries"])
        results = {query["refId"]: self._result(query, body) for query in body["queries"]}
        failed = any("error" in result for result in results.values())
        return (400 if failed else 200), {"results": results}

    def _result(self, query: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        source = self.sources.get(query["datasource"]["uid"])
        if source is None:
            return {"error": "data source not found", "errorSource": "plugin", "status": 404}
        if source["type"] != "prometheus":
            found = self.prepared.get(query.get("rawSql") or query.get("expr") or "", [])
            return {"error": found, "status": 500} if isinstance(found, str) else {"status": 200, "frames": found}
        if query.get("instant"):
            status, said = self._prometheus("api/v1/query", {"query": query["expr"], "time": int(body["to"]) / 1000})
        else:
            times = {"start": int(body["from"]) / 1000, "end": int(body["to"]) / 1000}
            step = {"step": query["intervalMs"] / 1000}
            status, said = self._prometheus("api/v1/query_range", {"query": query["expr"], **times, **step})
        if status != 200:
            return {"error": f"{said['errorType']}: {said['error']}", "errorSource": "downstream", "status": status}
        return {"status": 200, "frames": _frames(said["data"], query["refId"])}


def _frames(data: dict[str, Any], reference: str) -> list[dict[str, Any]]:
    if data["resultType"] == "scalar":
        return [_frame({}, [data["result"]], reference)]
    return [_frame(series["metric"], series.get("values") or [series["value"]], reference) for series in data["result"]]


def _frame(labels: dict[str, str], samples: Sequence[Sequence[Any]], reference: str) -> dict[str, Any]:
    numbers = [float(value) for _time, value in samples]
    return {
        "schema": {
            "refId": reference,
            "fields": [
                {"name": "Time", "type": "time"},
                {"name": labels.get("__name__", "Value"), "type": "number", "labels": labels},
            ],
        },
        "data": {
            "values": [
                [int(float(when) * 1000) for when, _value in samples],
                # JSON has no NaN and no infinity; Grafana names their places apart.
                [number if math.isfinite(number) else None for number in numbers],
            ],
            "entities": [None, {"NaN": [place for place, number in enumerate(numbers) if math.isnan(number)]}],
        },
    }
