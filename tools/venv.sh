#!/usr/bin/env bash
# Creates .venv from requirements.lock and installs this checkout into it; again only after a change of either.
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

venv=$root/.venv
# It includes the path, since a moved checkout needs a new environment.
wanted=$(cd "$root" && { pwd && cat requirements.lock pyproject.toml; } | sha256sum)
stamp=$venv/image-bakery.stamp
if [[ -x $venv/bin/bakery && -x $venv/bin/python && -f $stamp && $(<"$stamp") == "$wanted" ]]; then
    exit 0
fi

if ! "$venv/bin/python" -I -m pip --version >/dev/null 2>&1 || [[ $("$venv/bin/python" -c 'import sys; print(sys.prefix)') != "$venv" ]]; then
    say "creating .venv, so that nothing is installed into your own Python"
    rm -rf "$venv"
    "$("$root/tools/python.sh")" -m venv "$venv"
fi
say "installing the locked dependencies into .venv (versions and hashes: requirements.lock)"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
# The lock is complete. Without --no-deps, pip searches for a package's extra in newer releases, which have no hash.
"$venv/bin/python" -m pip install --quiet --no-compile --no-deps --require-hashes \
    --requirement "$root/requirements.lock" </dev/null ||
    fail "pip could not install the locked dependencies. Replay:" \
        "$venv/bin/python -m pip install --no-deps --require-hashes --requirement $root/requirements.lock"
editable=(install --no-deps --no-build-isolation --editable "$root")
"$venv/bin/python" -m pip "${editable[@]}" --quiet </dev/null ||
    fail "pip could not install this checkout. Replay:" "$venv/bin/python -m pip ${editable[*]}"
# Also if PYTHONDONTWRITEBYTECODE is set, as in many containers: compiling takes each command a second.
"$venv/bin/python" -m compileall -q "$root/bakery"
printf '%s\n' "$wanted" >"$stamp"
