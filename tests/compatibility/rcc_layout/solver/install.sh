#!/bin/bash
set -euo pipefail
: "${INSTALL_ROOT:?}"
mkdir -p "$INSTALL_ROOT/etc"
