# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which URLs a service can be told of, and which of them lead a container to itself."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.llmops.monitoring.plugins.module_utils import _address_rules as rules

# The URL of a database → the hosts that it leads to.
DATABASES = {
    "postgresql://r:p@db/l": ["db"],
    "postgresql+psycopg://r:p@db:5432/l": ["db"],
    "POSTGRESQL://db": ["db"],
    "postgresql://r:a/b?c#d@db/l": ["db"],
    "postgresql://me@tenant:p@db/l?sslmode=require": ["db"],
    "postgresql://r:p@[fd00::1]:5432/l": ["fd00::1"],
    "postgresql://r:p@/l?host=a:5432&host=b": ["a", "b"],
    "postgresql://r:p@db/l?host=/run/postgresql": ["/run/postgresql"],
    "clickhouse://r:p@ch:8123/default": ["ch"],
    "clickhousedb+connect://r:p%2Fq@CH:8443/default?secure=true": ["CH"],
    "clickhouse+https://ch": ["ch"],
}
NO_DATABASES: list[Any] = [
    "",
    "db",
    "mysql://r:p@db/l",
    "postgres://r:p@db/l",
    "postgresql:/db/l",
    "postgresql://",
    "postgresql:///l",
    "postgresql://r:p@/l",
    "postgresql://r:p@db:/l",
    "postgresql://r:p@db:0/l",
    "postgresql://r:p@db:65536/l",
    "postgresql://r:p@db:five/l",
    "postgresql://r:p@q@db/l",
    "postgresql://r:p@db/l ",
    "postgresql://r:p@db/l\n",
    "postgresql://r:p q@db/l",
    "clickhouse+native://ch:9000/default",
    "clickhouse://r:a/b@ch/default",
    "clickhouse://r:[p@ch/default",
    1,
    None,
]


@pytest.mark.parametrize(("url", "hosts"), DATABASES.items())
def test_where_a_database_is(url: str, hosts: list[str]) -> None:
    assert rules.is_database_url(url)
    assert rules.database_hosts(url) == hosts


@pytest.mark.parametrize("url", NO_DATABASES)
def test_what_is_no_database(url: Any) -> None:
    assert not rules.is_database_url(url)


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LocalHost.", "localhost.localdomain", "a.localhost", "ip6-localhost", "ip6-loopback"),
        *("127.0.0.1", "127.0.1.1", "127.1", "0x7f.1", "2130706433", "0.0.0.0", "0", "::1", "::", "::ffff:127.0.0.1"),
        "/run/postgresql",
    ],
)
def test_what_a_container_takes_for_itself(host: str) -> None:
    assert rules.is_own_host(host)


@pytest.mark.parametrize(
    "host", ["litellm", "localhosts", "my-localhost", "10.0.0.1", "128.0.0.1", "fd00::1", "::ffff:10.0.0.1", ""]
)
def test_what_is_another_host(host: str) -> None:
    assert not rules.is_own_host(host)
