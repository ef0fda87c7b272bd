#!/bin/bash
# Debian 12 with Slurm and its accounting, munge, Open MPI, compilers, Lmod and NFS: controller, login and compute nodes.
set -euo pipefail

packages=(
  slurm-client slurmctld slurmd munge # Slurm 22.05; which daemon runs is decided when a cluster is made
  slurmdbd slurmrestd slurm-wlm-mysql-plugin slurm-wlm-jwt-plugin mariadb-server # what clusters of slurm-gcp run, too
  python3-googleapi python3-google-auth-httplib2 python3-requests python3-yaml # for its scripts
  cron dbus iputils-ping wget         # and what they call
  openmpi-bin libopenmpi-dev          # built with PMIx, as Debian's Slurm is: srun --mpi=pmix
  gcc g++ gfortran make libc6-dev
  lmod
  nfs-common nfs-kernel-server # the controller exports the homes
  python3                      # the Fluid-Run agent
)

bash /tmp/rcc/mariadb-lean.sh
COMPILE=no bash /tmp/rcc/apt-install.sh "${packages[@]}"
install -m 0644 /tmp/motd /etc/motd
rm -f /tmp/motd
version=$(dpkg-query --showformat '${source:Upstream-Version}' --show openmpi-bin)
bash /tmp/rcc/finish.sh /usr/lib/x86_64-linux-gnu/openmpi "$version"

mpicc --version | head -n 1
slurmd -V
