#!/usr/bin/env bash
# usage: fake_nvml.sh FOLDER - makes sure that FOLDER has today's libnvidia-ml.so.1, the one that plays 8 H200s.
set -euo pipefail
folder=$1
sources=files/exporters/tests/fake_nvml
library=$folder/libnvidia-ml.so.1

if [ -e "$library" ] && [ -z "$(find "$sources" -newer "$library")" ]; then
  exit 0
fi
if ! command -v "${CC:-cc}" >/dev/null; then
  if ! command -v apt-get >/dev/null; then
    echo "Simulated GPUs need a C compiler, and there is none (cc): install one and run this again." >&2
    exit 1
  fi
  echo "Simulated GPUs need a C compiler, and there is none (cc): installing Debian's gcc and libc6-dev."
  sudo=$([ "$(id -u)" = 0 ] || echo sudo)
  if ! apt-cache show gcc libc6-dev >/dev/null 2>&1; then
    $sudo apt-get update -q
  fi
  $sudo env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
    apt-get install -q --yes --no-install-recommends gcc libc6-dev >&2
fi
# Containers read it as a user of their own.
umask 022
rm -f "$folder/state"
if ! "$sources/build.sh" "$folder"; then
  echo "The simulated GPUs ($sources) could not be built; the compiler says why above." >&2
  exit 1
fi
