#!/usr/bin/env bash
# Packer 1.15.1: `packer hcl2_upgrade` changes which builds run which provisioner, and ends with 0.
#
# The names in `only` and `except` are copied from the JSON template ("a"), although HCL2 knows its sources as
# "null.a": `only` then matches no build and the provisioner never runs, `except` matches none and it runs everywhere.
# `override` is left out. The result is valid, and the builds of the example run other commands than those of the JSON.
# So an upgraded template is no reference for what its JSON did; compare what runs, or rename the lists by hand.
#
# Needs Go. Installs into a temporary folder; a first build takes minutes. Exits 1 if the behaviour changed.
set -euo pipefail

version=v1.15.1
work=$(mktemp -d)
trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT
export CGO_ENABLED=0 GOWORK=off GOTOOLCHAIN=auto GOFLAGS=-mod=mod CHECKPOINT_DISABLE=1 PACKER_CONFIG_DIR="$work/config"

mkdir -p "$work/build" "$work/bin"
cd "$work/build"
cat >go.mod <<MODULE
module example.org/packer

go 1.25.11

require github.com/hashicorp/packer $version

replace github.com/zclconf/go-cty => github.com/nywilken/go-cty v1.13.3
MODULE
go build -trimpath -ldflags '-s -w' -o "$work/bin/" github.com/hashicorp/packer 2>"$work/go.log" || { cat "$work/go.log"; exit 1; }
export PATH="$work/bin:$PATH"

cd "$work"
cat >template.json <<'TEMPLATE'
{
  "builders": [
    {"type": "null", "communicator": "none", "name": "a"},
    {"type": "null", "communicator": "none", "name": "b"}
  ],
  "provisioners": [
    {"type": "shell-local", "inline": ["echo only for a"], "only": ["a"]},
    {"type": "shell-local", "inline": ["echo not for b"], "except": ["b"]},
    {"type": "shell-local", "inline": ["echo usual"], "override": {"b": {"inline": ["echo other for b"]}}}
  ]
}
TEMPLATE
upgrade=0 valid=0
packer hcl2_upgrade -output-file=template.pkr.hcl template.json >upgrade.log 2>&1 || upgrade=$?
packer validate template.pkr.hcl >/dev/null || valid=$?

runs() { # runs TEMPLATE: what each build echoes
    packer build -color=false "$1" | sed -n 's/^==> null\.\([ab]: \(only for a\|not for b\|usual\|other for b\)\)$/\1/p' | sort
}
{
    packer version | head -n 1
    echo "hcl2_upgrade ends with $upgrade, validate with $valid"
    echo 'JSON:'
    runs template.json
    echo 'HCL2:'
    runs template.pkr.hcl
} | tee seen

diff - seen <<'EXPECTED'
Packer v1.15.1
hcl2_upgrade ends with 0, validate with 0
JSON:
a: not for b
a: only for a
a: usual
b: other for b
HCL2:
a: not for b
a: usual
b: not for b
b: usual
EXPECTED
echo 'seen again: an upgraded template runs other commands'
