#!/bin/bash
# The builder: what a machine needs that bakes and tests images itself.
set -euo pipefail

bash /tmp/apt-install.sh packer qemu-system-x86 qemu-utils mmdebstrap git openssh-client python3-venv shellcheck \
  e2fsprogs grub-pc-bin grub2-common eatmydata curl ca-certificates
rm -f /tmp/apt-install.sh

# Jobs and bakes of all users meet here, as on the builder of old.
install -d -m 1777 /apps/workspace
packer version
qemu-img --version | head -n 1
