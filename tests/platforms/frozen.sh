#!/usr/bin/env bash
# frozen.sh [WHEEL]: `oneshot match` from a folder that PyInstaller built, carried to another place; `pip install --target`; a zip application.
# Each is run with an empty environment, from another folder, where no Python of this project can be found. Also the smallest folder that matches.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
what=$(realpath "${1:-.}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q "${what}[cpu]" pyinstaller
alone() { env -i PATH=/usr/bin:/bin "$@"; } # no HOME, no PYTHONPATH
same() { # WHAT COMMAND...: twenty symbols are recognised, and a gallery made by one command is matched by another
    local what=$1 folder
    shift
    folder=$(mktemp -d -p "$work")
    cd "$folder"
    alone "$@" doctor | grep -E "^(FAIL|ok   golden)"
    alone "$@" demo --json --sheet sheet.png >demo.json
    python3 -c "import json; found = json.load(open('demo.json')); assert found['correct'] >= 17, found; print('$what:', found['correct'], 'of 20')"
    alone "$@" enroll alef sheet.png --gallery letters.db >/dev/null
    alone "$@" match sheet.png --gallery letters.db --explain why.png >answer.txt
    grep -q alef answer.txt
    [ -s why.png ]
}

# One folder. The hook in the package brings the model.
cat >"$work/app.py" <<'PYTHON'
import sys
from oneshot_runtime.cli.main import main

sys.exit(main())
PYTHON
(cd "$work" && venv/bin/pyinstaller --log-level ERROR --onedir --name oneshot app.py >"$work/pyinstaller.log" 2>&1) || { cat "$work/pyinstaller.log"; exit 1; }
mkdir "$work/elsewhere"
mv "$work/dist/oneshot" "$work/elsewhere/carried here"
mv "$work/venv" "$work/build" "$work/elsewhere/" # what it was built of must not be met
echo "one folder: $(du -sm "$work/elsewhere/carried here" | cut -f1) MB"
same "one folder" "$work/elsewhere/carried here/oneshot"
mv "$work/elsewhere/venv" "$work/venv"

# The smallest folder, by the commands of docs/platforms.md.
cd "$root"
sed -n '/^```bash$/,/^```$/{/^pip install --no-compile --target app /,/^```$/p}' docs/platforms.md | sed '/^```$/d' >"$work/smallest.sh"
sed -i "s|^pip install \(.*\)\"oneshot-runtime|'$work/venv/bin/python' -m pip install -q \1\"$what|" "$work/smallest.sh"
grep -qF -- "-m pip install -q --no-compile --target app \"$what" "$work/smallest.sh" || { echo "docs/platforms.md has no longer the commands that leave the smallest folder"; exit 1; }
(cd "$work" && bash -e smallest.sh)
size=$(du -sm "$work/app" | cut -f1)
echo "the smallest folder: $size MB"
[ "$size" -le 160 ]
cat >"$work/app.sh" <<'SHELL'
exec env PYTHONPATH="$(dirname "$0")/app" PYTHONDONTWRITEBYTECODE=1 "$(dirname "$0")/venv/bin/python" -S -m oneshot_runtime "$@"
SHELL
same "the smallest folder" sh "$work/app.sh"
cd "$work"
alone PYTHONPATH="$work/app" PYTHONDONTWRITEBYTECODE=1 venv/bin/python -S "$root/tests/platforms/device_check.py" cpu

# A folder of pip's.
"$work/venv/bin/python" -m pip install -q --target "$work/target" "${what}[cpu]"
cat >"$work/target.sh" <<'SHELL'
exec env PYTHONPATH="$(dirname "$0")/target" "$(dirname "$0")/venv/bin/python" -S -m oneshot_runtime "$@"
SHELL
echo "pip install --target: $(du -sm "$work/target" | cut -f1) MB"
same "pip install --target" sh "$work/target.sh"

# A zip application of the package; what it needs has compiled parts, which no Python imports from an archive, and lies beside it.
mkdir "$work/zip" && cp -r "$work/target/oneshot_runtime" "$work/zip/"
rm -rf "$work/target/oneshot_runtime"
python3 -m zipapp "$work/zip" --output "$work/oneshot.pyz" --main oneshot_runtime.cli.main:main
cat >"$work/zip.sh" <<'SHELL'
exec env PYTHONPATH="$(dirname "$0")/target" "$(dirname "$0")/venv/bin/python" -S "$(dirname "$0")/oneshot.pyz" "$@"
SHELL
same "zip application" sh "$work/zip.sh"
