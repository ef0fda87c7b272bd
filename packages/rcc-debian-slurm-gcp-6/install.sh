#!/bin/bash
# Debian 13 with what the Cluster Toolkit's slurm-gcp 6 expects: Slurm 24.11 with sackd, and Python 3.13 with Google's modules
# in the virtual environment where its scripts look for them.
set -euo pipefail

packages=(
  slurm-client slurmctld slurmd sackd munge # which daemon runs is decided when a cluster is made
  slurmdbd slurmrestd slurm-wlm-mysql-plugin slurm-wlm-jwt-plugin mariadb-server
  openmpi-bin libopenmpi-dev
  gcc g++ gfortran make libc6-dev
  lmod
  nfs-common nfs-kernel-server # the controller exports the homes
  python3 python3-venv         # the Fluid-Run agent, and the scripts
  curl dbus file iputils-ping pciutils sudo unzip # what the scripts call
)

bash /tmp/rcc/mariadb-lean.sh
bash /tmp/rcc/apt-install.sh "${packages[@]}"
install -m 0644 /tmp/motd /etc/motd
rm -f /tmp/motd

install -d /slurm/python
python3 -m venv /slurm/python/venv
/slurm/python/venv/bin/pip install --quiet --no-cache-dir --require-hashes --no-deps --only-binary :all: \
  --requirement /tmp/requirements.txt
rm -f /tmp/requirements.txt

install -m 0644 -t /etc/systemd/system /tmp/units/*.service /tmp/units/*.timer
install -D -m 0644 /tmp/units/slurmd-configless.conf /etc/systemd/system/slurmd.service.d/20-configless.conf
install -D -m 0644 /tmp/units/slurmdbd-again.conf /etc/systemd/system/slurmdbd.service.d/20-again.conf
rm -rf /tmp/units

version=$(dpkg-query --showformat '${source:Upstream-Version}' --show openmpi-bin)
bash /tmp/rcc/finish.sh /usr/lib/x86_64-linux-gnu/openmpi "$version"

mpicc --version | head -n 1
slurmd -V
