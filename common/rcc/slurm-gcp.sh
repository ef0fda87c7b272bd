#!/bin/bash
# What the scripts of slurm-gcp find in an image of theirs, see common/test/slurm_gcp.tsv, and the packages of a system do
# not bring: names below /usr/local, a folder of configuration that can be mounted over, users, units that are off.
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
clients=(sacct sacctmgr salloc sattach sbatch sbcast scancel scrontab sdiag sinfo sprio squeue sreport srun sshare
  sstat strigger)
daemons=(slurmctld slurmd slurmdbd slurmrestd sackd)

link() { # link FOLDER_OF_LINKS FOLDER NAME...
  local to=$1 from=$2 name
  for name in "${@:3}"; do
    if [[ -x $from/$name ]]; then ln -sf "$from/$name" "$to/$name"; fi
  done
}

has_unit() { [[ -s /usr/lib/systemd/system/$1 ]]; }

# A link can't be mounted over: the folder is below /usr/local, and Slurm's own one leads there.
install -d -o slurm -g slurm -m 0755 /usr/local/etc/slurm
if [[ ! -L /etc/slurm ]]; then
  if [[ -d /etc/slurm ]]; then cp -a /etc/slurm/. /usr/local/etc/slurm/; fi
  rm -rf /etc/slurm
  ln -s /usr/local/etc/slurm /etc/slurm
fi
link /usr/local/bin /usr/bin "${clients[@]}"
install -m 0755 -t /usr/local/bin "$here/root/usr/local/bin/scontrol"
link /usr/local/sbin /usr/sbin "${daemons[@]}"

command -v create-munge-key >/dev/null || install -m 0755 -t /usr/local/sbin "$here/root/usr/local/sbin/create-munge-key"
install -D -m 0644 -t /etc/tmpfiles.d "$here/root/etc/tmpfiles.d/rcc-slurm.conf"
install -d -o slurm -g slurm -m 0755 /var/spool/slurm

# The crontab of slurm runs in its home, which Debian says is /nonexistent.
if [[ ! -d $(getent passwd slurm | cut -d : -f 6) ]]; then
  install -d -o slurm -g slurm -m 0755 /var/lib/slurm
  usermod --home /var/lib/slurm slurm
fi
if has_unit slurmrestd.service; then
  getent passwd slurmrestd >/dev/null ||
    useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin slurmrestd
  install -D -m 0644 -t /etc/systemd/system/slurmrestd.service.d \
    "$here/root/etc/systemd/system/slurmrestd.service.d/10-user.conf"
fi
if has_unit slurmdbd.service; then
  install -m 0755 -t /usr/local/sbin "$here/root/usr/local/sbin/rcc-slurm-conf"
  install -D -m 0644 -t /etc/systemd/system/slurmdbd.service.d \
    "$here/root/etc/systemd/system/slurmdbd.service.d/10-rcc.conf"
fi
if has_unit mariadb.service; then
  install -m 0755 -t /usr/local/sbin "$here/root/usr/local/sbin/rcc-database"
  install -D -m 0644 -t /etc/systemd/system/mariadb.service.d \
    "$here/root/etc/systemd/system/mariadb.service.d/10-first-start.conf"
  find /var/lib/mysql -mindepth 1 -delete
fi

# What the scripts import is compiled now, as their users can't write it. The seed: to the same files each time.
modules=googleapiclient.discovery,googleapiclient.http,google.auth.compute_engine,google_auth_httplib2,requests,yaml
if python3 -B -c 'import googleapiclient' 2>/dev/null; then PYTHONHASHSEED=0 python3 -c "import $modules"; fi
