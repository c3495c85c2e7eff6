#!/usr/bin/env bash
# usage: litellm.sh FOLDER - installs a LiteLLM proxy into a virtual environment in FOLDER, for the tests that start one.
set -euo pipefail
folder=$1

echo "A LiteLLM proxy is installed into $folder (a minute or two, 750 MB) ..."
rm -rf "$folder"
# What is not whole would look as if it were done.
trap '[ -x "$folder/bin/litellm" ] || rm -rf "$folder"' EXIT
.venv/bin/python -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check -r tests/integration/litellm-requirements.txt
