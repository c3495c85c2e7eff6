#!/usr/bin/env bash
# usage: engine.sh start|stop - makes sure that a Docker engine with Compose answers; stops one that start has started.
set -euo pipefail
pidfile=/run/llm-monitor-dockerd.pid

case "$1" in
  start)
    if docker compose version >/dev/null 2>&1 && docker version >/dev/null 2>&1; then
      exit 0
    fi
    echo "No Docker engine answers: one is installed and started ..."
    ansible-playbook -i inventories/demo tests/engine.yml
    ;;
  stop)
    if [ -e "$pidfile" ]; then
      start-stop-daemon --stop --oknodo --retry=60 --pidfile="$pidfile"
    fi
    ;;
  *)
    echo "usage: engine.sh start|stop" >&2
    exit 2
    ;;
esac
