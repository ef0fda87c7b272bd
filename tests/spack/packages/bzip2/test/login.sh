#!/bin/bash -l
# A login on a node of the cluster: the program comes from Spack, works, and there is a module of it.
set -euo pipefail

[[ $(command -v bzip2) == /opt/view/bin/bzip2 ]]
head -c 1000000 /dev/zero >zeros
bzip2 --keep zeros
bzip2 --decompress --stdout zeros.bz2 | cmp - zeros
ldd "$(readlink -f /opt/view/bin/bzip2)"
module avail 2>&1 | grep 'bzip2/1.0.8'
printf 'size: %d bytes\n' "$(stat --format %s zeros.bz2)"
spack --version
