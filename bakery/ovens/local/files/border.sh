#!/bin/sh
# Runs as root in a container between two provisioners. A layer is only the disk, so the container would have to be the same
# after a restart: prints "bakery-border: same", or what would not be.
set -eu
say() {
    echo "bakery-border: $1"
    exit
}
left=$(ps -e -o ppid= -o comm= -o cgroup= | awk '$1 == 1 && $2 != "sshd" && /ssh\.service/ { print $2; exit }')
[ -z "$left" ] || say "$left was left running"
active=$(systemctl list-units --plain --no-legend --type=service --state=active | sed 's/ .*//')
enabled=$(systemctl list-unit-files --no-legend --type=service --state=enabled | sed '/@\./d; s/ .*//')
# shellcheck disable=SC2086  # lists of names
other=$(systemctl show --property=Id,ActiveState,UnitFileState,ConditionTimestampMonotonic $active $enabled | awk '
    BEGIN { RS = ""; FS = "\n" }
    {
        for (field = 1; field <= NF; field++) { at = index($field, "="); of[substr($field, 1, at - 1)] = substr($field, at + 1) }
        if (of["ActiveState"] == "active" && of["UnitFileState"] ~ /^(disabled|masked)/) said = of["Id"] " runs and is not enabled"
        if (of["UnitFileState"] == "enabled" && of["ConditionTimestampMonotonic"] == 0) said = of["Id"] " is enabled and was not started"
    }
    END { print said }')
say "${other:-same}"
