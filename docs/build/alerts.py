"""Writes docs/alerts.md from the catalogue of alerts and the templates of the rules.

    .venv/bin/python docs/build/alerts.py [--check]

With --check nothing is written; the exit status is 1 if the page is not what would be written.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "alerts.md"
ROLE = ROOT / "roles" / "prometheus"
SHARED_VARS = ROOT / "roles" / "llm_monitor" / "vars" / "main.yml"
VARS = ROLE / "vars" / "main"
TEMPLATES = ROOT / "templates" / "prometheus" / "rules"

SECTIONS = {
    "gpu": "The GPUs",
    "system": "The host",
    "container": "The containers",
    "llm": "The models and what serves them",
    "slo": "What was promised of models, and their cost",
    "stack": "The monitoring itself",
}
SHARED = {
    "for": "how long the condition must hold before the alert fires",
    "keep_firing_for": "how long it goes on after the condition ended, so that a value at the limit does not flap",
    "severity": "the label `severity`: `critical` (act now), `warning` (act today), `info`, `none`",
    "component": "the label `component`, for routes in Alertmanager",
    "dashboard": "the uid of the dashboard to look at, the annotation `dashboard_uid`",
    "runbook": "the page in `docs/runbooks/`, if it is not named after the alert",
    "enabled": "`false` leaves the alert out; `true` unless it is given",
}
HEAD = """\
# Alerts

<!-- Made by docs/build/alerts.py from roles/prometheus/vars/main/ and templates/prometheus/rules/. -->

Every alert carries the labels `severity` and `component`, and the annotations `summary`, `description`,
`runbook_url` and `dashboard_uid`. All parameters below can be changed in the inventory, by the alert's name:

```yaml
prometheus_alerts:
  HostCpuHigh: {threshold: 0.95, for: 15m}
  ClockSkew: {enabled: false}
```

Ratios go from 0 to 1; other numbers are counts, seconds, bytes, degrees Celsius or US dollars. Durations are written as
in Prometheus (`90s`, `15m`, `1h`). Rates are taken over 5 minutes, which wants `prometheus_scrape_interval` to be 75s
at most.

What these parameters mean is the same for every alert:

| parameter | meaning |
| --- | --- |
"""


def variables(**overrides: Any) -> dict[str, Any]:
    """Return the role's variables as a rollout sees them, its settings of alerts merged lazily by its own words."""
    loader = DataLoader()
    loaded: dict[str, Any] = {}
    for file in (SHARED_VARS, ROLE / "defaults" / "main.yml", *sorted(VARS.glob("*.yml"))):
        loaded.update(loader.load_from_file(str(file), cache="none", trusted_as_template=True))
    # A host that runs all there is.
    loaded["llm_monitor_services"] = list(loaded["llm_monitor_catalogue"])
    return loaded | overrides


def render(template: Path, values: Mapping[str, Any]) -> str:
    """Return what a rollout makes of a template of rules."""
    templar = Templar(loader=DataLoader()).copy_with_new_env(
        searchpath=[str(template.parent), str(template.parents[1]), str(template.parents[2])],
        available_variables=dict(values),
    )
    text = trust_as_template(template.read_text(encoding="utf-8"))
    rendered = templar.template(text, escape_backslashes=False, overrides={"trim_blocks": True, "lstrip_blocks": True})
    return str(rendered)


def rules(kind: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rules of one file, such as system_alerts."""
    groups = yaml.safe_load(render(TEMPLATES / f"{kind}.yml.j2", values))["groups"]
    return [rule for group in groups for rule in group["rules"] or []]


def catalogue() -> dict[str, dict[str, Any]]:
    """Return the parameters of all alerts."""
    return {name: parameters for kind in SECTIONS for name, parameters in parameters_of(kind).items()}


def parameters_of(kind: str) -> dict[str, dict[str, Any]]:
    """Return the parameters of the alerts of one file, such as system."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(_written(kind))[f"prometheus_alert_catalogue_{kind}"]
    return found


def _written(kind: str) -> str:
    return (VARS / f"{kind}_alerts.yml").read_text(encoding="utf-8")


def meanings(kind: str) -> dict[tuple[str, str], str]:
    """Return (alert, parameter) → the comment behind the parameter, for the alerts of one file."""
    found: dict[tuple[str, str], str] = {}
    alert = ""
    for line in _written(kind).splitlines():
        if heading := re.fullmatch(r"  (\w+):", line):
            alert = heading[1]
        elif parameter := re.fullmatch(r"    (\w+): .*?  # (.+)", line):
            found[alert, parameter[1]] = parameter[2]
    return found


def page() -> str:
    """Return the whole page."""
    values = variables()
    lines = [f"| `{name}` | {meaning} |" for name, meaning in SHARED.items()]
    for kind, title in SECTIONS.items():
        alerts = rules(f"{kind}_alerts", values)
        defaults, explained = parameters_of(kind), meanings(kind)
        lines += ["", f"## {title}", "", "| alert | severity | for | says |", "| --- | --- | --- | --- |"]
        lines += [_row(rule) for rule in alerts]
        for name in dict.fromkeys(rule["alert"] for rule in alerts):
            of_name = [rule for rule in alerts if rule["alert"] == name]
            lines += ["", f"### {name}", "", *_alert(name, of_name, defaults[name], explained)]
        lines += ["", f"### Recorded for {title[0].lower()}{title[1:]}", "", "```promql"]
        lines += [_recorded(rule) for rule in rules(f"{kind}_rules", values)]
        lines += ["```"]
    return HEAD + "\n".join(lines) + "\n"


def _row(rule: Mapping[str, Any]) -> str:
    says = re.sub(r"\{\{ \$labels\.(\w+) \}\}", r"*\1*", rule["annotations"]["summary"])
    return f"| [{rule['alert']}](#{rule['alert'].lower()}) | {rule['labels']['severity']} | {rule['for']} | {says} |"


def _alert(
    name: str, of_name: list[dict[str, Any]], defaults: Mapping[str, Any], explained: Mapping[tuple[str, str], str]
) -> Iterator[str]:
    for rule in of_name:
        yield from ["```promql", rule["expr"], "```", ""]
    yield from ["| parameter | default | meaning |", "| --- | --- | --- |"]
    for parameter, default in defaults.items():
        meaning = explained.get((name, parameter), "")
        # GitHub's tables end a cell at a pipe, even within code.
        shown = str(default).replace("|", r"\|")
        yield f"| `{parameter}` | {f'`{shown}`' if default != '' else 'empty'} | {meaning} |"
    runbook = defaults.get("runbook", name)
    yield from ["", f"Runbook: [{runbook}](runbooks/{runbook}.md)"]


def _recorded(rule: Mapping[str, Any]) -> str:
    labels = "".join(f'{label}="{value}"' for label, value in rule.get("labels", {}).items())
    return f"{rule['record']}{f'{{{labels}}}' if labels else ''} =\n" + re.sub(r"(?m)^", "    ", rule["expr"])


def main() -> int:
    """Write or check the page; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only say whether the page is up to date")
    wanted = page()
    if not parser.parse_args().check:
        PAGE.write_text(wanted, encoding="utf-8")
        return 0
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == wanted:
        return 0
    print(f"{PAGE.relative_to(ROOT)} is not up to date: run .venv/bin/python docs/build/alerts.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
