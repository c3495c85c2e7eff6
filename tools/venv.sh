#!/usr/bin/env bash
# usage: venv.sh PYTHON REQUIREMENTS - installs a list of requirements into .venv, which is made if need be.
set -euo pipefail
python=$1 requirements=$2

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "Python 3.11 or later is needed; $("$python" --version) is at $(command -v "$python")." \
    "Say which to take: make PYTHON=/path/to/python3" >&2
  exit 1
fi
if [ ! -x .venv/bin/pip ]; then
  echo "A virtual environment is made in .venv (a minute or two) ..."
  if ! "$python" -m venv .venv 2>/dev/null; then
    # Debian and Ubuntu keep this part of Python in a package of its own.
    sudo=$([ "$(id -u)" = 0 ] || echo sudo)
    $sudo apt-get update -q
    $sudo apt-get install -y -q python3-venv
    "$python" -m venv .venv
  fi
fi
echo "$requirements is installed into .venv ..."
.venv/bin/pip install --quiet --disable-pip-version-check -r "$requirements"
