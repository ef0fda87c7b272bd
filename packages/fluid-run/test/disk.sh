#!/bin/bash
# How fast the builder packs a disk image. DISK_MB: its size; half of it is noise, half compresses well.
set -euo pipefail

size=${DISK_MB:-64}

head -c "$((size / 2))M" /dev/urandom >disk.raw
head -c "$((size - size / 2))M" /dev/zero | tr '\0' 'b' >>disk.raw
start=$(date +%s.%N)
qemu-img convert -c -f raw -O qcow2 disk.raw disk.qcow2
end=$(date +%s.%N)
qemu-img compare -q -f raw -F qcow2 disk.raw disk.qcow2
awk -v start="$start" -v end="$end" -v size="$size" 'BEGIN {printf "pack: %.1f MB/s\n", size / (end - start)}'
rm -f disk.raw disk.qcow2
