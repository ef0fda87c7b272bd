"""Carries one connection of a guest, which QEMU's guestfwd hands in as standard input and output: ``relay.py PORT``."""

import contextlib
import os
import select
import socket
import sys

with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as there, contextlib.suppress(OSError):
    ways = {0: there.fileno(), there.fileno(): 1}
    while ways:
        for source in select.select(list(ways), [], [])[0]:
            content = os.read(source, 65536)
            if not content and source != 0:
                sys.exit()
            if not content:
                there.shutdown(socket.SHUT_WR)
                del ways[source]
            while content:
                content = content[os.write(ways[source], content) :]
