#!/bin/sh
# mmdebstrap's customize hook: finishes the tree and writes it as a file system into the disk image. Runs outside of the
# chroot with the rights of mmdebstrap's mode, so no loop device and no device mapper is needed.
# $1 is the new root. Environment: BAKERY_FILES (files to add), BAKERY_OUT (folder for disk.raw, boot.img, core.img,
# vmlinuz, initrd.img), BAKERY_BLOCKS (file system size in KiB), BAKERY_OFFSET (its place on the disk, bytes),
# BAKERY_UUID (of the file system: a name of its own for each base), BAKERY_ARGUMENTS (kernel command line),
# BAKERY_UEFI (place in bytes and sectors of the partition that UEFI boots from; empty: a BIOS boots the disk).
set -eu
root=$1

cp -R "$BAKERY_FILES/root/." "$root/"
chmod 755 "$root/usr/lib/image-bakery/seed"
sed -i "s|@ARGUMENTS@|$BAKERY_ARGUMENTS|" "$root/boot/grub/grub.cfg"
echo 'LABEL=bakery-root / ext4 defaults,errors=remount-ro 0 1' >"$root/etc/fstab"
echo localhost >"$root/etc/hostname"
printf '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n' >"$root/etc/hosts"
chroot "$root" passwd --quiet --lock root
chroot "$root" systemctl --quiet enable systemd-networkd ssh bakery-seed bakery-host-keys
# Nobody waits for the network to be up but who needs it, and timers would change an image while it is baked or tested.
chroot "$root" systemctl --quiet disable systemd-networkd-wait-online systemd-timesyncd 2>/dev/null || true
chroot "$root" systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer

if [ -n "$BAKERY_UEFI" ]; then
    # Debian's own GRUB, beside the tree: no file of it is needed in the image. Firmware looks for BOOTAA64.EFI, and this
    # one for a configuration in EFI/debian.
    loader=$(mktemp -d "$BAKERY_OUT/loader.XXXXXX")
    (cd "$loader" && APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get --quiet download grub-efi-arm64-signed)
    dpkg-deb --extract "$loader"/*.deb "$loader"
    cat >"$loader/grub.cfg" <<'END'
search --no-floppy --label --set=root bakery-root
set prefix=($root)/boot/grub
configfile $prefix/grub.cfg
END
    disk="$BAKERY_OUT/disk.raw@@${BAKERY_UEFI% *}"
    mformat -i "$disk" -T "${BAKERY_UEFI#* }" -h 255 -s 63 -v UEFI ::
    mmd -i "$disk" ::/EFI ::/EFI/BOOT ::/EFI/debian
    mcopy -i "$disk" "$loader/usr/lib/grub/arm64-efi-signed/grubaa64.efi.signed" ::/EFI/BOOT/BOOTAA64.EFI
    mcopy -i "$disk" "$loader/grub.cfg" ::/EFI/debian/grub.cfg
    rm -rf "$loader"
else
    # GRUB only makes two blobs, and this machine's does: that of the release may need libraries that are not in the image.
    grub=/usr/lib/grub/i386-pc
    grub-mkimage --directory=$grub --format=i386-pc --prefix='(hd0,msdos1)/boot/grub' --output="$BAKERY_OUT/core.img" \
        biosdisk part_msdos ext2 normal linux echo serial
    cp $grub/boot.img "$BAKERY_OUT/"
    chmod 644 "$BAKERY_OUT/boot.img" "$BAKERY_OUT/core.img"
fi
cp -L "$root/vmlinuz" "$root/initrd.img" "$BAKERY_OUT/"

# What is of this build and not of Debian.
chroot "$root" apt-get clean
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/log/*.log "$root"/var/log/apt "$root"/etc/ssh/ssh_host_*
rm -rf "$root"/var/cache/debconf/*-old "$root"/var/lib/dpkg/*-old "$root/etc/resolv.conf"
rm -f "$root/etc/apt/apt.conf.d/99mmdebstrap" "$root/etc/dpkg/dpkg.cfg.d/99mmdebstrap"
: >"$root/etc/machine-id"
rm -f "$root/var/lib/dbus/machine-id"
mkdir -p "$root/var/lib/apt/lists/partial" "$root/var/log/apt"

# A second view of the tree, without what is mounted on it (/proc, /sys, /dev).
view=$(mktemp -d "${TMPDIR:-/tmp}/bakery-view.XXXXXX")
mount --bind "$root" "$view"
trap 'umount "$view" && rmdir "$view"' EXIT
mke2fs -q -t ext4 -L bakery-root -U "$BAKERY_UUID" -d "$view" -E "offset=$BAKERY_OFFSET" -m 1 \
    -O '^metadata_csum_seed,^orphan_file' "$BAKERY_OUT/disk.raw" "${BAKERY_BLOCKS}k"
# Not the disk, which is the maker's own: without root, that is somebody else here.
cd "$BAKERY_OUT"
chmod 644 vmlinuz initrd.img
