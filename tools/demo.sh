#!/usr/bin/env bash
# usage: demo.sh [down] - rolls the collection out on this machine with inventories/demo, or removes it again.
# DAYS says how long a past the simulated server gets; 0 is none.
set -euo pipefail
days=${DAYS:-30}
if ! [[ $days =~ ^[0-9]+(\.[0-9]+)?$ ]] || ! awk "BEGIN { exit !($days == 0 || $days >= 0.05 && $days <= 366) }"; then
  echo "DAYS is $days; it must be a number of days from 0.05 to 366, or 0 for no past" >&2
  exit 2
fi
source tools/become.sh
ansible=(ansible-playbook -i inventories/demo "${become[@]}")

if [ "${1:-}" = down ]; then
  exec "${ansible[@]}" playbooks/uninstall.yml -e llm_monitor_delete_data=true
fi

registry=https://registry-1.docker.io/v2/
rolled_out=/opt/llm-monitor/prometheus/compose.yaml
source=registry
# What runs keeps its source: the other one has another version of Prometheus, which may not read the data.
if [ -e "$rolled_out" ]; then
  grep -q 'image: llm-monitor/prometheus:' "$rolled_out" && source=distro
elif ! python - "$registry" <<'PYTHON'
import sys, urllib.error, urllib.request
try:
    urllib.request.urlopen(sys.argv[1], timeout=5)
except urllib.error.HTTPError as answer:
    sys.exit(answer.code != 401)  # a registry that wants a login is one that answers
except OSError:
    sys.exit(1)
PYTHON
then
  source=distro
  echo "No image registry can be reached ($registry): images are built from Debian and PyPI packages instead."
  echo "Left out: grafana, loki and alloy, so there are no dashboards and no logs: Debian has no package of them."
  echo "If you run a playbook yourself, verify.yml too, add:"
  echo "  -e llm_monitor_image_source=distro"
fi
"${ansible[@]}" playbooks/site.yml -e "llm_monitor_image_source=$source"
echo "GPUs, models, LiteLLM, Langfuse and applications are simulated: they do not exist. Host and containers are this machine's own."
echo "make mock SCENARIO=high_load lets the simulation have a busy day; make mock lists what else can happen."
if [[ $days =~ [1-9] ]]; then
  PYTHONPATH=collections python -m ansible_collections.llmops.monitoring.tools.past "$days"
fi
