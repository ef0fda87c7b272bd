#!/bin/bash
set -euo pipefail
echo 'this machine is being baked'
