#!/usr/bin/env bash
# usage: test_gpu.sh wheels - downloads what the check needs into .cache/gpu-wheels, to be carried to a machine with GPUs.
#        test_gpu.sh run [ARGUMENT...] - checks the GPU exporter against nvidia-smi, from these wheels and without network.
# PYTHON says which Python (3.11 or later) runs the check. For wheels, GPU_PYTHON is that of the other machine, such as
# 3.12, and GPU_ARCH its architecture, as uname -m says it.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
wheels=.cache/gpu-wheels
site=.cache/gpu-site
lists=(files/exporters/requirements.txt files/exporters/tests/hardware/requirements.txt)
options=(--quiet --no-cache-dir --disable-pip-version-check --require-hashes -r "${lists[0]}" -r "${lists[1]}")

download() {
  local version=${GPU_PYTHON:-} arch=${GPU_ARCH:-$(uname -m)}
  if [ -z "$version" ]; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  fi
  rm -rf "$wheels"
  "$python" -m pip download "${options[@]}" --only-binary :all: --dest "$wheels" --python-version "$version" \
    --platform "manylinux_2_28_$arch" --platform "manylinux_2_17_$arch" --platform "manylinux2014_$arch"
  echo "$(find "$wheels" -name '*.whl' | wc -l) wheels for Python $version on $arch are in $wheels."
}

install() {
  local wanted pip
  wanted=$("$python" -VV; cat "${lists[@]}")
  if [ -e "$site/installed" ] && [ "$(cat "$site/installed")" = "$wanted" ]; then
    return
  fi
  if ! compgen -G "$wheels/*.whl" >/dev/null; then
    download
  fi
  rm -rf "$site"
  # A wheel of pip runs as it is, so that the machine needs neither pip nor venv.
  pip=$(compgen -G "$wheels/pip-*.whl")
  "$python" "$pip/pip" install "${options[@]}" --no-index --find-links "$wheels" --target "$site"
  printf '%s' "$wanted" > "$site/installed"
}

case ${1:-} in
  wheels)
    download
    ;;
  run)
    shift
    install
    PYTHONPATH=$site:files/exporters/src:files/exporters/tests exec "$python" -m hardware "$@"
    ;;
  *)
    sed -n '2,5s/^# //p' "$0" >&2
    exit 2
    ;;
esac
