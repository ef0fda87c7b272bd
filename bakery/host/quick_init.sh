#!/bin/sh
# From the initial file system to the image's root in half a second of an emulated machine; the image's own /init, which
# runs udev and some fifty programs, takes three. It runs instead where there is anything that this does not know.
PATH=/usr/sbin:/usr/bin:/sbin:/bin

quick() {
    command -v run-init >/dev/null || return # initramfs-tools have it, dracut has not
    mkdir -p /dev /proc /sys /run /root || return
    mount -n -t devtmpfs -o nosuid,mode=0755 udev /dev || return
    mount -n -t proc -o nodev,noexec,nosuid proc /proc || return
    mount -n -t sysfs -o nodev,noexec,nosuid sysfs /sys || return
    root='' token=''
    read -r words </proc/cmdline
    for word in $words; do
        case $word in
        root=/dev/vd*) root=${word#root=} ;;
        root=LABEL=* | root=UUID=*) token=${word#root=} ;;
        init=* | rootflags=* | rootfstype=* | resume=*) return 1 ;;
        esac
    done
    modprobe -q virtio_pci
    modprobe -q virtio_blk
    modprobe -q ext4
    [ -n "$root" ] || root=$(blkid -l -o device -t "$token") || return
    [ -b "$root" ] || return
    mount -n -t ext4 -o rw "$root" /root || return
    # As a link it leads to a path of that root: nothing can be said of it from here.
    if [ -h /root/sbin/init ] || [ -x /root/sbin/init ]; then
        mount -n -t tmpfs -o nodev,noexec,nosuid,size=10%,mode=0755 tmpfs /run && unneeded && return
    fi
    umount /root
    return 1
}

# Programs that systemd would run to look for what these machines never have; each costs a tenth of a second.
unneeded() {
    mkdir -p /run/systemd/system-generators || return
    for kind in bless-boot cryptsetup gpt-auto hibernate-resume integritysetup system-update veritysetup; do
        ln -s /dev/null "/run/systemd/system-generators/systemd-$kind-generator" || return
    done
}

if quick; then
    for place in dev proc sys run; do mount -n -o move "/$place" "/root/$place"; done
    # shellcheck disable=SC2094  # a console is read and written
    exec run-init /root /sbin/init "$@" </root/dev/console >/root/dev/console 2>&1
fi
for place in sys proc dev; do umount "/$place"; done
exec /init "$@"
