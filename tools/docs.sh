#!/usr/bin/env bash
# usage: docs.sh [--check] - writes the generated documents, or fails when one isn't what would be written.
set -euo pipefail
python docs/build/roles.py "$@"
python docs/build/alerts.py "$@"
python -m llm_monitor.base.catalogue "$@" docs/metrics.md
