#!/usr/bin/env bash
# libmariadb 3.4.10 (Debian 13): a handle whose first connection named an unknown database reads no result afterwards.
#
# mysql_real_connect() with a database that does not exist fails with error 1049, as it should. The same handle then
# connects without a database, and says that this went well, but the first query with a result ends with error 5027 (a
# result of one column has more columns than the allowed 0) and the connection is gone. A fresh handle is all right.
#
# slurmdbd of Slurm 24.11 makes its database in just that way: it connects, is told that there is no such database, makes
# it with another handle, and connects again with the first one. So its first start in a new cluster ends with a fatal
# error, and the second one succeeds. Who sets up accounting on Debian 13 creates the database first, or lets the service
# start again when it fails.
#
# Needs root and mmdebstrap. Makes a Debian 13 in a temporary folder, with a server on a socket there. Exits 1 if this
# changed.
set -euo pipefail

version=1:11.8.9+ds-0+deb13u1
work=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server" && wait "$server" || true; fi; rm -rf "$work"' EXIT
mmdebstrap --quiet --variant=essential --include="mariadb-server-core=$version,libmariadb3=$version,python3" \
    trixie "$work/root" 2>"$work/mmdebstrap.log" || { cat "$work/mmdebstrap.log"; exit 1; }

cat >"$work/root/ask.py" <<'END'
import ctypes

library = ctypes.CDLL("libmariadb.so.3")
for name in ("mysql_init", "mysql_real_connect", "mysql_store_result"):
    getattr(library, name).restype = ctypes.c_void_p
library.mysql_get_client_info.restype = ctypes.c_char_p


class Handle:
    def __init__(self):
        self.pointer = ctypes.c_void_p(library.mysql_init(None))

    def connect(self, database):
        given = (None, b"root", None, database, 0, b"/run/server", ctypes.c_ulong(0))
        return self.code(library.mysql_real_connect(self.pointer, *given))

    def select(self):
        sent = library.mysql_query(self.pointer, b"SELECT 1") == 0
        return self.code(sent and library.mysql_store_result(self.pointer))

    def code(self, went_well):
        return "ok" if went_well else f"error {library.mysql_errno(self.pointer)}"


print("client", library.mysql_get_client_info().decode())
fresh, used = Handle(), Handle()
print("fresh handle: connect", fresh.connect(None), "- select", fresh.select())
print("unknown database:", used.connect(b"absent"))
print("the same handle: connect", used.connect(None), "- select", used.select(), "- select", used.select())
END
mkdir "$work/root/data"
# Without tables of rights anybody may connect; there is no network.
chroot "$work/root" mariadbd --no-defaults --datadir=/data --socket=/run/server --skip-networking --skip-grant-tables \
    --user=root >"$work/server.log" 2>&1 &
server=$!
for _ in $(seq 150); do
    [ ! -S "$work/root/run/server" ] || break
    kill -0 "$server" 2>/dev/null || { cat "$work/server.log"; exit 1; }
    sleep 0.2
done

seen=$(chroot "$work/root" python3 /ask.py)
expected="client 3.4.10
fresh handle: connect ok - select ok
unknown database: error 1049
the same handle: connect ok - select error 5027 - select error 2006"
printf 'libmariadb3 %s\nseen:\n%s\nexpected:\n%s\n' "$version" "$seen" "$expected"
[ "$seen" = "$expected" ]
