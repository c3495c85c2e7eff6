"""What each generation of the API tells, number by number, and how one gives way to the next."""

import json

import pytest

from exporter_testing.langfuse.asking import Asking
from exporter_testing.langfuse.checks import check_all, check_use
from exporter_testing.langfuse.data import Project, expect, project
from exporter_testing.langfuse.server import (
    GENERATIONS,
    PUBLIC_KEY,
    SECRET_KEY,
    Langfuse,
    said,
    serving,
)
from llm_monitor.base.upstream.errors import Reason, UpstreamError
from llm_monitor.langfuse.facts import WINDOWS, ModelUse, fold_models
from llm_monitor.langfuse.web import repository

V2, V1, DAILY = GENERATIONS


def test_the_newest_generation_tells_everything(langfuse: Langfuse, asking: Asking) -> None:
    poll = asking.poll()
    assert poll.source == "metrics_v2"
    assert poll.newest == pytest.approx(langfuse.project.newest(), abs=1e-3)
    assert list(poll.windows) == list(WINDOWS)
    for window, usage in poll.windows.items():
        expected = expect(langfuse.project, window)
        check_all(usage, expected)
        assert (usage.sessions, usage.users) == (expected.sessions, expected.users)
    assert langfuse.paths() == [V2] * 15 + ["/api/public/v2/observations"]
    assert asking.complaints.counts() == {}


def test_without_what_is_not_documented_sessions_and_users_are_absent(
    langfuse: Langfuse, asking: Asking
) -> None:
    langfuse.documented_only = True
    poll = asking.poll()
    assert poll.source == "metrics_v2"
    for window, usage in poll.windows.items():
        check_all(usage, expect(langfuse.project, window))
        assert (usage.sessions, usage.users) == (None, None)
    assert asking.complaints.counts() == {}


def test_the_generation_before_tells_everything_too(langfuse: Langfuse, asking: Asking) -> None:
    langfuse.lacks(V2)
    poll = asking.poll()
    assert poll.source == "metrics"
    assert poll.newest == max(one.at for one in langfuse.project.traces)
    for window, usage in poll.windows.items():
        expected = expect(langfuse.project, window)
        check_all(usage, expected)
        assert (usage.sessions, usage.users) == (expected.sessions, expected.users)


def test_without_a_model_and_with_an_empty_one_is_the_same(
    langfuse: Langfuse, asking: Asking
) -> None:
    rows = (
        {"name": "a", "providedModelName": None, "count_count": "5", "sum_inputTokens": "7"},
        {"name": "b", "providedModelName": "", "count_count": "3", "sum_inputTokens": "2"},
    )
    timed = [{**row, "p50_latency": 7} for row in rows]
    langfuse.says[V2] = said(200, json.dumps({"data": timed}))
    expected = ModelUse("none", 8, errors=8, input_tokens=9)
    for usage in asking.poll().windows.values():
        assert fold_models(usage.models, 50) == [expected]


@pytest.mark.parametrize("page", [50, 1])
def test_the_oldest_generation_tells_what_it_knows(
    langfuse: Langfuse, asking: Asking, page: int
) -> None:
    langfuse.lacks(V2)
    langfuse.lacks(V1)
    langfuse.page = page
    poll = asking.poll()
    assert poll.source == "metrics_daily"
    for window, usage in poll.windows.items():
        models = check_use(usage, expect(langfuse.project, window))
        assert (usage.sessions, usage.users, usage.scores) == (None, None, None)
        assert all(one.errors is None for one in models.values())
        assert not any(one.latency or one.first_token for one in models.values())
    pages = {one.params["page"] for one in langfuse.asked if one.path == DAILY}
    # A window of a day may lie within one date, just before midnight.
    since = langfuse.project.now - WINDOWS["24h"]
    dates = {int(one.start // 86400) for one in langfuse.project.observations if one.start >= since}
    assert len(pages) == (len(dates) if page == 1 else 1)


def test_days_without_end_are_given_up(langfuse: Langfuse, asking: Asking) -> None:
    langfuse.lacks(V2)
    langfuse.lacks(V1)
    langfuse.says[DAILY] = said(200, '{"data": [], "meta": {"totalPages": 1000000000}}')
    with pytest.raises(UpstreamError) as caught:
        asking.poll()
    assert caught.value.reason == Reason.TOO_LARGE
    assert langfuse.paths().count(DAILY) == 20


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, '{"message":"v2 APIs are not available","error":"LangfuseNotFoundError"}'),
        (404, "<!DOCTYPE html><html><body>404</body></html>"),
        (400, '{"message":"Invalid request data"}'),
        (403, '{"message":"Access denied"}'),
        (405, '{"message":"Method not allowed"}'),
        (501, '{"message":"Not implemented"}'),
    ],
)
def test_however_a_generation_is_missing_the_next_is_asked_and_remembered(
    langfuse: Langfuse, asking: Asking, status: int, body: str
) -> None:
    langfuse.lacks(V2, status, body)
    assert asking.poll().source == "metrics"
    assert langfuse.paths().count(V2) == 1
    assert asking.poll().source == "metrics"
    assert langfuse.paths().count(V2) == 1
    assert asking.complaints.counts() == {}


def test_the_newest_is_tried_again_after_a_while(
    langfuse: Langfuse, asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    langfuse.lacks(V2)
    assert asking.poll().source == "metrics"
    del langfuse.says[V2]
    assert asking.poll().source == "metrics"
    monkeypatch.setattr(repository, "_NEWEST_AGAIN_SECONDS", 0.0)
    assert asking.poll().source == "metrics_v2"


def test_a_generation_that_goes_away_is_replaced(langfuse: Langfuse, asking: Asking) -> None:
    langfuse.lacks(V2)
    assert asking.poll().source == "metrics"
    langfuse.lacks(V1)
    langfuse.lacks(DAILY)
    del langfuse.says[V2]
    with pytest.raises(UpstreamError):
        asking.poll()
    assert asking.poll().source == "metrics_v2"


@pytest.mark.parametrize(("status", "reason"), [(401, "unauthorized"), (500, "status")])
def test_what_is_wrong_with_all_generations_is_no_reason_to_ask_an_older_one(
    langfuse: Langfuse, asking: Asking, status: int, reason: str
) -> None:
    langfuse.says[V2] = said(status, "{}")
    with pytest.raises(UpstreamError) as caught:
        asking.poll()
    assert caught.value.reason == reason
    assert langfuse.paths() == [V2]
    assert asking.complaints.counts() == {("metrics_v2", reason): 1}


def test_keys_that_may_see_nothing_are_told_as_that(langfuse: Langfuse, asking: Asking) -> None:
    langfuse.lacks(V2, 404)
    langfuse.lacks(V1, 403)
    langfuse.lacks(DAILY, 404)
    with pytest.raises(UpstreamError) as caught:
        asking.poll()
    assert caught.value.reason == Reason.UNAUTHORIZED
    assert asking.complaints.counts() == {("metrics", "unauthorized"): 1}


def test_a_langfuse_that_has_no_generation_is_counted(langfuse: Langfuse, asking: Asking) -> None:
    for path in GENERATIONS:
        langfuse.lacks(path)
    with pytest.raises(UpstreamError, match="status 404"):
        asking.poll()
    assert langfuse.paths() == [*GENERATIONS]
    assert asking.complaints.counts() == {("metrics_v2", "status"): 1}


def test_wrong_keys(langfuse: Langfuse) -> None:
    asking = Asking(langfuse.url, secret_key="sk-lf-wrong")
    with pytest.raises(UpstreamError) as caught:
        asking.poll()
    assert caught.value.reason == Reason.UNAUTHORIZED
    assert "sk-lf" not in str(caught.value)


def test_keys_go_only_where_they_are_needed(langfuse: Langfuse, asking: Asking) -> None:
    asking.poll()
    assert asking.version() == "4.16.0"
    assert asking.ready() is True
    for one in langfuse.asked:
        probe = one.path in {"/api/public/health", "/api/public/ready"}
        assert ("authorization" in one.headers) is not probe
        assert not {PUBLIC_KEY, SECRET_KEY} & {*one.params.values(), *one.params}


@pytest.mark.parametrize(
    ("path", "status", "ready"),
    [("ready", 503, False), ("ready", 500, False), ("ready", 404, None)],
)
def test_readiness(
    langfuse: Langfuse, asking: Asking, path: str, status: int, ready: bool | None
) -> None:
    langfuse.says[f"/api/public/{path}"] = said(status, '{"status":"no"}')
    assert asking.ready() is ready
    assert asking.complaints.counts() == {}


def test_a_langfuse_without_its_database_is_not_up(langfuse: Langfuse, asking: Asking) -> None:
    langfuse.says["/api/public/health"] = said(503, '{"status":"Database not available"}')
    with pytest.raises(UpstreamError):
        asking.version()
    assert asking.complaints.counts() == {("health", "status"): 1}


@pytest.mark.parametrize("generation", range(3))
def test_a_langfuse_without_data(generation: int) -> None:
    with serving(Langfuse(Project(0.0))) as langfuse:
        for path in GENERATIONS[:generation]:
            langfuse.lacks(path)
        poll = Asking(langfuse.url).poll()
    assert poll.newest is None
    for usage in poll.windows.values():
        assert usage.traces == 0
        assert usage.sessions in (0, None)
        assert not usage.models
        assert not usage.scores


def test_what_tells_the_datas_age_is_not_worth_the_rest(langfuse: Langfuse, asking: Asking) -> None:
    langfuse.says["/api/public/v2/observations"] = said(500, "{}")
    poll = asking.poll()
    assert poll.newest is None
    assert poll.windows["24h"].traces == expect(langfuse.project, "24h").traces
    assert asking.complaints.counts() == {("observations", "status"): 1}


def test_more_sessions_than_can_be_listed_are_absent() -> None:
    made = project(traces=4)
    one = made.traces[0]
    made.traces += [
        type(one)(f"more-{number}", made.now - 60, None, f"session-{number}")
        for number in range(1000)
    ]
    with serving(Langfuse(made)) as langfuse:
        langfuse.lacks(V2)
        usage = Asking(langfuse.url).poll().windows["1h"]
    assert usage.sessions is None
    assert usage.users == expect(made, "1h").users
    assert usage.traces == expect(made, "1h").traces
