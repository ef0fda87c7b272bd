#!/bin/bash
set -euo pipefail
site-solver --mesh case/mesh "$@"
