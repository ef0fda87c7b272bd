#!/bin/bash
# apt-install.sh PACKAGE...: Debian or Ubuntu packages in one go, without what a batch image has no use for.
set -euo pipefail

export DEBIAN_FRONTEND=noninteractive LC_ALL=C

apt_get() {
  apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Languages=none -o Acquire::Retries=3 \
    -o Dpkg::Options::=--force-unsafe-io -o Dpkg::Use-Pty=0 "$@"
}

# Documentation is of no use here: leaving it out saves a sixth of the files that are unpacked.
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
trap 'rm -f /usr/sbin/policy-rc.d' EXIT

if dpkg-query --show unattended-upgrades >/dev/null 2>&1; then
  apt_get purge --yes unattended-upgrades # an upgrade in the middle of a job is an outage
fi
apt_get update
# Each Python package compiles its modules with interpreters of its own, whoever imports them. COMPILE=no leaves that to the
# first import by root.
if [[ ${COMPILE:-yes} == no && -x /usr/bin/py3compile ]]; then
  dpkg-divert --quiet --local --rename --add /usr/bin/py3compile
  ln -s /bin/true /usr/bin/py3compile
fi
apt_get install --yes --no-install-recommends "$@"
if [[ -L /usr/bin/py3compile ]]; then
  rm /usr/bin/py3compile
  dpkg-divert --quiet --local --rename --remove /usr/bin/py3compile
fi
apt_get clean
