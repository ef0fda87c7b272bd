#!/usr/bin/env bash
# Sets up this checkout; idempotent, and quick if nothing is missing. It prints what it does.
#
#   tools/setup.sh            everything that `make up` and `make test` need
#   tools/setup.sh --no-engine  only what the `bakery` command and the linters need
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mkdir -p "$state"
exec 9>"$state/setup.lock"
flock --nonblock 9 || { say "waiting for another set-up of this checkout" && flock 9; }
"$root/tools/system.sh" 9>&-
"$root/tools/venv.sh" 9>&-
if [[ ${1:-} != --no-engine ]]; then
    "$root/tools/engine.sh" 9>&-
    "$root/tools/stack.sh" 9>&-
fi
