#!/bin/bash
set -euo pipefail
echo "${TAG:?}" >/tmp/versions.txt
