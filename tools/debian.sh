#!/usr/bin/env bash
# usage: debian.sh FOLDER - unpacks the Debian packages whose programs the tests and benchmarks start themselves.
# They are not installed, so that no service of theirs starts.
set -euo pipefail
folder=$1
packages=(prometheus prometheus-alertmanager prometheus-node-exporter docker-registry haproxy
  redis-server redis-tools)

if ! command -v apt-get >/dev/null; then
  echo "This machine has no Debian packages: tests take ${packages[*]} from the path." >&2
  mkdir -p "$folder"
  exit 0
fi
sudo=$([ "$(id -u)" = 0 ] || echo sudo)
if ! apt-cache show "${packages[@]}" >/dev/null 2>&1; then
  $sudo apt-get update -q
fi
# PostgreSQL's server has its release in its name.
server=$(apt-cache depends postgresql | awk '$1 == "Depends:" && $2 ~ /^postgresql-[0-9]/ {print $2}')
packages+=("$server")
# HAProxy, Redis and it are those whose libraries a machine may lack; a compiler of queries is not needed.
mapfile -t lacking < <(apt-get install --simulate --no-install-recommends haproxy redis-server "$server" |
  awk '/^Inst lib/ && $2 !~ /llvm|z3/ {print $2}')
rm -rf "$folder"
mkdir -p "$folder/packages"
(cd "$folder/packages" && apt-get download -q "${packages[@]}" "${lacking[@]}" 2>/dev/null)
for package in "$folder"/packages/*.deb; do
  dpkg-deb --extract "$package" "$folder"
done
rm -r "$folder/packages"
