#!/bin/sh
# The last command of a bake, as root: takes away what must not be in an image and switches the machine off.
# @USER@ is filled in by the oven. Only the line "bakery-finish: done" on the console (in a container: on the standard
# output) says that all of it worked.
set -eu
user='@USER@'
exec 3>&1
machine=
for console in /dev/ttyAMA0 /dev/ttyS0; do # Arm's has both, and the second one leads nowhere
    if [ -z "$machine" ] && [ -c $console ]; then
        machine=$console
        exec 3>$console
    fi
done
trap 'echo "bakery-finish: failed" >&3; systemctl poweroff --no-block' EXIT
cd /

# The bake's own.
made=$(grep -c 'made by the bake' /etc/sudoers.d/zz-bakery 2>/dev/null) || made=${made:-0}
if cmp -s /run/bakery/sysctl /usr/local/sbin/sysctl; then
    rm /usr/local/sbin/sysctl
fi
rm -f /etc/sudoers.d/zz-bakery /etc/apt/apt.conf.d/zz-bakery /etc/dpkg/dpkg.cfg.d/zz-bakery
home=$(getent passwd "$user" | cut -d: -f6)
rm -f "$home/.ssh/authorized_keys" /root/.ssh/authorized_keys
if [ "$made" -gt 0 ]; then
    userdel --force "$user" 2>/dev/null
    rm -rf "$home"
fi
[ -L /etc/resolv.conf ] || rm -f /etc/resolv.conf

# What tells machines apart: made again at the first boot.
rm -f /etc/ssh/ssh_host_* /var/lib/dbus/machine-id
: >/etc/machine-id
systemctl stop systemd-random-seed 2>/dev/null || true
rm -f /var/lib/systemd/random-seed /var/lib/systemd/credential.secret
if [ -d /var/lib/cloud ]; then
    # Its last stages may still run, and would write their state again: the next machine would not be set up.
    timeout 60 systemctl stop cloud-final.service cloud-config.service cloud-init.service cloud-init-network.service \
        cloud-init-local.service cloud-init-main.service 2>/dev/null || true
    rm -rf /var/lib/cloud/*
fi

# What piled up while baking.
! command -v apt-get >/dev/null || apt-get clean
! command -v dnf >/dev/null || dnf --quiet clean all
rm -rf /var/lib/apt/lists/* /var/log/journal/* /var/log/apt/* /var/log/*.gz /var/log/*.[0-9] /var/lib/dhcp/*
find /var/log -type f -exec truncate --size 0 {} +
find /tmp /var/tmp -mindepth 1 -delete 2>/dev/null || true
rm -f /root/.*_history /home/*/.*_history /root/.wget-hsts /home/*/.wget-hsts /root/.lesshst /home/*/.lesshst

# Which kernel the image boots: the oven hands the same one to machines of this image.
sha256sum /vmlinuz | sed 's/ .*//; s/^/bakery-kernel: /' >&3
[ -z "$machine" ] || fstrim / || true # a container's is trimmed from outside
sync
trap - EXIT
echo 'bakery-finish: done' >&3
systemctl poweroff --no-block
