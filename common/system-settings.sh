#!/bin/bash
# Puts the system settings of common/etc (uploaded to /tmp/etc) in place. Runs as root in the machine that bakes.
set -euo pipefail

etc=${RCC_ETC:-/tmp/etc}

install -D -m 0644 "$etc/sysctl.conf" /etc/sysctl.d/90-rcc.conf
install -D -m 0644 -t /etc/security/limits.d "$etc"/security/limits.d/*.conf
rm -rf "$etc"

# A wrong key should end the bake here, not be found on a cluster.
sysctl --quiet --load /etc/sysctl.d/90-rcc.conf
