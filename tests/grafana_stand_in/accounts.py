# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""Service accounts and their tokens, as Grafana keeps them."""

from __future__ import annotations

import secrets
from typing import Any


class Accounts:
    """What Grafana's API says of service accounts; KeyError for one that is not there, ValueError for a name twice."""

    def __init__(self) -> None:
        self.accounts: dict[int, dict[str, Any]] = {}
        self.tokens: dict[int, dict[int, dict[str, Any]]] = {}
        self.keys: dict[str, tuple[int, int]] = {}
        self._last = 0

    def named(self, name: str) -> dict[str, Any]:
        return next(account for account in self.accounts.values() if account["name"] == name)

    def role_of_token(self, key: str) -> str | None:
        """Return the role of a token's account, or None for a token that Grafana refuses."""
        account, token = self.keys.get(key, (0, 0))
        found = self.tokens.get(account, {}).get(token)
        if found is None or found["hasExpired"] or self.accounts[account]["isDisabled"]:
            return None
        role: str = self.accounts[account]["role"]
        return role

    def answer(self, method: str, path: list[str], query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        match method, path:
            case "GET", ["search"]:
                return 200, self._search(query)
            case "POST", []:
                return 201, self._make(body)
            case "PATCH", [number]:
                account = self.accounts[int(number)]
                account.update({key: body[key] for key in ("name", "role", "isDisabled") if key in body})
                return 200, {"message": "Service account updated", "id": account["id"], "serviceaccount": account}
            case "DELETE", [number]:
                del self.accounts[int(number)]
                self.tokens.pop(int(number))
                return 200, {"message": "Service account deleted"}
            case "GET", [number, "tokens"]:
                return 200, list(self.tokens[int(number)].values())
            case "POST", [number, "tokens"]:
                return 200, self._issue(int(number), body["name"])
            case "DELETE", [number, "tokens", token]:
                del self.tokens[int(number)][int(token)]
                return 200, {"message": "Service account token deleted"}
        raise KeyError(path)

    def _search(self, query: dict[str, list[str]]) -> dict[str, Any]:
        wanted = query.get("query", [""])[0].lower()
        size, page = int(query.get("perpage", ["1000"])[0]), int(query.get("page", ["1"])[0])
        found = [account for account in self.accounts.values() if wanted in account["name"].lower()]
        shown = found[(page - 1) * size : page * size]
        return {"totalCount": len(found), "serviceAccounts": shown, "page": page, "perPage": size}

    def _make(self, body: dict[str, Any]) -> dict[str, Any]:
        if any(account["name"] == body["name"] for account in self.accounts.values()):
            raise ValueError("service account already exists")
        number = self._number()
        self.accounts[number] = {
            "id": number,
            "name": body["name"],
            "login": f"sa-1-{body['name']}",
            "orgId": 1,
            "isDisabled": body.get("isDisabled", False),
            "role": body.get("role", "Viewer"),
            "tokens": 0,
        }
        self.tokens[number] = {}
        return self.accounts[number]

    def _issue(self, account: int, name: str) -> dict[str, Any]:
        if any(token["name"] == name for token in self.tokens[account].values()):
            raise ValueError("service account token with given name already exists in the organization")
        number, key = self._number(), f"glsa_{secrets.token_hex(16)}"
        self.tokens[account][number] = {"id": number, "name": name, "hasExpired": False, "isRevoked": False}
        self.keys[key] = (account, number)
        return {"id": number, "name": name, "key": key}

    def _number(self) -> int:
        self._last += 1
        return self._last
