"""A Langfuse that wants to be asked less often, and Langfuses that misbehave in other ways."""

import json
import threading
import time

import pytest

from exporter_testing.hostile import HOSTILES, Hostile
from exporter_testing.hostile import serving as hostile_serving
from exporter_testing.langfuse.asking import Asking
from exporter_testing.langfuse.server import SECRET_KEY, Langfuse, said
from llm_monitor.base.upstream.errors import Reason, UpstreamError

LIMITED = '{"message":"Rate limit exceeded"}'


def test_what_is_limited_is_asked_again_once_it_may_be(langfuse: Langfuse, asking: Asking) -> None:
    langfuse.once = [said(429, LIMITED, retry_after="1"), said(429, LIMITED, retry_after="1")]
    assert asking.poll().source == "metrics_v2"
    first, second, third = (one.at for one in langfuse.asked[:3])
    assert second - first >= 1
    assert third - second >= 1
    assert asking.complaints.counts() == {}


def test_a_langfuse_that_wants_rest_for_long_gets_it(langfuse: Langfuse, asking: Asking) -> None:
    # The pause is as long as it is: a second of it passes between the first and the last poll.
    langfuse.once = [said(429, LIMITED, retry_after="120")]
    told = set()
    for _ in range(3):
        began = time.monotonic()
        with pytest.raises(UpstreamError) as caught:
            asking.poll(seconds=5)
        assert caught.value.reason == Reason.RATE_LIMITED
        assert time.monotonic() - began < 2
        # The same each time: what is told anew would be logged with each poll.
        told.add(str(caught.value))
    assert len(told) == len(langfuse.asked) == 1
    # The probes are no part of what is limited.
    assert asking.version() == "4.16.0"
    assert asking.complaints.counts() == {("metrics_v2", "rate_limited"): 3}


def test_a_limit_without_end_ends_the_poll(langfuse: Langfuse, asking: Asking) -> None:
    langfuse.once = [said(429, LIMITED, retry_after="0")] * 10
    with pytest.raises(UpstreamError):
        asking.poll()
    assert len(langfuse.asked) == 3


def test_a_limit_without_a_time_is_a_minute(langfuse: Langfuse, asking: Asking) -> None:
    langfuse.once = [said(429, LIMITED)]
    with pytest.raises(UpstreamError) as caught:
        asking.poll(seconds=30)
    assert caught.value.retry_after == pytest.approx(60, abs=2)


@pytest.mark.parametrize("hostile", [one for one in HOSTILES if not one.text], ids=str)
def test_a_hostile_langfuse_costs_its_answer_and_says_why(hostile: Hostile) -> None:
    with hostile_serving(hostile) as url:
        asking = Asking(url)
        for ask in (lambda: asking.poll(2), lambda: asking.version(2)):
            began = time.monotonic()
            with pytest.raises(UpstreamError) as caught:
                ask()
            assert time.monotonic() - began < 4
            assert caught.value.reason in hostile.reasons
            assert SECRET_KEY not in str(caught.value)
            assert "planted" not in str(caught.value)
    counted = {endpoint for endpoint, _ in asking.complaints.counts()}
    assert counted == {"metrics_v2", "health"}


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "null",
        '{"data": null}',
        '{"data": {}}',
        '{"data": [[]]}',
        '{"data": [1, 2]}',
        '{"rows": []}',
        "[" * 100_000,
    ],
)
def test_an_answer_of_another_form_is_told_as_that(
    langfuse: Langfuse, asking: Asking, body: str
) -> None:
    langfuse.says["/api/public/v2/metrics"] = said(200, body)
    with pytest.raises(UpstreamError) as caught:
        asking.poll()
    assert caught.value.reason == Reason.UNPARSABLE
    assert asking.complaints.counts() == {("metrics_v2", "unparsable"): 1}


@pytest.mark.parametrize(
    "moment",
    ["9999-12-31T23:59:59.999-23:59", "0001-01-01T00:00:00+23:59", "1e9", "[]", "\ud800"],
)
def test_a_time_that_no_calendar_has_is_none(
    langfuse: Langfuse, asking: Asking, moment: str
) -> None:
    rows = json.dumps({"data": [{"startTime": moment}]})
    langfuse.says["/api/public/v2/observations"] = said(200, rows)
    assert asking.poll().newest is None


def test_odd_numbers_and_names_are_left_out(langfuse: Langfuse, asking: Asking) -> None:
    odd = [
        '{"providedModelName": 7, "count_count": true, "sum_totalCost": "NaN"}',
        '{"providedModelName": "m", "name": "m", "count_count": "12", "p50_latency": []}',
        '{"providedModelName": null, "count_count": 1e400, "p95_latency": "1500"}',
        '{"providedModelName": [], "name": {}, "count_count": 3, "p95_latency": "1500"}',
        '{"providedModelName": "long", "count_count": "' + "9" * 400 + '"}',
        "{}",
    ]
    langfuse.says["/api/public/v2/metrics"] = said(200, f'{{"data": [{",".join(odd)}]}}')
    usage = asking.poll().windows["5m"]
    # What does not say how many observations it stands for is nothing, not none.
    assert [(one.model, one.observations) for one in usage.models] == [("m", 12), ("none", 3)]
    assert [one.cost for one in usage.models] == [None] * 2
    assert [one.latency for one in usage.models] == [{}, {"0.95": 1.5}]
    assert [(one.name, one.count, one.mean) for one in usage.scores or ()] == [
        ("m", 24, None),
        ("", 6, None),
    ]
    assert asking.complaints.counts() == {("metrics_v2", "not_finite"): 1}


def test_asking_ends_with_the_process(asking: Asking) -> None:
    asking.poll()
    own = [one for one in threading.enumerate() if one.name.startswith("langfuse")]
    assert own
    assert all(one.daemon for one in own)
