#!/usr/bin/env bash
# arm64.sh [--long] [WHEEL]: the runtime on emulated ARM64 processors, from nothing: Debian 13's QEMU and its arm64 Python are unpacked beside the system, the
# aarch64 wheels are installed beside them, and QEMU runs them, on the cores of a Raspberry Pi 4 (cortex-a72) and 5 (cortex-a76, with the dot product). On Debian.
# Short form: golden images in both precisions and memory on both, a selection of the runtime's tests on the last. Long form: all of tests/runtime on both.
# NOT_RUN=0 is the exit code where Debian's packages cannot be had, instead of 1. CORES="cortex-a53" takes other cores, ONNXRUNTIME="onnxruntime==1.27.*" another version.
set -euo pipefail
cd "$(dirname "$0")/../.."
long=""
if [ "${1:-}" = --long ]; then
    long=1
    shift
fi
what=$(realpath "${1:-.}")
read -ra cores <<<"${CORES:-cortex-a72 cortex-a76}"
short=(model/test_bundle.py model/test_precision.py vision/test_decode.py search/test_search.py)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if ! { tests/platforms/debian.sh trixie "$(dpkg --print-architecture)" "$work/qemu" qemu-user &&
    tests/platforms/debian.sh trixie arm64 "$work/root" python3-minimal libpython3-stdlib libstdc++6 libgomp1; }; then
    echo "-- ARM64: NOT RUN: Debian 13's packages could not be had"
    exit "${NOT_RUN:-1}"
fi
qemu=$work/qemu/usr/bin/qemu-aarch64
[ -e "$work/root/lib" ] || ln -s usr/lib "$work/root/lib"
interpreter=$(find "$work/root/usr/bin" -name 'python3.[0-9]*')
version=${interpreter##*/python}
"$qemu" --version | sed -n 1p

platforms=()
for tag in manylinux_2_28 manylinux_2_27 manylinux_2_17 manylinux2014; do
    platforms+=(--platform "${tag}_aarch64")
done
python3 -m venv "$work/pip" # a new pip, whatever the system's is
if [ -d "$what" ]; then
    "$work/pip/bin/pip" wheel -q --no-deps --wheel-dir "$work/wheel" "$what"
    what=$(echo "$work"/wheel/*.whl)
fi
"$work/pip/bin/pip" install -q --target "$work/site" --only-binary=:all: --python-version "$version" --implementation cp "${platforms[@]}" \
    "${ONNXRUNTIME:-onnxruntime}" "${what}[cpu,test]"
python=$work/python
cat >"$python" <<SHELL
#!/bin/sh
exec "$qemu" -cpu "\$CORE" -L "$work/root" "$interpreter" "\$@"
SHELL
chmod +x "$python"
# So that a test that starts a Python starts it under QEMU too.
echo "import sys; sys.executable = '$python'" >"$work/site/sitecustomize.py"
export PYTHONPATH=$work/site PYTHONDONTWRITEBYTECODE=1 CI=true
echo "-- $SECONDS s until it is all there: Python $version"

.ci/runtime_tests "$work/alone"
cp tests/platforms/*_check.py "$work/alone"
cd "$work/alone"
on() { # CORE: every check on it
    export CORE=$1
    "$python" device_check.py cpu
    "$python" memory_check.py 400
    if [ -n "$long" ]; then
        "$python" -m pytest --wheel-alone -p no:cacheprovider -o timeout=7200 tests/runtime
    elif [ "$CORE" = "${cores[-1]}" ]; then
        # What the golden images say, device_check has said.
        "$python" -m pytest --wheel-alone -p no:cacheprovider -o timeout=1200 -k "not golden and not proves_itself" "${short[@]/#/tests/runtime/}"
    fi
}
jobs=()
for core in "${cores[@]}"; do # QEMU runs each in little more than one thread
    (time on "$core") >"$work/$core.txt" 2>&1 &
    jobs+=($!)
done
for index in "${!cores[@]}"; do
    wait "${jobs[index]}" || failed=1
    echo "== ${cores[index]}"
    cat "$work/${cores[index]}.txt"
done
[ -z "${failed:-}" ] || { echo "$0: failed on a core, see above"; exit 1; }
