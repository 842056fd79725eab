#!/usr/bin/env bash
# arm64.sh [--long] [WHEEL]: the runtime on emulated ARM64 processors, from nothing: Debian's arm64 Python is unpacked beside the system, the aarch64 wheels
# are installed beside it, and QEMU runs them, on the cores of a Raspberry Pi 4 (cortex-a72) and 5 (cortex-a76, with the dot product). As root, or with qemu-user-static installed.
# Short form: golden images in both precisions and memory on both, a selection of the runtime's tests on the newer one. Long form: all of tests/runtime on both (hours).
set -euo pipefail
cd "$(dirname "$0")/../.."
long=""
if [ "${1:-}" = --long ]; then
    long=1
    shift
fi
what=$(realpath "${1:-.}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# ONNX Runtime 1.28 to 1.32 crash while they are imported under QEMU 7.2, Debian 12's.
onnxruntime="onnxruntime==1.27.*"
packages=(python3-minimal libpython3-stdlib libstdc++6 libgomp1)
short=(model/test_bundle.py vision/test_decode.py search/test_search.py)

if ! command -v qemu-aarch64-static >/dev/null; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "It needs qemu-aarch64-static. On Debian, as root: apt-get install qemu-user-static"
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update
    apt-get -qq install --no-install-recommends qemu-user-static </dev/null >/dev/null
fi
qemu-aarch64-static --version | sed -n 1p

# Debian's arm64 packages, by an apt that knows no package of this system.
mkdir -p "$work"/apt/{lists,cache}/partial "$work/root"
: >"$work/apt/status"
cat >"$work/apt.conf" <<CONF
APT::Architecture "arm64";
APT::Architectures "arm64";
Dir::State::lists "$work/apt/lists";
Dir::State::status "$work/apt/status";
Dir::Cache "$work/apt/cache";
APT::Sandbox::User "root";
CONF
export APT_CONFIG=$work/apt.conf
apt-get -qq update
apt-get -qq --yes --no-install-recommends --download-only install "${packages[@]}" </dev/null >/dev/null
unset APT_CONFIG
for package in "$work"/apt/cache/archives/*.deb; do
    dpkg -x "$package" "$work/root"
done
[ -e "$work/root/lib/ld-linux-aarch64.so.1" ] || { mkdir -p "$work/root/lib" && ln -s ../usr/lib/ld-linux-aarch64.so.1 "$work/root/lib/"; } # from Debian 13 on
interpreter=$(find "$work/root/usr/bin" -name 'python3.[0-9]*' | sort | sed -n 1p)
version=${interpreter##*/python}
echo "root: $(du -sm "$work/root" | cut -f1) MB, Python $version"

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
    "$onnxruntime" "${what}[cpu,test]"
python=$work/python
cat >"$python" <<SHELL
#!/bin/sh
exec qemu-aarch64-static -cpu "\$CORE" -L "$work/root" "$interpreter" "\$@"
SHELL
chmod +x "$python"
# So that a test that starts a Python starts it under QEMU too.
echo "import sys; sys.executable = '$python'" >"$work/site/sitecustomize.py"
export PYTHONPATH=$work/site PYTHONDONTWRITEBYTECODE=1 CI=true

.ci/runtime_tests "$work/alone"
cp tests/platforms/*_check.py "$work/alone"
cd "$work/alone"
for CORE in ${CORES:-cortex-a72 cortex-a76}; do
    export CORE
    SECONDS=0
    echo "== $CORE"
    "$python" device_check.py cpu 2>/dev/null
    "$python" memory_check.py 400 2>/dev/null
    echo "-- $SECONDS s"
    if [ -n "$long" ]; then
        "$python" -m pytest --wheel-alone -p no:cacheprovider -o timeout=7200 tests/runtime || failed=1
    elif [ "$CORE" = cortex-a76 ]; then
        "$python" -m pytest --wheel-alone -p no:cacheprovider -o timeout=1200 "${short[@]/#/tests/runtime/}"
    fi
    echo "-- $SECONDS s"
done
exit "${failed:-0}"
