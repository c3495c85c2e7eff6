#!/usr/bin/env bash
# usage: suite.sh NAME PATH... - runs one suite of tests; make test counts its results at the end.
set -euo pipefail
name=$1
shift
mkdir -p .cache/results
exec pytest -q -ra --junit-xml=".cache/results/$name.xml" "$@"
