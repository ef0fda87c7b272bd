#!/bin/sh
# In place of sysctl in a container: a setting of the running kernel is not a part of the image, and this kernel is the
# host's. Everything is checked and nothing is set. Some keys of the network exist in the host's own network only.
said=$(/usr/sbin/sysctl --dry-run "$@" 2>&1) && code=0 || code=$?
if [ "$code" -ne 0 ] && ! printf '%s\n' "$said" | grep -v 'cannot stat /proc/sys/net/' | grep -q '^sysctl: '; then
    code=0
fi
[ -z "$said" ] || printf '%s\n' "$said" | if [ "$code" -eq 0 ]; then cat; else cat >&2; fi
exit "$code"
