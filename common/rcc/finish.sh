#!/bin/bash
# The last step of the images rcc-debian, rcc-ubuntu and rcc-centos, once the system's packages are in: what Slurm's
# daemons, logins and modules need beyond them. Runs as root; the folder it lies in was uploaded with it.
#
#   finish.sh MPI_PREFIX MPI_VERSION
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
mpi_prefix=$1
mpi_version=$2

# The key that munge made would be the same secret in every cluster. Who makes a cluster brings its key, slurm.conf and
# exports, and then starts the daemons.
rm -f /etc/munge/munge.key
units=()
for unit in slurmctld.service slurmd.service slurmdbd.service slurmrestd.service sackd.service mariadb.service \
  nfs-server.service rpcbind.service rpcbind.socket apt-daily.timer apt-daily-upgrade.timer dnf-makecache.timer; do
  # The timers: an upgrade in the middle of a job is an outage; whoever wants newer packages bakes a newer image.
  if [[ -s /usr/lib/systemd/system/$unit && ! /etc/systemd/system/$unit -ef /dev/null ]]; then units+=("$unit"); fi
done
systemctl disable --quiet "${units[@]}"

# munged starts by itself where a key is, so that machines that were set up once come up again.
install -D -m 0644 -t /etc/systemd/system/munge.service.d "$here/root/etc/systemd/system/munge.service.d/10-key.conf"
systemctl enable --quiet munge.service
bash "$here/slurm-gcp.sh"

install -D -m 0644 "$here/root/etc/slurm/cgroup.conf" /etc/slurm/cgroup.conf
for daemon in slurmctld slurmd; do
  install -D -m 0644 -t "/etc/systemd/system/$daemon.service.d" \
    "$here/root/etc/systemd/system/$daemon.service.d/10-wait.conf"
done
install -D -m 0755 "$here/root/usr/local/sbin/rcc-wait" /usr/local/sbin/rcc-wait
install -d -o slurm -g slurm -m 0755 /var/spool/slurmctld /var/log/slurm
install -d -m 0755 /var/spool/slurmd "$INSTALL_ROOT" /apps

# Modules: the system's MPI, and later what Spack installs.
sed "s#@MPI_PREFIX@#$mpi_prefix#" "$here/openmpi.lua" |
  install -D -m 0644 /dev/stdin "$INSTALL_ROOT/modulefiles/openmpi/$mpi_version.lua"
if [[ -f /etc/lmod/modulespath ]]; then
  grep -qxF "$INSTALL_ROOT/modulefiles" /etc/lmod/modulespath || echo "$INSTALL_ROOT/modulefiles" >>/etc/lmod/modulespath
else
  echo "export MODULEPATH=\${MODULEPATH:+\$MODULEPATH:}$INSTALL_ROOT/modulefiles" >/etc/profile.d/z00_rcc_modules.sh
fi

# srun --mpi=pmix is how jobs start MPI: an image without the plugin is no good.
find /usr/lib /usr/lib64 -name 'mpi_pmix*.so' -print -quit 2>/dev/null | grep . ||
  { echo "finish.sh: Slurm's PMIx plugin is missing" >&2 && exit 1; }
rm -rf "$here"
