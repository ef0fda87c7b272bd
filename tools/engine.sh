#!/usr/bin/env bash
# Links .bakery/engine to a Pulumi engine for the locked SDK; tools/engine.py finds, installs or builds one.
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

version=$(sed -n 's/^pulumi==\([^ ]*\).*/\1/p' "$root/requirements.lock")
if [[ -x $state/engine/pulumi && -f $state/engine.version && $(<"$state/engine.version") == "$version" ]]; then
    exit 0
fi
found=$("$root/.venv/bin/python" "$root/tools/engine.py" "$version")
ln -sfn "$found" "$state/engine"
printf '%s\n' "$version" >"$state/engine.version"
