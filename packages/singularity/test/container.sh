#!/bin/bash -l
# Builds an image from a folder made here (no registry is asked), runs it, and starts it STARTS times for the clock.
set -euo pipefail

starts=${STARTS:-5}

mkdir -p rootfs/{bin,dev,etc,home,proc,root,sys,tmp,usr,var}
cat >hello.c <<'END'
#include <stdio.h>
int main(void) { puts("hello from a container"); return 0; }
END
gcc -O2 -static -o rootfs/bin/hello hello.c
cp rootfs/bin/hello rootfs/bin/sh # the image's own shell is never used, but has to be there
apptainer build --force hello.sif rootfs
apptainer exec hello.sif /bin/hello | grep -x 'hello from a container'
start=$(date +%s.%N)
for ((i = 0; i < starts; i++)); do
  apptainer exec hello.sif /bin/hello >/dev/null
done
awk -v start="$start" -v end="$(date +%s.%N)" -v n="$starts" 'BEGIN {printf "start: %.0f ms\n", (end - start) / n * 1000}'
