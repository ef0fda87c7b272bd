#!/usr/bin/env bash
# Packer 1.15.1: in one HCL2 template, file("x.txt") and filebase64("x.txt") read two different files.
#
# `file`, `templatefile`, `fileset` and `fileexists` begin in the folder of the template. `filebase64` begins in the
# folder where packer is run. If both folders have a file of that name, a build from another folder takes the one's text
# and the other's base64 without a word; from the template's own folder they agree. If only the template's folder has
# one, the build that reads it with `file` works, and fails when the same line encodes it.
# filebase64("${path.root}/x.txt") reads the template's file: path.root is the folder as the command line names it.
#
# Needs Go 1.21 or newer. Builds Packer in a temporary folder. Exits 1 if this changed.
set -euo pipefail

version=v1.15.1
work=$(mktemp -d)
trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT
export CGO_ENABLED=0 GOWORK=off GOTOOLCHAIN=auto GOFLAGS=-mod=mod CHECKPOINT_DISABLE=1
export PACKER_CONFIG_DIR=$work/config PACKER_CACHE_DIR=$work/cache TMPDIR=$work

mkdir "$work/build"
cd "$work/build"
go mod init example.org/packer 2>"$work/go.log"
go mod edit -replace github.com/zclconf/go-cty=github.com/nywilken/go-cty@v1.13.3 # Packer's own replacement
go get "github.com/hashicorp/packer@$version" 2>>"$work/go.log" || { cat "$work/go.log"; exit 1; }
go build -trimpath -ldflags '-s -w' -o "$work/bin/" github.com/hashicorp/packer
packer=$work/bin/packer

mkdir -p "$work/where/template"
cd "$work/where"
echo 'of the template' >template/x.txt
echo 'of the working directory' >x.txt
cat >template/t.pkr.hcl <<'END'
locals {
  read    = trimspace(file("x.txt"))
  encoded = trimspace(base64decode(filebase64("x.txt")))
}
source "null" "none" {
  communicator = "none"
}
build {
  sources = ["source.null.none"]
  provisioner "shell-local" {
    inline = ["echo 'file: ${local.read}; filebase64: ${local.encoded}'"]
  }
}
END

shown() {
    "$packer" build -color=false "$1" | sed -n 's/.*\(file: .*\)/\1/p'
}
above=$(shown template)
inside=$(cd template && shown .)
rm x.txt
missing=0
"$packer" build -color=false template >"$work/missing.log" 2>&1 || missing=$?

seen="from above: $above
from its folder: $inside
without the other file: exit code $missing"
expected="from above: file: of the template; filebase64: of the working directory
from its folder: file: of the template; filebase64: of the template
without the other file: exit code 1"
"$packer" version | head -1
printf '%s\n' "$seen"
diff <(printf '%s\n' "$expected") <(printf '%s\n' "$seen")
echo "seen again: filebase64 begins in another folder than file"
