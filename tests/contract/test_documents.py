"""What the documents name exists: links, paths, make targets, variables, metrics, alerts, and words of messages."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.llmops.monitoring.plugins.filter.announcement_rules import announcement_rules

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = ("files/exporters", "files/llmops")
WRITTEN = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *(ROOT / name / "README.md" for name in PROJECTS),
] + [
    ROOT / "docs" / f"{name}.md"
    for name in ("architecture", "deployment", "development", "events", "hardware", "operation")
]
DOCUMENTS = [*WRITTEN, *sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("roles/*/README.md"))]
DOCUMENTS = list(dict.fromkeys(DOCUMENTS))
INVENTORIES = sorted(ROOT.glob("inventories/**/*.yml"))
FOLDERS = {path.name for path in ROOT.iterdir() if path.is_dir()} - {"collections"}
# What a document may name although a checkout has it only later.
MADE_LATER = (".cache", ".venv", "inventories/h200/group_vars/all")

FENCE = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"^ *```\w*\n(.*?)^ *```|`([^`\n]+)`", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\((?!https?://)([^)\s]+)\)")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def code_of(document: Path) -> str:
    """Return what stands in a document as code, in blocks and in lines."""
    return "\n".join(block or word for block, word in CODE.findall(document.read_text(encoding="utf-8")))


def anchors_of(document: Path) -> set[str]:
    """Return the anchors that GitHub gives to a document's headings."""
    text = FENCE.sub("", document.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def load(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


@functools.cache
def variables() -> set[str]:
    """Return the names of all variables of the roles: those that users set, and those that roles compute."""
    specs = (load(path)["argument_specs"]["main"] for path in ROOT.glob("roles/*/meta/argument_specs.yml"))
    computed = (load(path) for path in ROOT.glob("roles/*/vars/**/*.yml"))
    return {name for spec in specs for name in spec.get("options") or {}} | {name for one in computed for name in one}


@functools.cache
def metrics() -> set[str]:
    """Return the names of the exporters' families, from the page that is made from their declarations, and of
    the series that tell of announcements.
    """
    announced = {
        "id": "a",
        "kind": "incident",
        "title": "Slow",
        "start": "2026-12-01T08:00Z",
        "end": "2026-12-02T08:00Z",
    }
    recorded = {rule["record"] for group in announcement_rules([announced])["groups"] for rule in group["rules"]}
    return set(re.findall(r"`(llm_monitor_\w+)`", (ROOT / "docs/metrics.md").read_text(encoding="utf-8"))) | recorded


@functools.cache
def alert_names() -> set[str]:
    files = [load(path) for path in ROOT.glob("roles/prometheus/vars/main/*_alerts.yml")]
    return {name for file in files for catalogue in file.values() for name in catalogue}


@functools.cache
def class_names() -> set[str]:
    sources = [*ROOT.glob("files/*/src/**/*.py"), *ROOT.glob("plugins/**/*.py")]
    return {name for path in sources for name in re.findall(r"^class (\w+)", path.read_text("utf-8"), re.MULTILINE)}


@functools.cache
def plugin_names() -> set[str]:
    return {path.stem for path in ROOT.glob("plugins/*/*.py")}


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_links_lead_somewhere(document: Path) -> None:
    text = FENCE.sub("", document.read_text(encoding="utf-8"))
    wrong = []
    for link in LINK.findall(text):
        path, _hash, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            wrong.append(link)
    assert wrong == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_rows_of_tables_have_as_many_cells_as_their_head(document: Path) -> None:
    """A pipe within a cell, even in code, begins another cell that GitHub leaves out."""
    text = FENCE.sub("", document.read_text(encoding="utf-8"))
    wrong = []
    for table in re.findall(r"^\|.*(?:\n\|.*)+", text, re.MULTILINE):
        cells = [len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()]
        wrong += [row for row, count in zip(table.splitlines(), cells, strict=True) if count != cells[0]]
    assert wrong == []


@pytest.mark.parametrize("document", WRITTEN, ids=named)
def test_paths_exist(document: Path) -> None:
    wrong = []
    for word in re.findall(r"(?<![\w/.$-])[\w.-]+/[\w./*-]*", code_of(document)):
        path = word.rstrip("/")
        is_ours = path.split("/", 1)[0] in FOLDERS and not path.startswith(MADE_LATER)
        # What every role has is named without the role.
        if is_ours and not [*ROOT.glob(path), *ROOT.glob(f"roles/*/{path}")]:
            wrong.append(word)
    assert wrong == []


def test_runbooks_name_every_service() -> None:
    services = set()
    for template in ROOT.glob("templates/*/compose.yaml.j2"):
        section = template.read_text(encoding="utf-8").partition("\nservices:\n")[2]
        services |= set(re.findall(r"^  ([\w-]+):$", re.split(r"^\w+:$", section, flags=re.MULTILINE)[0], re.MULTILINE))
    named_services = re.findall(r"`([\w-]+)`", "".join(_rows(ROOT / "docs/runbooks/README.md", "service")))
    assert set(named_services) - variables() == services


def _rows(document: Path, heading: str) -> list[str]:
    """Return the rows of the table whose first column has a heading."""
    table = document.read_text(encoding="utf-8").partition(f"| {heading} |")[2].partition("\n\n")[0]
    return table.splitlines()[2:]


@pytest.mark.parametrize("document", WRITTEN, ids=named)
def test_make_targets_exist(document: Path) -> None:
    targets = set(re.findall(r"^([\w./-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"^make ([a-z-]+)", code_of(document), re.MULTILINE)) - targets == set()


@pytest.mark.parametrize("document", [*WRITTEN, *INVENTORIES], ids=named)
def test_variables_and_metrics_exist(document: Path) -> None:
    code = code_of(document) if document.suffix == ".md" else document.read_text(encoding="utf-8")
    names = {path.name for path in (ROOT / "roles").iterdir()}
    roles = "|".join(names)
    # A number at the end is a sample's value, which only an exposition has; "retenton" is a mistake shown on purpose.
    found = set(re.findall(rf"(?<![\w./-])((?:{roles})_[a-z0-9_]*[a-z0-9])(?![\w.*])", code))
    known = variables() | metrics() | plugin_names() | names | {"prometheus_retenton", "service_config_hash"}
    assert found - known == set()


@pytest.mark.parametrize("document", WRITTEN, ids=named)
def test_alerts_and_classes_exist(document: Path) -> None:
    words = re.findall(r"`((?:[A-Z][a-z0-9]+){2,})`", document.read_text(encoding="utf-8"))
    assert set(words) - alert_names() - class_names() == set()


def said_by_plugins() -> str:
    """Return all text in the plugins' code, with a gap for each value that is filled in."""
    return "\n".join(
        text
        for path in ROOT.glob("plugins/**/*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for text in _text(node)
    )


def _text(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def test_messages_are_those_of_the_code() -> None:
    text = (ROOT / "docs/operation.md").read_text(encoding="utf-8")
    tables = text.partition("### What preflight says")[2].partition("### A target is down")[0]
    messages = [
        word for row in re.findall(r"^\| (`.*?) \|", tables, re.MULTILINE) for word in re.findall(r"`(.+?)`", row)
    ]
    assert len(messages) > 20
    said = said_by_plugins()
    parts = [part.strip(" ") for message in messages for part in message.split("…")]
    assert [part for part in parts if part not in said] == []


@pytest.mark.parametrize(
    "command",
    [
        ["docs/build/roles.py", "--check"],
        ["docs/build/alerts.py", "--check"],
        ["-m", "llm_monitor.base.catalogue", "--check", "docs/metrics.md"],
    ],
    ids=["roles", "alerts", "metrics"],
)
def test_generated_documents_are_up_to_date(command: list[str]) -> None:
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
