"""Lists in JSON that are read entry by entry."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_monitor.base.upstream.errors import UpstreamError
from llm_monitor.base.upstream.fetch import Answer
from llm_monitor.base.upstream.listing import entries

Json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def answered(body: bytes) -> Answer:
    return Answer("http://there", 200, {}, body)


@given(
    st.lists(Json),
    st.dictionaries(st.text(min_size=5), Json),
    st.booleans(),
    st.sampled_from([None, 1, "\t"]),
)
def test_they_are_those_of_the_whole(
    listed: list[object], others: dict[str, object], ascii_only: bool, indent: int | str | None
) -> None:
    text = json.dumps({**others, "data": listed, "": 5}, ensure_ascii=ascii_only, indent=indent)
    expected = [one for one in listed if isinstance(one, dict)]
    assert list(entries(answered(text.encode()), "data")) == expected


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "unparsable"),
        (b"[]", "unparsable"),
        (b"{", "unparsable"),
        (b"{}", "unparsable"),
        (b'{"data": null}', "unparsable"),
        (b'{"data": {}}', "unparsable"),
        (b'{"other": [{}]}', "unparsable"),
        (b'{"data": [{}', "unparsable"),
        (b'{"data": [{}]', "unparsable"),
        (b'{"data": [{},]}', "unparsable"),
        (b'{"data": [{} {}]}', "unparsable"),
        (b'{"data": [{}]},', "unparsable"),
        (b'{"data": [{}],}', "unparsable"),
        (b'{"data" [{}]}', "unparsable"),
        (b'{"data": [' + b"[" * 100_000, "unparsable"),
        (b'{"data": [{"name": "\xff"}]}', "encoding"),
    ],
)
def test_what_is_no_such_list_is_told(body: bytes, reason: str) -> None:
    with pytest.raises(UpstreamError) as told:
        list(entries(answered(body), "data"))
    assert told.value.reason == reason
