#!/usr/bin/env bash
# debian_python.sh VERSION FOLDER: a Python that this system lacks, from Debian 14's packages, unpacked into FOLDER with the C library that they were built for;
# FOLDER/usr/bin/python runs it. It has venv, without ensurepip. On Debian.
set -euo pipefail
folder=$(mkdir -p "$2" && realpath "$2")
"$(dirname "$0")/debian.sh" forky "$(dpkg --print-architecture)" "$folder" "python$1" libstdc++6 libgomp1
loader=$(find "$folder/usr/lib" "$folder/usr/lib64" -maxdepth 1 -name 'ld-linux-*' 2>/dev/null | sed -n 1p)
libraries=$(dirname "$(find "$folder/usr/lib" -name 'libc.so.6')")
cat >"$folder/usr/bin/python" <<SHELL
#!/bin/sh
exec "$loader" --argv0 "\$0" --library-path "$libraries" "$folder/usr/bin/python$1" "\$@"
SHELL
chmod +x "$folder/usr/bin/python"
"$folder/usr/bin/python" --version
