#!/usr/bin/env bash
# usage: chromium.sh - makes sure that there is a Chromium for the tests in a browser, and prints where it is.
# Debian's is installed rather than unpacked into .cache: it needs half a desktop's libraries and fonts, and one that is
# installed gets its security updates with all else. CHROMIUM names another one.
set -euo pipefail
if [ -n "${CHROMIUM:-}" ]; then
  if ! command -v "$CHROMIUM"; then
    echo "CHROMIUM is $CHROMIUM, and there is no such program." >&2
    exit 1
  fi
  exit 0
fi
find_one() { command -v chromium || command -v google-chrome-stable || command -v google-chrome; }
if find_one; then
  exit 0
fi
if ! command -v apt-get >/dev/null; then
  echo "Tests in a browser need Chromium or Chrome, and there is none: install one, or name it, CHROMIUM=FILE." >&2
  exit 1
fi
echo "Tests in a browser need Chromium, and there is none: installing Debian's." >&2
sudo=$([ "$(id -u)" = 0 ] || echo sudo)
if ! apt-cache show chromium >/dev/null 2>&1; then
  $sudo apt-get update -q >&2
fi
$sudo env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
  apt-get install -q --yes --no-install-recommends chromium >&2
find_one
