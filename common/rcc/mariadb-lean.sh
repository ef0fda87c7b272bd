#!/bin/bash
# Run before the package mariadb-server is installed: an image gets the server and its client, and no database.
set -euo pipefail

# Each of its repair and benchmark programs has a copy of the same 4 MB: together they are as large as all else of it.
sed 's#^#path-exclude=/usr/bin/#' >/etc/dpkg/dpkg.cfg.d/91-rcc-mariadb <<'END'
aria_*
innochecksum
mariadb-binlog
mariadb-conv
mariadb-import
mariadb-plugin
mariadb-show
mariadb-slap
mariadb-tzinfo-to-sql
mariadb-waitpid
myisam*
perror
resolve_stack_dump
END

# The package makes the tables of a new database unless this file is there; rcc-database makes them at the first start.
install -d /var/lib/mysql/mysql
touch /var/lib/mysql/mysql/user.frm
