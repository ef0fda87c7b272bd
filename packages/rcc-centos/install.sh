#!/bin/bash
# Rocky Linux 9 with Slurm and Lmod from EPEL, munge, Open MPI, compilers and NFS: the image of controller, login and
# compute nodes. It keeps the name that clusters on CentOS 7 know.
set -euo pipefail

dnf_install() {
  dnf -q -y --setopt=install_weak_deps=False --setopt=tsflags=nodocs --setopt=retries=5 install "$@"
}

packages=(
  slurm slurm-slurmctld slurm-slurmd munge # which daemon runs is decided when a cluster is made
  openmpi openmpi-devel pmix
  gcc gcc-c++ gcc-gfortran make
  Lmod
  nfs-utils # the controller exports the homes
  python3   # the Fluid-Run agent
)

dnf_install dnf-plugins-core epel-release
dnf -q config-manager --set-enabled crb
dnf_install "${packages[@]}"
dnf -q clean all
if systemctl cat firewalld.service >/dev/null 2>&1; then
  systemctl disable --quiet firewalld # the rules of the cluster's network are the firewall
fi
install -m 0644 /tmp/motd /etc/motd
rm -f /tmp/motd
version=$(rpm -q --queryformat '%{VERSION}' openmpi)
bash /tmp/rcc/finish.sh /usr/lib64/openmpi "$version"

/usr/lib64/openmpi/bin/mpicc --version | head -n 1
slurmd -V
