# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""grafana_service_account against a server that keeps accounts and tokens as Grafana does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.llmops.monitoring.plugins.modules import grafana_service_account as module
from ansible_collections.llmops.monitoring.tests.grafana_stand_in.server import (
    PASSWORD,
    Fault,
    GrafanaStandIn,
    running,
)
from exporter_testing.process import free_port

Account = Callable[..., dict[str, Any]]


@pytest.fixture
def grafana() -> Iterator[GrafanaStandIn]:
    with running() as stand_in:
        yield stand_in


@pytest.fixture
def account(run_module: Any, grafana: GrafanaStandIn) -> Account:
    """Return a function that runs the module for the account `reports`."""

    def run(check_mode: bool = False, **options: Any) -> dict[str, Any]:
        args = {"url": grafana.url, "username": "admin", "password": PASSWORD, "name": "reports", **options}
        result: dict[str, Any] = run_module(module.main, args, check_mode=check_mode)
        return result

    return run


def writes(grafana: GrafanaStandIn) -> list[tuple[str, ...]]:
    return [(request.method, *request.path) for request in grafana.requests if request.method != "GET"]


def test_an_account_is_made_once(account: Account, grafana: GrafanaStandIn) -> None:
    first, second = account(), account()
    assert (first["changed"], second["changed"]) == (True, False)
    assert first["diff"] == {"before": {}, "after": {"name": "reports", "role": "Viewer", "disabled": False}}
    assert second["account"] == first["account"]
    assert first["account"]["id"] == grafana.accounts.named("reports")["id"]
    assert "token" not in first
    assert len(writes(grafana)) == 1


@pytest.mark.parametrize(("option", "key", "value"), [("role", "role", "Editor"), ("disabled", "isDisabled", True)])
def test_what_differs_is_changed(account: Account, grafana: GrafanaStandIn, option: str, key: str, value: Any) -> None:
    account()
    assert account(**{option: value})["changed"]
    assert grafana.accounts.named("reports")[key] == value
    assert not account(**{option: value})["changed"]


def test_only_the_account_of_just_this_name_is_meant(
    account: Account, grafana: GrafanaStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 2)
    for number in range(5):
        account(name=f"reports-{number}")
    assert account()["changed"]
    assert not account()["changed"]
    assert account(state="absent")["changed"]
    assert len(grafana.accounts.accounts) == 5


def test_an_account_that_is_gone_stays_gone(account: Account, grafana: GrafanaStandIn) -> None:
    account()
    removed = account(state="absent")
    assert removed["diff"]["after"] == {}
    assert not account(state="absent")["changed"]
    assert not grafana.accounts.accounts


def test_check_mode_tells_and_changes_nothing(account: Account, grafana: GrafanaStandIn) -> None:
    assert account(check_mode=True, token="")["diff"]["after"]["new token"] == "llm-monitor"
    assert account(check_mode=True, state="absent")["changed"] is False
    account()
    assert account(check_mode=True, role="Admin")["changed"]
    assert account(check_mode=True, state="absent")["changed"]
    assert len(writes(grafana)) == 1


# ------------------------------------------------------------ tokens


def test_a_token_is_issued_once_and_works(account: Account, grafana: GrafanaStandIn) -> None:
    issued = account(token="")
    assert grafana.accounts.role_of_token(issued["token"]) == "Viewer"
    again = account(token=issued["token"])
    assert again["changed"] is False
    assert issued["token"] not in json.dumps(again)


def test_a_token_that_grafana_no_longer_takes_is_issued_anew(account: Account, grafana: GrafanaStandIn) -> None:
    first = account(token="")["token"]
    number = grafana.accounts.named("reports")["id"]
    (token,) = grafana.accounts.tokens[number].values()

    token["hasExpired"] = True
    second = account(token=first)["token"]
    assert second != first
    assert len(grafana.accounts.tokens[number]) == 1

    grafana.accounts.tokens[number].clear()
    third = account(token=second)
    assert third["changed"]
    assert third["diff"]["after"]["new token"] == "llm-monitor"

    # One of another Grafana, as after a lost volume: the name is there, the token is another.
    fourth = account(token="glsa_of_another_grafana")
    assert grafana.accounts.role_of_token(fourth["token"]) == "Viewer"
    assert grafana.accounts.role_of_token(third["token"]) is None


def test_tokens_of_other_names_are_left_alone(account: Account, grafana: GrafanaStandIn) -> None:
    mine = account(token="", token_name="mine")["token"]
    account(token="")
    account(token="lost")
    assert grafana.accounts.role_of_token(mine) == "Viewer"


def test_a_disabled_account_keeps_its_token(account: Account) -> None:
    token = account(token="")["token"]
    account(token=token, disabled=True)
    assert not account(token=token, disabled=True)["changed"]


# ------------------------------------------------------------ faults


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault("/serviceaccounts", body=b"<html>Sign in</html>"), "is no Grafana: it gives other than JSON"),
        (Fault("/serviceaccounts", body=b"[]"), "is no Grafana"),
        (Fault("/serviceaccounts", body=b'{"serviceAccounts": [7]}'), "is no Grafana"),
        (
            Fault("/serviceaccounts", body=b'{"serviceAccounts": [{"id": 1}], "totalCount": "many"}'),
            "does not tell its",
        ),
        (Fault("/serviceaccounts", body=b"[" * 100_000), "is no Grafana"),
        (Fault("/serviceaccounts", is_cut=True), "its answer ends in the middle"),
        (Fault("/serviceaccounts", 500, b'{"message": "Internal error."}'), "fails (status 500): Internal error."),
        (Fault("/serviceaccounts", 502, b"<html>Bad Gateway</html>"), "fails (status 502): <html>Bad Gateway</html>."),
        (Fault("/serviceaccounts", 503), "fails (status 503): no reason given."),
        (Fault("/serviceaccounts", 302, location="https://sso.example/"), "sends on to https://sso.example/"),
        (Fault("/serviceaccounts", delay=3), "no answer in time"),
    ],
    ids=["html", "list", "numbers", "total", "deep", "cut", "500", "502", "503", "redirect", "slow"],
)
def test_what_is_wrong_is_told_with_what_to_do(
    account: Account, grafana: GrafanaStandIn, fault: Fault, message: str
) -> None:
    grafana.faults.append(fault)
    result = account(timeout=1 if fault.delay else 10)
    assert result["failed"]
    assert message in result["msg"]
    assert result["msg"].startswith("The account reports: ")
    assert PASSWORD not in json.dumps(result)


def test_a_wrong_password_is_told_apart_from_missing_rights(
    account: Account, grafana: GrafanaStandIn, run_module: Any
) -> None:
    assert "refuses these credentials (status 401: Invalid username or password)" in account(password="wrong")["msg"]
    token = account(token="")["token"]
    access = {"url": grafana.url, "api_token": token, "name": "reports"}
    refused = run_module(module.main, access)
    assert "Permissions needed: serviceaccounts:read" in refused["msg"]
    assert "Take an account with more rights" in refused["msg"]


def test_a_token_that_is_not_told_is_asked_for_again(account: Account, grafana: GrafanaStandIn) -> None:
    account()
    grafana.faults.append(Fault(r"/tokens$", body=b'[{"id": 1}]', times=1))
    grafana.faults.append(Fault(r"/tokens$", body=b'{"id": 2, "name": "llm-monitor"}', times=1))
    assert "does not tell it. Run the task again" in account(token="")["msg"]
    assert account(token="")["token"].startswith("glsa_")


def test_below_a_path_and_with_strange_names(account: Account, grafana: GrafanaStandIn) -> None:
    grafana.prefix = "/grafana"
    name = "a/b & c?"
    assert account(url=f"{grafana.url}/grafana/", name=name)["changed"]
    assert not account(url=f"{grafana.url}/grafana", name=name)["changed"]
    assert grafana.accounts.named(name)


def test_nobody_listening_and_wrong_addresses_are_told(account: Account) -> None:
    port = free_port()
    assert "does not answer: Connection refused" in account(url=f"http://127.0.0.1:{port}")["msg"]
    for url in ("localhost:3000", "ftp://localhost", "http://localhost:web", "http://"):
        assert "give one such as http://127.0.0.1:3000" in account(url=url)["msg"]
    assert "where they stay hidden" in account(url="http://admin:secret@localhost:3000")["msg"]
