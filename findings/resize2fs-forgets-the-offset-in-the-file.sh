#!/usr/bin/env bash
# e2fsprogs 1.47.0: with `FILE?offset=N`, resize2fs reads the file system at N, but counts sizes from the file's start.
#
# mke2fs makes a file system inside a disk image (-E offset=N); e2fsck, dumpe2fs and debugfs then take `FILE?offset=N`.
# resize2fs takes it too, says that all went well and exits with 0, but
# - without a size it makes the file system as large as the whole file: it ends N bytes after the file's end;
# - with -M it cuts the file to the size of the file system alone, so that the last N bytes of the file system are gone.
# e2fsck -f finds nothing wrong in either case. Who shrinks a disk image in place has to cut the partition out first, or
# to shrink by a loop device, which has the offset in itself.
#
# Needs Debian 12 (apt-get download, dpkg-deb). Unpacks the packages in a temporary folder. Exits 1 if this changed.
set -euo pipefail

version=1.47.0-2+b2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir packages root content
(cd packages && apt-get download -q e2fsprogs="$version" libext2fs2="$version" libss2="$version" \
    libcom-err2="$version" >/dev/null 2>"$work/apt.log") || { cat "$work/apt.log"; exit 1; }
for package in packages/*.deb; do dpkg-deb -x "$package" root; done
LD_LIBRARY_PATH=$(find "$work/root" -name 'lib*.so.*' -printf '%h\n' | sort -u | paste -sd:)
export LD_LIBRARY_PATH
PATH=$work/root/sbin:$work/root/usr/sbin:$PATH

mib=1048576
head -c $((40 * mib)) /dev/urandom >content/data
truncate -s $((61 * mib)) made.raw
mke2fs -q -t ext4 -b 4096 -m 0 -O ^has_journal -E offset=$mib -d content made.raw 60M 2>/dev/null
e2fsck -fy "made.raw?offset=$mib" >/dev/null 2>&1

checked() { # checked FILE: exit code of e2fsck, blocks of the file system, blocks of the file after the offset, the data
    local code=0 blocks data=lost
    e2fsck -fn "$1?offset=$mib" >/dev/null 2>&1 || code=$?
    blocks=$(dumpe2fs -h "$1?offset=$mib" 2>/dev/null | sed -n 's/^Block count: *//p')
    rm -f read
    debugfs -R "dump /data read" "$1?offset=$mib" >/dev/null 2>&1 || true
    cmp -s content/data read && data=whole
    echo "fsck $code, $((blocks - ($(stat -c %s "$1") - mib) / 4096)) blocks beyond the end, data $data"
}

cp made.raw larger.raw
truncate -s $((101 * mib)) larger.raw
grown=0 shrunk=0
resize2fs "larger.raw?offset=$mib" >/dev/null 2>&1 || grown=$?
cp made.raw smaller.raw
resize2fs -M "smaller.raw?offset=$mib" >/dev/null 2>&1 || shrunk=$?
seen="made: $(checked made.raw)
grown ($grown): $(checked larger.raw)
shrunk ($shrunk): $(checked smaller.raw)"
expected="made: fsck 0, 0 blocks beyond the end, data whole
grown (0): fsck 0, 256 blocks beyond the end, data whole
shrunk (0): fsck 0, 256 blocks beyond the end, data lost"
printf '%s\nseen:\n%s\nexpected:\n%s\n' "$(command -v resize2fs | sed "s|$work/||"): $(resize2fs 2>&1 | head -1)" "$seen" "$expected"
[ "$seen" = "$expected" ]
