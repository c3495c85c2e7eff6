#!/bin/sh
# usage: past.sh FOLDER START END < FILES - makes blocks of a past for Prometheus, in FOLDER/data.
#
# FILES are the paths of OpenMetrics files, one a line; each is removed once it is loaded. FOLDER/rules-1.yml,
# FOLDER/rules-2.yml and so on hold recording rules, each those that build on the ones before; START and END say for
# which Unix times they are recorded. A Prometheus of its own answers them, started anew for each file, so that it has
# what the one before has recorded. It runs in Prometheus' image too, where sh is BusyBox'.
set -eu
folder=$1 start=$2 end=$3
address=127.0.0.1:${PAST_PORT:-9099}
every=5m
prometheus=

stop() {
  if [ -n "$prometheus" ]; then
    kill "$prometheus"
    wait "$prometheus" || true
    prometheus=
  fi
}
trap stop EXIT

mkdir -p "$folder/data"
while read -r file; do
  promtool tsdb create-blocks-from openmetrics --quiet "$file" "$folder/data" >&2
  rm "$file"
done

echo '{}' >"$folder/prometheus.yml"
number=1
while [ -e "$folder/rules-$number.yml" ]; do
  prometheus --config.file="$folder/prometheus.yml" --storage.tsdb.path="$folder/data" \
    --storage.tsdb.retention.time=10y --web.listen-address="$address" --log.level=warn >&2 &
  prometheus=$!
  until promtool check ready --url="http://$address" >/dev/null 2>&1; do
    kill -0 "$prometheus"
    sleep 0.2
  done
  echo "recording $number of the rules' levels" >&2
  promtool tsdb create-blocks-from rules --url="http://$address" --start="$start" --end="$end" \
    --eval-interval="$every" --output-dir="$folder/data" "$folder/rules-$number.yml" >/dev/null
  stop
  number=$((number + 1))
done
