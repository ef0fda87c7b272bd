#!/bin/bash
# Lustre's server on rcc-centos: the patched kernel, ldiskfs, and the modules, which also mount as a client.
set -euo pipefail

: "${LUSTRE_VERSION:?}" "${LUSTRE_RELEASE:?}"
site=${LUSTRE_SITE:-https://downloads.whamcloud.com/public}

cat >/etc/yum.repos.d/lustre.repo <<END
[lustre-server]
name=Lustre $LUSTRE_VERSION server
baseurl=$site/lustre/lustre-$LUSTRE_VERSION/$LUSTRE_RELEASE/server/
enabled=0
gpgcheck=0

[lustre-e2fsprogs]
name=e2fsprogs for ldiskfs
baseurl=$site/e2fsprogs/latest/el9/
enabled=0
gpgcheck=0
END

dnf_install() {
  dnf -q -y --setopt=install_weak_deps=False --setopt=tsflags=nodocs --setopt=retries=5 \
    --enablerepo=lustre-server --enablerepo=lustre-e2fsprogs "$@"
}

# The kernel of the Lustre repository is the one that its modules were built for.
kernel=$(dnf -q --disablerepo='*' --enablerepo=lustre-server repoquery --latest-limit=1 \
  --queryformat '%{version}-%{release}.%{arch}' kernel-core)
[[ -n $kernel ]] || { echo "lustre: $site has no kernel for $LUSTRE_VERSION on $LUSTRE_RELEASE" >&2; exit 1; }
dnf_install install "kernel-core-$kernel" "kernel-modules-core-$kernel" "kernel-modules-$kernel"
dnf_install upgrade e2fsprogs e2fsprogs-libs libcom_err libss
dnf_install install kmod-lustre kmod-lustre-osd-ldiskfs lustre lustre-osd-ldiskfs-mount
grubby --set-default "/boot/vmlinuz-$kernel"
dnf -q clean all

echo 'options lnet networks=tcp' >/etc/modprobe.d/lustre.conf
modinfo -k "$kernel" lustre | grep '^version'

# The tests mount a file system of their own; jobs are no root, so one fixed program may be.
cat >/usr/local/sbin/lustre-selftest <<'END'
#!/bin/bash
# A whole Lustre on this machine, on files in /var/tmp: made, mounted, written, read, compared, taken away.
set -euo pipefail

work=$(mktemp -d /var/tmp/lustre-selftest.XXXXXX)
clean_up() {
  umount "$work/client" "$work/ost" "$work/mdt" 2>/dev/null || true
  rm -rf "$work"
}
trap clean_up EXIT

modprobe lustre
nid=$(lctl list_nids | head -n 1)
mkdir "$work/mdt" "$work/ost" "$work/client"
mkfs.lustre --fsname=selftest --mgs --mdt --index=0 --backfstype=ldiskfs --device-size=262144 "$work/mdt.img" >/dev/null
mkfs.lustre --fsname=selftest --ost --index=0 --mgsnode="$nid" --backfstype=ldiskfs --device-size=524288 \
  "$work/ost.img" >/dev/null
mount -t lustre_tgt -o loop "$work/mdt.img" "$work/mdt"
mount -t lustre_tgt -o loop "$work/ost.img" "$work/ost"
mount -t lustre "$nid:/selftest" "$work/client"

mb=128
head -c "${mb}M" /dev/urandom >"$work/data"
start=$(date +%s.%N)
dd if="$work/data" of="$work/client/data" bs=1M conv=fsync status=none
written=$(date +%s.%N)
echo 3 >/proc/sys/vm/drop_caches
dd if="$work/client/data" of=/dev/null bs=1M status=none
end=$(date +%s.%N)
cmp "$work/data" "$work/client/data"
awk -v mb="$mb" -v a="$start" -v b="$written" -v c="$end" \
  'BEGIN {printf "write: %.1f MB/s\nread: %.1f MB/s\n", mb / (b - a), mb / (c - b)}'
lfs df "$work/client" | grep summary
END
chmod 0755 /usr/local/sbin/lustre-selftest
echo 'ALL ALL=(root) NOPASSWD: /usr/local/sbin/lustre-selftest ""' >/etc/sudoers.d/lustre-selftest
chmod 0440 /etc/sudoers.d/lustre-selftest
visudo -cf /etc/sudoers.d/lustre-selftest
