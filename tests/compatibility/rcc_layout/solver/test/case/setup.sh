#!/bin/bash
set -euo pipefail
mkdir -p case && printf 'cells 1000\n' >case/mesh
