#!/bin/bash
# HPC Challenge from Debian, with OpenBLAS in place of the reference BLAS.
set -euo pipefail

export DEBIAN_FRONTEND=noninteractive LC_ALL=C

apt_get() {
  apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Languages=none -o Acquire::Retries=3 \
    -o Dpkg::Options::=--force-unsafe-io -o Dpkg::Use-Pty=0 "$@"
}

apt_get update
# The serial OpenBLAS: hpcc runs one rank a core.
apt_get install --yes --no-install-recommends hpcc libopenblas0-serial
apt_get clean

ldd "$(command -v hpcc)" | grep -q 'libblas.so.3 => '
readlink -f /usr/lib/x86_64-linux-gnu/libblas.so.3 | grep -q openblas
