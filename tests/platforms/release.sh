#!/usr/bin/env bash
# release.sh: a release rehearsed, up to the upload: wheel and sdist are built and checked, laid in an index on this machine, and installed from it by name,
# the wheel and then what pip builds of the sdist; both run, and hold the same files. The changelog and the tag must name the version.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap '[ -z "${server:-}" ] || kill "$server"; rm -rf "$work"' EXIT
version=$(sed -nE 's/^__version__ = "(.*)"/\1/p' oneshot_runtime/__init__.py)
grep -q "^## $version" CHANGELOG.md || { echo "CHANGELOG.md says nothing of $version"; exit 1; }
grep -q "^version: $version" CITATION.cff || { echo "CITATION.cff is of another version than $version"; exit 1; }

python3 -m venv "$work/tools"
"$work/tools/bin/pip" install -q "build>=1.2" "hatchling>=1.25" twine
index=$work/index/simple/oneshot-runtime
mkdir -p "$index"
"$work/tools/bin/python" -m build --no-isolation --outdir "$index" . >/dev/null # the wheel is built of the sdist
"$work/tools/bin/twine" check --strict "$index"/*
(cd "$index" && for file in *.whl *.tar.gz; do echo "<a href=\"$file\">$file</a>"; done >index.html)
ls -l "$index" | awk 'NR > 1 { printf "%-50s %6.1f MB\n", $9, $5 / 1e6 }'

port=$(python3 -c "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])")
python3 -m http.server "$port" --bind 127.0.0.1 --directory "$work/index" >/dev/null 2>&1 &
server=$!
for kind in only-binary no-binary; do
    python3 -m venv "$work/$kind"
    "$work/$kind/bin/pip" install -q --extra-index-url "http://127.0.0.1:$port/simple" "--$kind=oneshot-runtime" "oneshot-runtime[cpu]==$version"
    (cd "$work" && "$kind/bin/oneshot" --version && "$kind/bin/oneshot" doctor | grep -E "^(FAIL|ok   golden)" && "$kind/bin/oneshot" demo --sheet "$work/$kind.png" | tail -n 2)
    (cd "$work/$kind"/lib/python3*/site-packages && find oneshot_runtime -type f ! -name '*.pyc' -exec sha256sum {} + | sort -k 2) >"$work/$kind.txt"
done
diff "$work/only-binary.txt" "$work/no-binary.txt"
echo "$(wc -l <"$work/only-binary.txt") files, the same from the wheel and from the sdist"
