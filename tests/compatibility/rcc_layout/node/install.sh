#!/bin/bash
set -euo pipefail
dnf --assumeyes install numactl
