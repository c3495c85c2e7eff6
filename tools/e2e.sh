#!/usr/bin/env bash
# usage: e2e.sh FOLDER - installs what tests in a browser and the MCP servers take from npm, as tests/e2e/package-lock.json
# says. No package's own scripts run: none of them needs any, and nobody has read them.
set -euo pipefail
folder=$1

if ! command -v npm >/dev/null; then
  echo "Tests in a browser and the MCP servers need Node.js 20.19 or later with npm, and there is none: install one." >&2
  exit 1
fi
rm -rf "$folder"
mkdir -p "$folder"
# What is not whole would look as if it were done.
trap '[ -d "$folder/node_modules/.bin" ] || rm -rf "$folder"' EXIT
cp tests/e2e/package.json tests/e2e/package-lock.json tests/e2e/.npmrc "$folder"
npm ci --prefix "$folder" --ignore-scripts --loglevel=error
