#!/usr/bin/env bash
# Prints the first Python on this machine that is new enough (3.11), $PYTHON first.
set -euo pipefail

for candidate in "${PYTHON:-python3}" /usr/bin/python3 python3.13 python3.12 python3.11; do
    found=$(command -v "$candidate") || continue
    if "$found" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        printf '%s\n' "$found"
        exit 0
    fi
done
printf 'set-up stopped: no Python 3.11 or newer; install python3 (Debian, Ubuntu) or python3.11 (Rocky Linux 9)\n' >&2
exit 1
