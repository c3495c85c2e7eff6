#!/usr/bin/env bash
# usage: engine.sh start|stop - makes sure that a Docker engine with Compose and our images answers (it is installed and
# started where there is none); stops one that start has started.
set -euo pipefail
pidfile=/run/llm-monitor-dockerd.pid

case "$1" in
  start)
    ansible-playbook -i inventories/demo tests/engine.yml -e llm_monitor_image_source=distro
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
