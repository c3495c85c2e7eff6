#!/usr/bin/env bash
# usage: molecule.sh [SCENARIO...] - runs Molecule's scenarios, all of them by default, and shows each step with its
# time. Full logs and the results of the tests are in .cache/results; of the hosts nothing is left, however it ends.
set -euo pipefail
shopt -s extglob
scenarios=("$@")
if [ ${#scenarios[@]} = 0 ]; then
  scenarios=(default fleet gpu)
fi
results=.cache/results
mkdir -p "$results"
export NO_COLOR=1

exec {lock}> .cache/molecule.lock
if ! flock --nonblock "$lock"; then
  echo "The scenarios are running already, and their hosts have fixed names: wait until that run has ended." >&2
  exit 1
fi

# What the hosts' GPUs are simulated with.
tools/fake_nvml.sh .cache/fake-nvml

# What is left of a scenario's hosts; the engine matches parts of names.
leftovers() {
  docker ps --all --quiet --filter "label=com.docker.compose.project=llm-monitor-molecule-$1"
  docker volume ls --quiet --filter "label=com.docker.compose.project=llm-monitor-molecule-$1"
  docker network ls --quiet --filter "label=com.docker.compose.project=llm-monitor-molecule-$1"
}

cleanup() {
  for scenario in "${scenarios[@]}"; do
    if [ -n "$(leftovers "$scenario")" ]; then
      molecule destroy --scenario-name "$scenario" >> "$results/molecule-$scenario.log" 2>&1
    fi
  done
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# Shows the steps of a log as they begin and end, and the tests in between.
progress() {
  local step="" begun=0 line
  while IFS= read -r line; do
    line=${line//$'\e'\[*([0-9;])m/}
    if [[ $line =~ ^INFO\ +\[[^\]]*\ \>\ ([a-z_]+)\]\ Executing$ ]]; then
      step=${BASH_REMATCH[1]} begun=$SECONDS
    elif [[ $line =~ \>\ ([a-z_]+)\]\ .*Executed:\ +(.*)$ ]] && [ -n "$step" ]; then
      printf '  %-12s %4d s  %s\n' "$step" $((SECONDS - begun)) "${BASH_REMATCH[2],,}"
      step=""
    elif [[ $line =~ ::(test_[^ ]+)\ (PASSED|FAILED|ERROR|SKIPPED) ]]; then
      printf '    %-9s %4d s  %s\n' "${BASH_REMATCH[2],,}" $((SECONDS - begun)) "${BASH_REMATCH[1]}"
    elif [[ $line == "measured: "* ]]; then
      echo "    $line"
    fi
  done
}

for scenario in "${scenarios[@]}"; do
  log=$results/molecule-$scenario.log
  rm -f "$results/molecule-$scenario.xml"
  echo "molecule $scenario (log: $log)"
  if ! molecule test --scenario-name "$scenario" 2>&1 | tee "$log" | progress; then
    echo "molecule $scenario failed. This is the end of $log:" >&2
    tail -n 60 "$log" >&2
    exit 1
  fi
done
