#!/bin/bash
# After spack-install.sh: SELF's example programs must be there, the tests run them.
set -euo pipefail

programs=$(find -L "$INSTALL_ROOT/view/test" "$INSTALL_ROOT/view/examples" -name 'linear_euler3d_*' 2>/dev/null | head -n 1 || true)
[[ -n $programs ]] || { echo "self: no example programs in $INSTALL_ROOT/view" >&2; exit 1; }
echo "export SELF_EXAMPLES=$(dirname "$programs")" >/etc/profile.d/z11_self.sh
