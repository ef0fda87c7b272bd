#!/bin/bash
# The running kernel has Lustre's modules, and the tools are of the same release.
set -euo pipefail

modinfo lustre | grep '^version'
modinfo osd_ldiskfs | grep '^filename'
lfs --version
/usr/sbin/mkfs.lustre --version 2>&1 | head -n 1
