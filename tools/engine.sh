#!/usr/bin/env bash
# usage: engine.sh start|stop - makes sure that a Docker engine with Compose and our images answers (it is installed and
# started where there is none); stops one that start has started.
set -euo pipefail
started=.cache/engine-was-started
pidfile=/run/llm-monitor-dockerd.pid
sudo=$([ "$(id -u)" = 0 ] || echo sudo)
PATH=$PATH:/usr/sbin:/sbin

case "$1" in
  start)
    mkdir -p .cache
    docker version >/dev/null 2>&1 || touch "$started"
    source tools/become.sh
    ansible-playbook -i inventories/demo "${become[@]}" tests/engine.yml -e llm_monitor_image_source=distro
    ;;
  stop)
    [ -e "$started" ] || exit 0
    if [ -e "$pidfile" ]; then
      $sudo start-stop-daemon --stop --oknodo --retry=60 --pidfile="$pidfile" --exec=/usr/sbin/dockerd
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
