#!/usr/bin/env bash
# Pulumi 3.259.0: `--expect-no-changes` does not count the stack's outputs.
#
# A program whose only edit renames an exported output passes `pulumi preview --expect-no-changes` and
# `pulumi up --expect-no-changes` with exit code 0, although the second of the two removes the old output from the
# state, so every StackReference that reads it breaks. The JSON preview counts the stack as "same" as well. A gate in
# CI that relies on the option does not see a change of what a stack promises to others; compare
# `pulumi stack output --json` before and after instead.
#
# Needs Go 1.21 or newer and Python 3.10 or newer. Installs into a temporary folder. Exits 1 if the behaviour changed.
set -euo pipefail

version=3.259.0 sdk=v3.78.1 # the last module from which the Python language host can be built by its import path
work=$(mktemp -d)
trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT
export CGO_ENABLED=0 GOWORK=off GOTOOLCHAIN=auto GOFLAGS=-mod=mod PATH="$work/bin:$PATH"

build() { # build NAME PACKAGE VERSION
    mkdir -p "$work/build-$1" "$work/bin"
    cd "$work/build-$1"
    go mod init "example.org/$1" 2>"$work/go.log"
    go get "$2@$3" 2>>"$work/go.log" || { cat "$work/go.log"; exit 1; }
    go build -trimpath -ldflags "-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=$version" -o "$work/bin/" "$2"
}
build engine github.com/pulumi/pulumi/pkg/v3/cmd/pulumi v$version
sources=$(go list -m -f '{{.Dir}}' github.com/pulumi/pulumi/sdk/v3)
install -m 755 "$sources/python/cmd/pulumi-language-python-exec" "$work/bin/"
build host github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python $sdk

python3 -m venv "$work/venv"
export PATH="$work/venv/bin:$PATH"
pip install --quiet "pulumi==$version"
mkdir -p "$work/program" "$work/state"
cd "$work/program"
printf 'name: outputs\nruntime: python\n' >Pulumi.yaml
printf 'import pulumi\npulumi.export("address", "10.0.0.1")\n' >__main__.py
export PULUMI_BACKEND_URL="file://$work/state" PULUMI_CONFIG_PASSPHRASE=temporary PULUMI_SKIP_UPDATE_CHECK=true
pulumi stack init dev >/dev/null 2>&1
pulumi up --yes --stack dev >"$work/up.log" 2>&1 || { cat "$work/up.log"; exit 1; }

printf 'import pulumi\npulumi.export("endpoint", "10.0.0.1")\n' >__main__.py
preview=0 up=0
steps=$(pulumi preview --stack dev --expect-no-changes --json 2>/dev/null) || preview=$?
steps=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["changeSummary"])' <<<"$steps")
pulumi up --yes --stack dev --expect-no-changes >/dev/null || up=$?
outputs=$(pulumi stack output --json --stack dev | tr -d ' \n')

seen="preview: exit code $preview, $steps; up: exit code $up; outputs now: $outputs"
expected="preview: exit code 0, {'same': 1}; up: exit code 0; outputs now: {\"endpoint\":\"10.0.0.1\"}"
printf 'pulumi %s\nseen:     %s\nexpected: %s\n' "$(pulumi version)" "$seen" "$expected"
[ "$seen" = "$expected" ]
