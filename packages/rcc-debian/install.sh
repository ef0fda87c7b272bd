#!/bin/bash
# Debian 12 with Slurm, munge, Open MPI, compilers, Lmod and NFS: the image of controller, login and compute nodes.
set -euo pipefail

share=${RCC_SHARE:-/tmp/share}
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

packages=(
  slurm-client slurmctld slurmd munge # Slurm 22.05; which daemon runs is decided when a cluster is made
  openmpi-bin libopenmpi-dev          # built with PMIx, as Debian's Slurm is: srun --mpi=pmix
  gcc g++ gfortran make libc6-dev
  lmod
  nfs-common nfs-kernel-server # the controller exports the homes
  python3                      # the Fluid-Run agent
)

apt_get() {
  apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Languages=none -o Acquire::Retries=3 \
    -o Dpkg::Options::=--force-unsafe-io -o Dpkg::Use-Pty=0 "$@"
}

# Documentation is of no use in a batch image: leaving it out saves a sixth of the files that are unpacked.
cat >/etc/dpkg/dpkg.cfg.d/90-rcc <<'END'
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/info/*
path-exclude=/usr/share/lintian/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/man/*
END

# Nothing may start while it is installed: there is no configuration yet.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod 0755 /usr/sbin/policy-rc.d

if dpkg-query --show unattended-upgrades >/dev/null 2>&1; then
  apt_get purge --yes unattended-upgrades # an upgrade in the middle of a job is an outage
fi
apt_get update
apt_get install --yes --no-install-recommends "${packages[@]}"
apt_get clean
rm -f /usr/sbin/policy-rc.d

# The key that munge made here would be the same secret in every cluster. Who makes a cluster brings its key,
# slurm.conf and exports, and then starts the daemons.
rm -f /etc/munge/munge.key
systemctl disable --quiet munge slurmctld slurmd nfs-server rpcbind.service rpcbind.socket
# An upgrade in the middle of a job is an outage: whoever wants newer packages bakes a newer image.
systemctl disable --quiet apt-daily.timer apt-daily-upgrade.timer

for tree in etc usr/local/sbin; do
  mode=0644
  if [[ $tree == usr/* ]]; then mode=0755; fi
  find "$share/root/$tree" -type f -printf "$tree/%P\n" | while read -r file; do
    install -D -o root -g root -m "$mode" "$share/root/$file" "/$file"
  done
done
install -d -o slurm -g slurm -m 0755 /var/spool/slurmctld /var/log/slurm
install -d -m 0755 /var/spool/slurmd "$INSTALL_ROOT" /apps

# Modules: the system's MPI, and later what Spack installs.
version=$(dpkg-query --showformat '${source:Upstream-Version}' --show openmpi-bin)
install -D -m 0644 "$share/openmpi.lua" "$INSTALL_ROOT/modulefiles/openmpi/$version.lua"
echo "$INSTALL_ROOT/modulefiles" >>/etc/lmod/modulespath
rm -rf "$share"

mpicc --version | head -n 1
slurmd -V
