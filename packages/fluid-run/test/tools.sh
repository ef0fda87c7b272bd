#!/bin/bash
# The builder's tools work: Packer takes a template and runs a provisioner, QEMU's disks are sound.
set -euo pipefail

export CHECKPOINT_DISABLE=1
cat >packer.json <<'END'
{
  "builders": [{"type": "null", "communicator": "none"}],
  "provisioners": [{"type": "shell-local", "inline": ["echo baked >baked.txt"]}]
}
END
packer validate packer.json
start=$(date +%s.%N)
packer build -color=false packer.json
awk -v start="$start" -v end="$(date +%s.%N)" 'BEGIN {printf "packer: %.2f s\n", end - start}'
grep -x baked baked.txt

qemu-img create -q -f qcow2 disk.qcow2 64M
qemu-img check disk.qcow2
qemu-system-x86_64 -version
