#!/bin/sh
# Comes on the seed disk of a bake (or is in a folder of its container) and runs once, as root, before the network is up:
# lets Packer in and makes dpkg quick. Everything here is taken back by finish.sh. @USER@ is filled in by the oven.
set -eu
user='@USER@'

made=
if ! getent passwd "$user" >/dev/null; then
    useradd --create-home --shell /bin/bash "$user"
    made='# made by the bake'
elif grep -qs 'made by the bake' /etc/sudoers.d/zz-bakery; then
    made='# made by the bake' # which continues from a layer
fi
home=$(getent passwd "$user" | cut -d: -f6)
install -d -m 700 -o "$user" "$home/.ssh"
install -m 600 -o "$user" /run/bakery/key.pub "$home/.ssh/authorized_keys"
printf '%s ALL=(ALL) NOPASSWD: ALL %s\n' "$user" "$made" >/etc/sudoers.d/zz-bakery
chmod 440 /etc/sudoers.d/zz-bakery
if [ ! -L /etc/resolv.conf ]; then
    echo 'nameserver 10.0.2.3' >/etc/resolv.conf # QEMU's own
fi

# A disk that is larger than the image it was made from: the file system grows with it.
if [ "$(findmnt -n -o SOURCE / || true)" = /dev/vda1 ]; then # a disk of another layout grows by cloud-init
    disk=$(cat /sys/class/block/vda/size)
    used=$(($(cat /sys/class/block/vda1/start) + $(cat /sys/class/block/vda1/size)))
    if [ $((disk - used)) -gt 65536 ]; then
        echo ', +' | sfdisk --quiet --no-reread --force -N 1 /dev/vda || true
        partx --update --nr 1 /dev/vda
        resize2fs /dev/vda1
    fi
fi
if [ -e /run/bakery/sysctl ] && [ ! -e /usr/local/sbin/sysctl ]; then
    install -m 755 /run/bakery/sysctl /usr/local/sbin/sysctl
fi

# Files that ssh reads have the labels that SELinux wants.
[ ! -x /usr/sbin/restorecon ] || /usr/sbin/restorecon -R "$home/.ssh" /etc/ssh /etc/sudoers.d
[ -d /etc/apt ] || exit 0
# No translations, no differences between package lists; dpkg need not wait for a disk that is thrown away on a crash.
printf 'Acquire::Languages "none";\nAcquire::PDiffs "false";\n' >/etc/apt/apt.conf.d/zz-bakery
echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/zz-bakery
