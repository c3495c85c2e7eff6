# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""Alloy's configuration is one: blocks and arguments that Alloy knows, references that lead somewhere, few labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import re2
from ansible_collections.llmops.monitoring.tests.unit.roles.alloy import components, rendering, syntax
from ansible_collections.llmops.monitoring.tests.unit.roles.alloy.syntax import Block, Reference

VARIANTS: dict[str, dict[str, Any]] = {
    "everything": rendering.EVERYTHING,
    "usual": {"__alloy_journals": rendering.JOURNAL},
    "nothing": {"alloy_containers": False},
}


@pytest.fixture(params=VARIANTS)
def root(request: pytest.FixtureRequest) -> Block:
    return rendering.config(**VARIANTS[request.param])


def references(value: Any) -> Iterator[str]:
    if isinstance(value, Reference):
        yield value.path
    elif isinstance(value, (list, dict)):
        for one in value.values() if isinstance(value, dict) else value:
            yield from references(one)


def problems(block: Block, arguments: set[str]) -> Iterator[str]:
    """Yield what a block has that Alloy does not know, or lacks."""
    known = {name.removesuffix("!") for name in arguments}
    yield from (f"{block.address}: unknown {name}" for name in block.attributes if name not in known)
    needed = {name.removesuffix("!") for name in arguments if name.endswith("!")}
    yield from (f"{block.address}: lacks {name}" for name in needed - set(block.attributes))
    inner = components.BLOCKS.get(block.name, {})
    for one in block.blocks:
        if one.name in inner:
            yield from problems(one, inner[one.name])
        else:
            yield f"{block.address}: unknown block {one.name}"


def test_alloy_knows_every_block_and_argument(root: Block) -> None:
    assert not root.attributes
    assert [one.name for one in root.blocks if one.name not in components.COMPONENTS] == []
    assert [text for one in root.blocks for text in problems(one, components.COMPONENTS[one.name])] == []
    addresses = [one.address for one in root.blocks]
    assert len(addresses) == len(set(addresses))


def test_every_reference_leads_to_what_a_component_exports(root: Block) -> None:
    exported = {f"{one.address}.{name}" for one in root.blocks for name in components.EXPORTS.get(one.name, ())}
    used = {path for one in root.all() for value in one.attributes.values() for path in references(value)}
    assert used - exported == set()
    # Nothing is read that goes nowhere, and nothing is declared that nobody feeds.
    for one in root.blocks:
        if one.name == "loki.source.docker":
            assert {"discovery.relabel.containers.output", "discovery.relabel.containers.rules"} <= used
    assert "loki.write.loki.receiver" in used


def test_every_expression_is_one_of_re2(root: Block) -> None:
    for block in root.all():
        for name in ("expression", "firstline", "regex"):
            if name in block.attributes:
                compiled = re2.compile(block.attributes[name])
                assert compiled.groups or name != "expression", block.attributes[name]


def test_streams_have_four_labels_and_the_rest_is_metadata(root: Block) -> None:
    every = rendering.block(root, "loki.process.every")
    (kept,) = every.named("stage.label_keep")
    assert kept.attributes["values"] == ["service", "container", "level"]
    assert every.blocks[-1] is kept
    write = rendering.block(root, "loki.write.loki")
    assert write.attributes["external_labels"] == {"instance": "gpu-01"}
    (metadata,) = every.named("stage.structured_metadata")
    assert {"stream", "container_id", "unit", "identifier", "filename"} <= set(metadata.attributes["values"])


def test_nothing_is_given_up_while_loki_is_away(root: Block) -> None:
    (endpoint,) = rendering.block(root, "loki.write.loki").blocks
    assert endpoint.attributes["max_backoff_retries"] == 0
    # Experimental, and the queue without it waits as well.
    assert "wal" not in rendering.text()


def test_what_piled_up_while_loki_was_away_is_sent_slowly_and_whole(root: Block) -> None:
    every = rendering.block(root, "loki.process.every")
    (limit,) = every.named("stage.limit")
    assert limit.attributes == {"rate": 5000, "burst": 5000, "drop": False}
    # Nothing is left out but what Loki would refuse; and no source forgets its place before that.
    (drop,) = every.named("stage.drop")
    for journal in (one for one in root.blocks if one.name == "loki.source.journal"):
        assert journal.attributes["max_age"] == drop.attributes["older_than"] == "168h"


def test_secrets_go_before_a_line_is_cut(root: Block) -> None:
    names = [stage.name for stage in rendering.block(root, "loki.process.every").blocks]
    assert names.index("stage.truncate") > max(index for index, name in enumerate(names) if name == "stage.replace")


def test_everything_is_read_that_there_is() -> None:
    sources = {one.address for one in rendering.config(**rendering.EVERYTHING).blocks if ".source." in one.name}
    assert sources == {
        "loki.source.docker.containers",
        "loki.source.journal.journal",
        "loki.source.file.files",
        "loki.source.file.mock",
    }
    usual = {one.address for one in rendering.config().blocks if ".source." in one.name}
    assert usual == {"loki.source.docker.containers"}


def test_loki_of_this_host_and_behind_a_proxy() -> None:
    def endpoint(**variables: Any) -> Block:
        (found,) = rendering.block(rendering.config(**variables), "loki.write.loki").blocks
        return found

    assert endpoint().attributes["url"] == "http://loki:3100/loki/api/v1/push"
    proxied = endpoint(**rendering.EVERYTHING)
    assert proxied.attributes["url"] == "https://loki.example.com/loki/api/v1/push"
    (login,) = proxied.blocks
    assert login.attributes == {"username": "shipper", "password_file": "/run/secrets/loki_password"}
    assert "sw0rdfish" not in rendering.text(**rendering.EVERYTHING)


def test_containers_can_be_left_out_by_their_names_alone() -> None:
    relabel = rendering.block(rendering.config(**rendering.EVERYTHING), "discovery.relabel.containers")
    (drop,) = [rule for rule in relabel.blocks if rule.attributes.get("action") == "drop"]
    expression = re2.compile(drop.attributes["regex"])
    assert expression.fullmatch("chatty")
    assert expression.fullmatch("a.b")
    assert not expression.fullmatch("aXb")


def test_the_same_variables_give_the_same_file() -> None:
    assert rendering.text(**rendering.EVERYTHING) == rendering.text(**rendering.EVERYTHING)


@pytest.mark.parametrize(
    "wrong",
    [
        'a "b" {',
        "a {\n  b = \n}\n",
        "a { }\n}\n",
        "a {\n  b = [1\n  ]\n}\n",
        'a {\n  b = "x\\y"\n}\n',
        "a {\n  b = 1 c = 2\n}\n",
        "a {\n  b = 1\n  b = 2\n}\n",
        "a {\n  b = `c`\n}\n",
    ],
)
def test_the_reader_refuses_what_is_no_configuration(wrong: str) -> None:
    with pytest.raises(syntax.SyntaxProblem):
        syntax.read(wrong)
