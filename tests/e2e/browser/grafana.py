# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""Which Grafana is looked at, and as whom: the environment says it."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.llmops.monitoring.tests.e2e.browser import marks
from playwright.sync_api import BrowserContext, StorageState


class GrafanaError(Exception):
    """No Grafana answers, or it lets nobody in."""


@dataclass(frozen=True, slots=True)
class Grafana:
    """A Grafana, and who signs in there."""

    url: str
    user: str = "admin"
    password: str = ""

    def __repr__(self) -> str:
        return f"Grafana({self.url})"


def from_environment() -> Grafana:
    """Return what GRAFANA_URL, GRAFANA_USER and GRAFANA_PASSWORD or GRAFANA_PASSWORD_FILE say.

    Raises:
        GrafanaError: When the address is none, or the file can't be read.
    """
    url = os.environ.get("GRAFANA_URL", "")
    if not url.startswith(("http://", "https://")):
        raise GrafanaError(f"GRAFANA_URL is {url!r}; it must begin with http:// or https://")
    password, file = os.environ.get("GRAFANA_PASSWORD", ""), os.environ.get("GRAFANA_PASSWORD_FILE", "")
    if file:
        try:
            password = Path(file).read_text().strip()
        except OSError as error:
            raise GrafanaError(f"GRAFANA_PASSWORD_FILE: {error}") from error
    return Grafana(url.rstrip("/"), os.environ.get("GRAFANA_USER") or "admin", password)


def check(grafana: Grafana) -> None:
    """Make sure that a Grafana answers.

    Raises:
        GrafanaError: When it doesn't; the message says how.
    """
    try:
        with urllib.request.urlopen(f"{grafana.url}/api/health", timeout=10):
            return
    except urllib.error.HTTPError as error:
        raise GrafanaError(f"{grafana.url} is not well: /api/health answers {error.code} {error.reason}") from error
    except (OSError, ValueError) as error:
        raise GrafanaError(f"{grafana.url} (GRAFANA_URL) does not answer: {error}") from error


def sign_in(grafana: Grafana, context: BrowserContext) -> StorageState:
    """Sign in by the form, as a person does, and return the session's cookies.

    Raises:
        GrafanaError: When there is no password, or Grafana refuses it; the message has its words, and no password.
    """
    if not grafana.password:
        wanted = "set GRAFANA_PASSWORD_FILE to a file with it, or GRAFANA_PASSWORD"
        raise GrafanaError(f"{grafana.url} wants a password: {wanted}")
    page = context.new_page()
    page.goto(f"{grafana.url}/login")
    page.locator(marks.by_id(marks.USERNAME)).fill(grafana.user)
    page.locator(marks.by_id(marks.PASSWORD)).fill(grafana.password)
    page.locator(marks.by_id(marks.LOGIN)).click()
    page.wait_for_function(
        "alert => !location.pathname.endsWith('/login') || document.querySelector(alert)",
        arg=marks.by_id(marks.ALERT),
    )
    refusal = page.locator(marks.by_id(marks.ALERT))
    if refusal.count():
        words = " ".join(refusal.first.inner_text().split())
        raise GrafanaError(f"{grafana.url} does not let {grafana.user} in: {words}")
    page.close()
    return context.storage_state()
