#!/usr/bin/env bash
# ansible-test sanity wants the collection below a folder ansible_collections, without a link: it gets a copy.
set -euo pipefail
copy=.cache/sanity/ansible_collections/llmops/monitoring
rm -rf .cache/sanity
mkdir -p "$copy"
git ls-files --cached --others --exclude-standard -z | tar --null --files-from=- --ignore-failed-read -cf - | tar -xf - -C "$copy"
rm "$copy/collections/ansible_collections/llmops/monitoring"
git -C "$copy" init --quiet
git -C "$copy" add --all
cd "$copy"
ansible-test sanity --color no --python "$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
cd - >/dev/null
for kind in module role filter lookup; do
  names=$(ansible-doc -t "$kind" --list llmops.monitoring --json | python -c 'import json, sys; print(*json.load(sys.stdin))')
  for name in $names; do
    ansible-doc -t "$kind" "$name" >/dev/null
  done
done
mkdir -p .cache/results
echo "sanity: clean" > .cache/results/sanity
