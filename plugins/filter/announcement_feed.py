# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: announcement_feed
author: The llmops.monitoring authors (@llmops)
version_added: 0.1.0
short_description: Announcements as a feed
description:
  - Turns announcements to the people who use the models into a document of JSON Feed 1.1, from which a template can
    make RSS too. The latest start comes first.
  - An item has no date of publication, for nobody knows it here, and a start may lie in the future, whose items many
    readers hide. So readers take the time at which they first see it. Start and end stand in the text, and in the
    extension C(_llm_monitor) for programs.
  - The same announcements give the same document, whatever the time is.
positional: title, page
options:
  _input:
    description: The announcements, as C(llm_monitor_announcements) has them.
    type: list
    elements: dict
    required: true
  title:
    description: What the feed is called.
    type: str
    required: true
  page:
    description: The URL of the page that shows the same to people.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: The announcements can be read by programs
  ansible.builtin.copy:
    content: >-
      {{ llm_monitor_announcements
         | llmops.monitoring.announcement_feed('Our models', 'https://status.example.com/') | to_nice_json }}
    dest: /srv/www/feed.json
    mode: "0644"
"""

RETURN = r"""
_value:
  description: The document.
  type: dict
"""

from datetime import datetime
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.llmops.monitoring.plugins.module_utils._announcements import Announcement, announcements


def _shown(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"


def _item(one: Announcement) -> dict[str, Any]:
    until = f" until {_shown(one.end)}" if one.end else ""
    lines = [f"{one.kind.capitalize()} from {_shown(one.start)}{until}."]
    lines += [f"Models: {', '.join(one.models)}."] if one.models else []
    return {
        "id": one.id,
        "title": one.title,
        "content_text": "\n".join(lines) + (f"\n\n{one.text}" if one.text else ""),
        "tags": [one.kind],
        "_llm_monitor": {
            "kind": one.kind,
            "models": list(one.models),
            "start": one.start.isoformat(),
            "end": one.end.isoformat() if one.end else None,
        },
    }


def announcement_feed(value: Any, title: str, page: str) -> dict[str, Any]:
    """Return a JSON Feed; raise AnsibleFilterError with all that is wrong."""
    try:
        found = announcements(value)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error
    return {
        "version": "https://jsonfeed.org/version/1.1",
        "title": title,
        "home_page_url": page,
        "language": "en",
        "items": [_item(one) for one in found],
    }


class FilterModule:
    def filters(self) -> dict[str, object]:
        return {"announcement_feed": announcement_feed}
