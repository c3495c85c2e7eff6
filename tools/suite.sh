#!/usr/bin/env bash
# usage: suite.sh NAME ARGUMENT... - runs one suite of tests; make test counts its results at the end.
set -euo pipefail
name=$1
shift
mkdir -p .cache/results
# What hypothesis tries depends on the tests alone, so that a run that fails fails again. pytest by itself tries anew.
exec pytest -q -ra --hypothesis-profile=ci --junit-xml=".cache/results/$name.xml" "$@"
