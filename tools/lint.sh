#!/usr/bin/env bash
# Style and static checks of every file that git knows or could know.
set -euo pipefail
mapfile -t scripts < <(git ls-files --cached --others --exclude-standard -- '*.sh' .ci/run)
mapfile -t dockerfiles < <(git ls-files --cached --others --exclude-standard -- '*Dockerfile')

step() { printf '  %-16s' "$1"; shift; if ! output=$("$@" 2>&1); then printf 'failed\n%s\n' "$output"; exit 1; fi; echo clean; }

echo "lint"
step ruff ruff check . files/exporters files/llmops
step ruff-format ruff format --check . files/exporters files/llmops
step mypy mypy
step mypy-tools mypy tools docs/build bench dashboards/build
step mypy-exporters mypy --config-file files/exporters/pyproject.toml files/exporters/src \
  files/exporters/tests/hardware
step mypy-llmops mypy --config-file files/llmops/pyproject.toml files/llmops/src files/llmops/bench \
  files/llmops/tests
step yamllint yamllint --strict .
step ansible-lint ansible-lint --offline
step hadolint hadolint "${dockerfiles[@]}"
step shellcheck shellcheck "${scripts[@]}"
step documents tools/docs.sh --check
step dashboards python -m dashboards.build --check
mkdir -p .cache/results
touch .cache/results/lint
