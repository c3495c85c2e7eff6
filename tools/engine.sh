#!/usr/bin/env bash
# usage: engine.sh start|stop - makes sure that a Docker engine with Compose and our images answers (it is installed and
# started where there is none); stops one that start has started.
set -euo pipefail
started=.cache/engine-was-started
own=/run/llm-monitor-dockerd.pid
others=/run/docker.pid
sudo=$([ "$(id -u)" = 0 ] || echo sudo)
PATH=$PATH:/usr/sbin:/sbin

# Which engine runs, in the words of this boot: start has started what it changes, and stop stops nothing else.
engine() { cat /proc/sys/kernel/random/boot_id "$own" "$others" 2>/dev/null || true; }

case "$1" in
  start)
    mkdir -p .cache
    before=$(engine)
    source tools/become.sh
    status=0
    ansible-playbook -i inventories/demo "${become[@]}" tests/engine.yml -e llm_monitor_image_source=distro || status=$?
    [ "$(engine)" = "$before" ] || engine > "$started"
    exit "$status"
    ;;
  stop)
    [ "$(engine)" = "$(cat "$started" 2>/dev/null)" ] || exit 0
    if [ -e "$own" ]; then
      $sudo start-stop-daemon --stop --oknodo --retry=60 --pidfile="$own" --exec="$(command -v dockerd)"
    else
      $sudo systemctl stop docker.socket docker
    fi
    rm "$started"
    ;;
  *)
    echo "usage: engine.sh start|stop" >&2
    exit 2
    ;;
esac
