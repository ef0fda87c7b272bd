#!/bin/sh
# Bakes a disk image in a container: container.sh WORK MACHINE CORES MEMORY_MB. Runs as root, and then as the first process
# of its own namespaces of processes, mounts and network: when it ends or is killed, all of them end, and with them every
# process, mount and loop device. WORK has disk.raw (with a file system at 1 MiB) and seed/, which apply.sh knows.
set -eu
if [ "${5-}" != inside ]; then
    # A group of its own in each hierarchy, which is all that the container sees of them; the bakery removes those listed.
    # Its share of the processors is that of as many processes as it has processors, as a machine's.
    count=$(echo "$3" | tr , '\n' | wc -l)
    while IFS=: read -r _ kind path; do
        top=/sys/fs/cgroup/${kind#name=}
        if [ -z "$kind" ] && [ -d /sys/fs/cgroup/unified ]; then top=/sys/fs/cgroup/unified; fi
        if [ ! -d "$top" ]; then continue; fi # the container does not see it either
        group=${top%/}${path%/}/$2
        echo "$group" >>"$1/cgroups" # before it is there: a kill leaves none that is not listed
        mkdir "$group"
        for file in cpuset.cpus cpuset.mems; do # an empty set takes no process; only version 1 needs it
            if [ "$kind" = cpuset ]; then cat "${group%/*}/$file" >"$group/$file"; fi
        done
        for limit in "memory.max $(($4 << 20))" "memory.limit_in_bytes $(($4 << 20))" "pids.max 16384" \
            "cpu.shares $((count * 1024))" "cpu.weight $((count * 100))"; do
            if [ -e "$group/${limit% *}" ]; then echo "${limit#* }" >"$group/${limit% *}"; fi
        done
        echo $$ >"$group/cgroup.procs"
    done </proc/self/cgroup
    exec 9</proc/self/ns/net # the host's
    exec unshare --fork --kill-child --pid --mount --mount-proc --propagation private --net \
        /bin/sh "$0" "$@" inside
fi
work=$1 machine=$2 cores=$3
cd "$work"

mkdir -p root
# What an interrupted bake wrote is thrown away, so nothing waits for the disk.
mount -o loop,offset=1048576,noatime,nobarrier,commit=3600 disk.raw root

# The network of a QEMU machine, by the same library: 10.0.2.2 is the host, 10.0.2.3 its name server.
nsenter --net=/proc/self/fd/9 slirp4netns --configure --mtu=65520 --api-socket=slirp.sock --netns-type=path \
    "/proc/$$/ns/net" eth0 &
exec 9>&-
echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start # root of the container is nobody here, and its sshd wants 22

# What nspawn keeps below /run, it keeps in this mount namespace only.
mkdir -p /run/systemd/nspawn /run/systemd/nspawn-uid
mount -t tmpfs -o mode=0755 tmpfs /run/systemd/nspawn
mount -t tmpfs -o mode=0755 tmpfs /run/systemd/nspawn-uid
mkdir /run/systemd/nspawn/seed
mount --bind seed /run/systemd/nspawn/seed # a path without signs that nspawn would read as its own

nspawn() {
    SYSTEMD_NSPAWN_TMPFS_TMP=0 systemd-nspawn --quiet --settings=no --register=no --keep-unit --machine="$machine" \
        --directory=root --private-users=pick --private-users-ownership=map --bind-ro=/run/systemd/nspawn/seed:/run/bakery \
        --bind-ro=/run/systemd/nspawn/seed/tmp.conf:/run/tmpfiles.d/tmp.conf \
        --hostname=localhost --timezone=off --resolv-conf=off --link-journal=no --suppress-sync=yes \
        --cpu-affinity="$cores" --console=pipe "$@" </dev/null
}
nspawn --as-pid2 /bin/sh /run/bakery/apply

# At the word "stop" from the bakery, no process of the container runs on, and all that was written is in the disk's file;
# "still" exists until the word "go". A kill ends stopped processes, too.
inside() {
    find /proc/[0-9]*/ns/user -maxdepth 0 -printf '%l %h\n' | awk -v own="$own" -F '[ /]' '/^user/ && $1 != own { print $4 }'
}
own=$(readlink /proc/self/ns/user)
rm -f control still
mkfifo control
while read -r word; do
    stopped=
    while [ "$word" = stop ] && now=$(inside) && [ "$now" != "$stopped" ]; do # those that were started meanwhile
        echo "$now" | xargs kill -s STOP || true
        stopped=$now
    done
    if [ "$word" = stop ]; then sync -f root && fstrim root && sync -f root && : >still; fi
    if [ "$word" = go ]; then
        rm -f still
        inside | xargs kill -s CONT || true
    fi
done <>control 2>/dev/null &
# Its root is mounted as it should be, and nobody logs in on a console.
nspawn --boot systemd.mask=systemd-remount-fs.service systemd.mask=console-getty.service
sync -f root # else what was deleted last is not yet free, and stays in the image
fstrim root
umount root
echo 'bakery-container: done'
