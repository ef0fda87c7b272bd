#!/bin/bash
# After spack-install.sh: the idealised case, which needs no data, lies beside the real one.
set -euo pipefail

# shellcheck source=/dev/null
. /etc/profile.d/z10_spack_environment.sh
ideal=$(spack --env "$INSTALL_ROOT/spack-pkg-env" location --install-dir wrf compile_type=em_quarter_ss)
ln -sfn "$ideal" "$INSTALL_ROOT/wrf-ideal"
ln -sfn "$(spack --env "$INSTALL_ROOT/spack-pkg-env" location --install-dir wrf compile_type=em_real)" "$INSTALL_ROOT/wrf-real"
find "$INSTALL_ROOT/wrf-ideal/" -name ideal.exe | grep .
find "$INSTALL_ROOT/wrf-real/" -name real.exe | grep .
cat >/etc/profile.d/z11_wrf.sh <<END
export WRF_REAL=$INSTALL_ROOT/wrf-real WRF_IDEAL=$INSTALL_ROOT/wrf-ideal
END
