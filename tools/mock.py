"""Lets the demo's simulation play a scenario, or lists those that it can play: mock.py [SCENARIO].

Environment: MOCK_URL is where the mock answers if it is not the demo's, and MOCK_TOKEN_FILE a file with the bearer
token that it wants, if it wants one.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import textwrap
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

DEMO = "http://127.0.0.1:9910"
# Only root may read it, and only the demo's mock gets to see it.
DEMO_TOKEN = "/opt/llm-monitor/secrets/exporters/bearer_token"


class Mock:
    """The API of a mock."""

    def __init__(self, url: str, token_file: str) -> None:
        """Ask the mock at `url`, with the token in a file.

        Raises:
            SystemExit: When that is no URL.
        """
        if not url.lower().startswith(("http://", "https://")):
            sys.exit(f"MOCK_URL is {url}; it must begin with http:// or https://")
        self.url = url.rstrip("/")
        self.token_file = token_file

    def ask(self, method: str, path: str, body: dict[str, str] | None = None) -> tuple[int, Any]:
        """Return the status and the content of an answer.

        Raises:
            SystemExit: When nothing answers, or something that is no mock, or it wants another token.
        """
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(f"{self.url}/api/v1/{path}", data, self._headers(), method=method)
        status, told = self._send(request)
        try:
            return status, json.loads(told)
        except ValueError:
            sys.exit(f"{self.url} is no mock: its answer is no JSON")

    def _send(self, request: urllib.request.Request) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            if error.code == 401:
                sys.exit(
                    f"{self.url} wants a token: name a file with it that you may read, MOCK_TOKEN_FILE=FILE; the "
                    f"demo's is {DEMO_TOKEN}, for root only"
                )
            if error.code != 400:
                sys.exit(f"{self.url} is no mock, or not well: it answers with {error.code} {error.reason}")
            return error.code, error.read()
        except http.client.HTTPException as error:
            sys.exit(f"{self.url} is no mock: {error}")
        except OSError as error:
            sys.exit(
                f"No simulation answers at {self.url} ({getattr(error, 'reason', error)}). `make demo` starts one; for "
                "another one set MOCK_URL."
            )

    def _headers(self) -> dict[str, str]:
        try:
            token = Path(self.token_file).read_text().strip() if self.token_file else ""
        except OSError as error:
            if self.token_file == DEMO_TOKEN:
                return {}
            sys.exit(f"MOCK_TOKEN_FILE: {error}")
        return {"Authorization": f"Bearer {token}"} if token else {}


def play(mock: Mock, scenario: str) -> None:
    """Let the mock play a scenario, and say what it plays now.

    Raises:
        SystemExit: When it knows none of that name; the message lists those that it knows.
    """
    status, told = mock.ask("PUT", "scenario", {"scenario": scenario})
    if status == 400:
        known = textwrap.fill(", ".join(told.get("scenarios", [])), 100)
        sys.exit(f"{told['error']}; there are:\n{known}")
    print(f"Now it plays {told['scenario']}: {told['description']}")


def show(mock: Mock) -> None:
    """List the scenarios, with a mark at the one that is played."""
    now = mock.ask("GET", "scenario")[1]
    all_of_them = mock.ask("GET", "scenarios")[1]
    width = max(len(one["scenario"]) for one in all_of_them)
    for one in all_of_them:
        mark = "*" if one["scenario"] == now["scenario"] else " "
        print(f"{mark} {one['scenario']:{width}}  {one['description']}")
    print("\nThe one with * is played now; `make mock SCENARIO=NAME` plays another.")


def main(arguments: list[str]) -> None:
    url = os.environ.get("MOCK_URL", "")
    mock = Mock(url or DEMO, os.environ.get("MOCK_TOKEN_FILE", "") or ("" if url else DEMO_TOKEN))
    scenario = arguments[0] if arguments else ""
    if scenario:
        play(mock, scenario)
    else:
        show(mock)


if __name__ == "__main__":
    main(sys.argv[1:])
