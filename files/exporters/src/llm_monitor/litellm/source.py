"""LiteLLM's HTTP API: the only code of this package that touches the outside world."""

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any, Protocol, TypeVar
from urllib.parse import urlencode

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.files import printable
from llm_monitor.base.upstream.complaints import Complaints, Counts
from llm_monitor.base.upstream.errors import Reason, UpstreamError
from llm_monitor.base.upstream.exposition import Point, read
from llm_monitor.base.upstream.fetch import LARGEST_BODY, Answer, Fetcher
from llm_monitor.base.upstream.listing import entries
from llm_monitor.litellm.facts import Check, Deployment, Readiness

T = TypeVar("T")

METRICS = "/metrics"
READINESS = "/health/readiness"
DETAILS = "/health/readiness/details"
MODELS = "/model/info"
CHECKS = "/health/latest"
PROBE = "/health"

# LiteLLM describes each model in 7 KB, and lists all that it has heard of behind a wildcard.
_LARGEST_LIST = 40 << 20
_UNAVAILABLE = frozenset({503})
_NO_DATABASE = "Not connected"
_VALUES = "values"


class LitellmSource(Protocol):
    """What the exporter asks LiteLLM; each call raises UpstreamError when it does not answer."""

    def readiness(self, deadline: Deadline) -> Readiness:
        """Return whether it is fit for requests."""
        ...

    def version(self, deadline: Deadline) -> str:
        """Return its version, empty when it does not tell."""
        ...

    def deployments(self, deadline: Deadline) -> list[Deployment]:
        """Return the deployments that it is configured with."""
        ...

    def points(self, wanted: frozenset[str], deadline: Deadline) -> Sequence[Point]:
        """Return those of its metrics' samples whose names are `wanted`."""
        ...

    def checks(self, deadline: Deadline) -> dict[str, Check]:
        """Return the last health check of each deployment, by its id or its model's name."""
        ...

    def probe(self, deadline: Deadline) -> dict[str, Check]:
        """Have every deployment checked, with requests that may be billed, by its id."""
        ...

    def errors(self) -> Counts:
        """Return how often a path failed for a reason since the start, by both."""
        ...


class HttpSource:
    """A LiteLLM that answers over HTTP."""

    def __init__(self, url: str, api_key: str | None, ca_file: str) -> None:
        """Ask LiteLLM at `url` with `api_key`, trusting the CAs in `ca_file` if that is given."""
        self._url = url.rstrip("/")
        self._api_key = api_key
        self._fetcher = Fetcher("litellm", ca_file or None)
        self._complaints = Complaints(__name__)
        self._filters = True

    def readiness(self, deadline: Deadline) -> Readiness:
        """Return whether LiteLLM is fit for requests."""
        return self._ask(READINESS, _readiness, deadline, also=_UNAVAILABLE)

    def version(self, deadline: Deadline) -> str:
        """Return LiteLLM's version, empty when it does not tell."""

        def told(answer: Answer) -> str:
            return _word(_mapping(answer), "litellm_version")

        # What it says without a key had the version in older ones.
        return self._ask(READINESS, told, deadline, also=_UNAVAILABLE) or self._ask(
            DETAILS, told, deadline, also=_UNAVAILABLE
        )

    def deployments(self, deadline: Deadline) -> list[Deployment]:
        """Return the deployments that LiteLLM is configured with."""
        return self._ask(MODELS, _deployments, deadline, limit=_LARGEST_LIST)

    def points(self, wanted: frozenset[str], deadline: Deadline) -> Sequence[Point]:
        """Return those of LiteLLM's samples whose names are `wanted`.

        With one worker LiteLLM gives only these, which on a proxy with many users saves most of
        the page; with several it gives nothing at all when it is asked so.
        """
        # LiteLLM mounts the page at this path and redirects from the one without the slash.
        page = f"{METRICS}/"
        query = urlencode([("name[]", name) for name in sorted(wanted)])

        def told(answer: Answer) -> Sequence[Point]:
            points = read(answer.body, wanted)
            self._complain_of_values(points.left_out)
            return points

        if self._filters:
            points = self._ask(METRICS, told, deadline, path=f"{page}?{query}")
            if points:
                return points
        points = self._ask(METRICS, told, deadline, path=page)
        self._filters = self._filters and not points
        return points

    def checks(self, deadline: Deadline) -> dict[str, Check]:
        """Return the last health checks, by deployment's id or model's name."""
        if self._ask(READINESS, _readiness, deadline, also=_UNAVAILABLE).db is None:
            # They are kept in the database: without one this would be an error for nothing.
            return {}
        return self._ask(CHECKS, _checks, deadline)

    def probe(self, deadline: Deadline) -> dict[str, Check]:
        """Have every deployment checked by real requests."""
        return self._ask(PROBE, _probed, deadline)

    def errors(self) -> Counts:
        """Return how often a path failed for a reason since the start, by both."""
        return self._complaints.counts()

    def _complain_of_values(self, left_out: int) -> None:
        if left_out:
            error = UpstreamError(Reason.NOT_FINITE, f"{left_out} values are no finite numbers")
            self._complaints.failed(METRICS, error, _VALUES)
        else:
            self._complaints.recovered(METRICS, _VALUES)

    def _ask(
        self,
        endpoint: str,
        told: Callable[[Answer], T],
        deadline: Deadline,
        *,
        path: str = "",
        also: Collection[int] = (),
        limit: int = LARGEST_BODY,
    ) -> T:
        """Return what LiteLLM tells at `endpoint`; an answer of a status in `also` is one too."""
        asking = self._fetcher.get(
            self._url + (path or endpoint),
            deadline=deadline,
            auth=self._api_key,
            also=also,
            limit=limit,
        )
        try:
            value = told(self._fetcher.run(asking, deadline))
        except UpstreamError as error:
            self._complaints.failed(endpoint, error)
            raise
        self._complaints.recovered(endpoint)
        return value


def _mapping(answer: Answer) -> Mapping[str, Any]:
    """Return an answer that has to be a JSON object."""
    told = answer.json()
    if not isinstance(told, dict):
        raise UpstreamError(Reason.UNPARSABLE, f"{answer.where}: the answer is no JSON object")
    return told


def _readiness(answer: Answer) -> Readiness:
    db = _mapping(answer).get("db")
    connected = None if db in (None, _NO_DATABASE) else db == "connected"
    return Readiness(answer.status not in _UNAVAILABLE, connected)


def _deployments(answer: Answer) -> list[Deployment]:
    """Return each deployment once for each name that it has.

    LiteLLM lists an alias like a model, with the deployments of what it stands for, and the one
    deployment behind a wildcard under all names of that kind that LiteLLM has heard of.
    """
    listed: dict[str, list[tuple[str, Deployment]]] = defaultdict(list)
    for entry in entries(answer, "data"):
        if (one := _deployment(entry)) is not None:
            listed[one.id].append((_word(_inner(entry, "litellm_params"), "model"), one))
    return [one for same in listed.values() for one in _distinct(same)]


def _distinct(same: Sequence[tuple[str, Deployment]]) -> list[Deployment]:
    """Return a deployment under its names, or under its wildcard when it has many backends."""
    deployments = {one.model: one for _, one in same}
    if len({backend for backend, _ in same}) == 1:
        return list(deployments.values())
    folders = zip(*(name.split("/")[:-1] for name in deployments), strict=False)
    common = [names[0] for names in takewhile(lambda names: len({*names}) == 1, folders)]
    model = "/".join([*common, "*"])
    first = same[0][1]
    return [replace(first, model=model, provider="", served="", kind="", context=None, prices={})]


def _deployment(entry: Mapping[str, Any]) -> Deployment | None:
    info, given = _inner(entry, "model_info"), _inner(entry, "litellm_params")
    # A team's model has a name of LiteLLM's own, with the team's id in it.
    model = _word(info, "team_public_model_name") or _word(entry, "model_name")
    if not model or not isinstance(info.get("id"), str):
        return None
    prices = {
        direction: _number(info.get(f"{direction}_cost_per_token"))
        for direction in ("input", "output")
    }
    provider, served = _backend(info, given)
    return Deployment(
        id=_word(info, "id"),
        model=model,
        provider=provider,
        served=served,
        kind=_word(info, "mode"),
        context=_number(info.get("max_input_tokens")) or _number(info.get("max_tokens")),
        prices={direction: price for direction, price in prices.items() if price is not None},
        endpoint=_word(given, "api_base"),
    )


def _backend(info: Mapping[str, Any], given: Mapping[str, Any]) -> tuple[str, str]:
    """Return the provider and the name of the model there: LiteLLM writes provider/name."""
    model, provider = _word(given, "model"), _word(given, "custom_llm_provider")
    if not provider and "/" in model:
        provider, _, model = model.partition("/")
    return provider or _word(info, "litellm_provider"), model


def _checks(answer: Answer) -> dict[str, Check]:
    found = _inner(_mapping(answer), "latest_health_checks")
    checks = {name: _check(one) for name, one in found.items() if isinstance(one, dict)}
    return {name: check for name, check in checks.items() if check is not None}


def _check(told: Mapping[str, Any]) -> Check | None:
    try:
        at = datetime.fromisoformat(str(told.get("checked_at")))
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return Check(told.get("status") == "healthy", at.timestamp())


def _probed(answer: Answer) -> dict[str, Check]:
    now = time.time()
    return {
        _word(one, "model_id"): Check(healthy, now)
        for healthy, key in ((False, "unhealthy_endpoints"), (True, "healthy_endpoints"))
        for one in entries(answer, key)
        if isinstance(one.get("model_id"), str)
    }


def _inner(told: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    inner = told.get(key)
    return inner if isinstance(inner, dict) else {}


def _word(told: Mapping[str, Any], key: str) -> str:
    word = told.get(key)
    return printable(word) if isinstance(word, str) else ""


def _number(told: object) -> float | None:
    if isinstance(told, bool) or not isinstance(told, int | float):
        return None
    # Greater than any float can be: JSON has such whole numbers, and infinity is none of ours.
    return float(told) if 0 <= told <= sys.float_info.max else None
