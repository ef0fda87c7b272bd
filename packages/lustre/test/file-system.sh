#!/bin/bash
# A whole Lustre on one node, written and read: the program of the image that may be root for it.
set -euo pipefail

sudo -n /usr/local/sbin/lustre-selftest
