#!/usr/bin/env bash
# usage: build.sh FOLDER [FUNCTION...] - compiles the fake libnvidia-ml.so.1 into FOLDER, without the functions named
# (as an older driver's library), and puts a state file of 8 busy H200s beside it where there is none.
set -euo pipefail
folder=$1
shift
sources=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$folder"
exports=$(mktemp)
trap 'rm -f "$exports"' EXIT
printf '%s; ' '{ global: nvml*' 'local: *' "$@" '}' > "$exports"
"${CC:-cc}" -std=c11 -D_POSIX_C_SOURCE=200809L -O1 -Wall -Wextra -Werror -fPIC -shared -pthread \
  -Wl,-soname,libnvidia-ml.so.1 -Wl,--version-script="$exports" \
  -o "$folder/libnvidia-ml.so.1" "$sources"/*.c
if [ ! -e "$folder/state" ]; then
  cp "$sources/state" "$folder/state"
fi
