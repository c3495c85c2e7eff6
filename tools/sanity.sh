#!/usr/bin/env bash
# ansible-test sanity wants the collection below a folder ansible_collections, without a link: it gets a copy. The
# projects in files/ are no part of it: they run in containers and have checks of their own (tools/lint.sh).
set -euo pipefail
top=$PWD
copy=.cache/sanity/ansible_collections/llmops/monitoring
rm -rf .cache/sanity
mkdir -p "$copy" .cache/results .cache/sanity-home/.ansible/test/cache
git ls-files --cached --others --exclude-standard -z -- ':!collections' ':!files' \
  | tar --null --files-from=- --ignore-failed-read -cf - | tar -xf - -C "$copy"
git -C "$copy" init --quiet
git -C "$copy" add --all

# ansible-test looks for this file under a name with the version of pip that it wants.
pip=$(python -c '
from types import SimpleNamespace
from ansible_test._internal.python_requirements import get_venv_packages
print(get_venv_packages(SimpleNamespace(version=""))["pip"])')
cache=.cache/sanity-home/.ansible/test/cache
[ -e "$cache/pip-$pip-py3-none-any.whl" ] || python -m pip download --quiet --no-deps --dest "$cache" "pip==$pip"
cp tools/get_pip.py "$cache/get_pip_${pip//./_}.py"
echo "sanity (a minute or two; all of it goes to .cache/results/sanity.log)"
if ! (
  cd "$copy"
  HOME="$top/.cache/sanity-home" ansible-test sanity --color no \
    --python "$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
) >.cache/results/sanity.log 2>&1; then
  grep -E '^(ERROR|FATAL)' .cache/results/sanity.log || tail -30 .cache/results/sanity.log
  exit 1
fi
for kind in module role filter lookup; do
  names=$(ansible-doc -t "$kind" --list llmops.monitoring --json | python -c 'import json, sys; print(*json.load(sys.stdin))')
  for name in $names; do
    ansible-doc -t "$kind" "$name" >/dev/null
  done
done
echo "  ansible-test, ansible-doc: clean"
touch .cache/results/sanity
