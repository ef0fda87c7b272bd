#!/bin/bash
set -euo pipefail
apt-get clean
