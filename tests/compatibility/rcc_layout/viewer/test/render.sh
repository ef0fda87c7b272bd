#!/bin/bash
set -euo pipefail
site-viewer --off-screen colours.txt
