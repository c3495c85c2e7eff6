#!/usr/bin/env bash
# Makes sure that there is a C compiler: simulated GPUs are a library that is built from source where it is used.
set -euo pipefail
if command -v "${CC:-cc}" >/dev/null; then
  exit 0
fi
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
