#!/bin/bash
# HPC Challenge from Debian, with OpenBLAS in place of the reference BLAS. The serial one: hpcc runs one rank a core.
set -euo pipefail

bash /tmp/apt-install.sh hpcc libopenblas0-serial
rm -f /tmp/apt-install.sh

ldd "$(command -v hpcc)" | grep 'libblas.so.3 => '
readlink -f /usr/lib/x86_64-linux-gnu/libblas.so.3 | grep openblas
