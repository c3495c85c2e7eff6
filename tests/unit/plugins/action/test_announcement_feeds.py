"""The feeds of announcements, rendered by a real ansible-playbook."""

import html
import json
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

TEMPLATES = Path(__file__).resolve().parents[4] / "templates/grafana/announcements"
PAGE = "https://grafana.example.com/d/system-status"
HOSTILE = "</title><script>alert(1)</script> ]]> & \"'\\ <br> %s é 🔥"
USUAL = {"kind": "maintenance", "title": "New GPUs", "start": "2026-12-01T08:00Z"}


def rendered(ansible_playbook: Any, folder: Path, announced_ones: list[dict[str, Any]]) -> tuple[dict[str, Any], Any]:
    """Return the two feeds as a rollout renders them, parsed."""
    copies = [
        {
            "ansible.builtin.template": {
                "src": str(TEMPLATES / f"{name}.j2"),
                "dest": str(folder / name),
                "lstrip_blocks": True,
                "mode": "0600",
            }
        }
        for name in ("feed.json", "feed.rss")
    ]
    play = {"hosts": "localhost", "vars": {"ansible_python_interpreter": sys.executable}, "tasks": copies}
    values = {
        "llm_monitor_announcements": announced_ones,
        "llm_monitor_managed": "Written by a test.",
        "grafana_external_url": "https://grafana.example.com/",
    }
    (folder / "values.json").write_text(json.dumps(values), encoding="utf-8")
    done = ansible_playbook(play, "-i", "localhost,", "-c", "local", "-e", "@values.json")
    assert done.returncode == 0, done.stdout + done.stderr
    feed = json.loads((folder / "feed.json").read_text(encoding="utf-8"))
    return feed, ElementTree.fromstring((folder / "feed.rss").read_bytes())


def test_feeds_hold_hostile_words_as_they_are(ansible_playbook: Any, tmp_path: Path) -> None:
    hostile = {**USUAL, "id": "one", "title": HOSTILE, "text": f"{HOSTILE}\nand a line", "models": [HOSTILE]}
    feed, rss = rendered(ansible_playbook, tmp_path, [hostile, {**USUAL, "id": "two", "kind": "incident"}])
    item = feed["items"][0]
    assert item["title"] == HOSTILE
    assert item["content_text"].endswith(f"Models: {HOSTILE}.\n\n{HOSTILE}\nand a line")
    channel = rss.find("channel")
    assert channel is not None
    assert channel.findtext("link") == feed["home_page_url"] == PAGE
    items = channel.findall("item")
    assert [item.findtext("guid") for item in items] == [item["id"] for item in feed["items"]]
    assert items[0].findtext("title") == HOSTILE
    assert [item.findtext("category") for item in items] == ["maintenance", "incident"]
    # Readers take a description for HTML, so what is written must be text there too.
    assert html.unescape((items[0].findtext("description") or "").replace("<br>", "\n")) == item["content_text"]
    assert "<script>" not in (items[0].findtext("description") or "")


def test_feeds_with_nothing_announced_are_feeds(ansible_playbook: Any, tmp_path: Path) -> None:
    feed, rss = rendered(ansible_playbook, tmp_path, [])
    assert feed["items"] == []
    assert rss.findall("channel/item") == []
    assert rss.findtext("channel/title") == feed["title"]
