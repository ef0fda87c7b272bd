#!/bin/bash
set -euo pipefail
sed -i "s#@INSTALL_ROOT@#${INSTALL_ROOT}#g; s#@COMPILER@#${COMPILER}#g; s#@ARCH@#${ARCH}#g" /tmp/spack.yaml
spack compiler find "$(spack location --install-dir "${SYSTEM_COMPILER}")"
spack --env /tmp install
