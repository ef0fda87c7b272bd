#!/bin/sh
# mmdebstrap's essential hook, before the kernel comes: an initramfs of only what mounts a virtio disk.
# $1 is the new root.
set -eu
root=$1
mkdir -p "$root/etc/initramfs-tools/conf.d" "$root/usr/share/initramfs-tools/modules.d"
echo MODULES=list >"$root/etc/initramfs-tools/conf.d/bakery"
printf '%s\n' virtio_pci virtio_blk ext4 crc32c_generic >"$root/usr/share/initramfs-tools/modules.d/bakery"
