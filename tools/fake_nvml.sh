#!/usr/bin/env bash
# usage: fake_nvml.sh FOLDER - makes sure that FOLDER has today's libnvidia-ml.so.1, the one that plays 8 H200s.
set -euo pipefail
folder=$1
sources=files/exporters/tests/fake_nvml
library=$folder/libnvidia-ml.so.1

if [ -e "$library" ] && [ -z "$(find "$sources" -newer "$library")" ]; then
  exit 0
fi
tools/compiler.sh
# Containers read it as a user of their own.
umask 022
rm -f "$folder/state"
if ! "$sources/build.sh" "$folder"; then
  echo "The simulated GPUs ($sources) could not be built; the compiler says why above." >&2
  exit 1
fi
