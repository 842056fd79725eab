#!/usr/bin/env bash
# windows.sh [TESTS...]: the runtime's tests of files, galleries and the command line in a Python that has lost what Windows does not have, where open files stay
# (tests/platforms/like_windows.py). Left out is what does to an open file what Windows lets nobody do.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ $# = 0 ]; then set -- tests/runtime/transfer tests/runtime/stores tests/runtime/test_matching.py tests/runtime/cli/test_cli.py; fi
PYTHONPATH=tests/platforms${PYTHONPATH:+:$PYTHONPATH} exec python -m pytest -p like_windows -p no:cacheprovider "$@" \
    -k "not goes_away_under_an_open_gallery and not process_that_has_the_damaged_file_open"
