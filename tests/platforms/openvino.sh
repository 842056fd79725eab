#!/usr/bin/env bash
# openvino.sh [WHEEL]: the runtime with ONNX Runtime's OpenVINO build, on this machine's processor, in a virtual environment of its own.
# Golden images and answers are the CPU provider's in both precisions; 16-bit arithmetic is refused; no other device is taken instead. x86-64 Linux or Windows.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
what=$(realpath "${1:-.}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q "${what}[openvino]"
cp tests/platforms/device_check.py "$work"
cd "$work" # so that the installed package is met, not the checkout
python=$work/venv/bin/python
"$python" -c "import oneshot_runtime, pathlib; assert not pathlib.Path(oneshot_runtime.__file__).is_relative_to('$root')"
"$python" device_check.py openvino
"$python" -m oneshot_runtime doctor --device openvino
"$python" -m oneshot_runtime demo --device openvino | tail -n 2

refused() { # WORDS OPTIONS...: the doctor fails, and says why in these words
    local words=$1 said
    shift
    if said=$("$python" -m oneshot_runtime doctor "$@" 2>/dev/null); then echo "not refused: $*"; return 1; fi
    grep -q "FAIL load:.*$words" <<<"$said" || { echo "refused otherwise: $said"; return 1; }
    echo "refused, as it must be: $*"
}
if grep -qE "avx512_bf16|amx_bf16" /proc/cpuinfo; then
    refused "golden images come out wrong" --device openvino --provider-option 'load_config={"CPU": {"INFERENCE_PRECISION_HINT": "bf16"}}'
else
    echo "this processor has no bf16: that it is refused is not seen here"
fi
refused "Invalid OpenVINO EP option" --device openvino --provider-option nonsense=1
[ -e /dev/dri ] || refused "does not start here" --device openvino --provider-option device_type=GPU
refused "has only openvino, cpu" --device cuda
