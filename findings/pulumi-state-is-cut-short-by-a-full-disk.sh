#!/usr/bin/env bash
# Pulumi 3.259.0, file backend: when the disk is full while a state is saved, the state that was there is lost.
#
# The new state goes to a temporary file beside the old one first. The write fails with "no space left on device" and
# the command ends with an error, but the temporary file, as far as it was written, still takes the old state's place.
# From then on every command on the stack fails with "unexpected end of JSON input", also when there is room again. With
# less room than the old state needs, `.json.bak` is not renewed either and holds the state before that. Who keeps
# states in a folder needs room for two more of them, or copies of their own.
#
# Needs Go 1.21 or newer, Python 3, and a kernel that lets the user mount a tmpfs in a namespace. Installs into a
# temporary folder. Exits 1 if the behaviour changed.
set -euo pipefail

version=3.259.0
if [ "${1:-}" != inside ]; then
    work=$(mktemp -d)
    trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT
    export CGO_ENABLED=0 GOWORK=off GOTOOLCHAIN=auto GOFLAGS=-mod=mod
    mkdir -p "$work/build" "$work/bin" "$work/disk"
    script=$(realpath "$0")
    cd "$work/build"
    go mod init example.org/engine 2>"$work/go.log"
    go get "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi@v$version" 2>>"$work/go.log" || { cat "$work/go.log"; exit 1; }
    go build -trimpath -ldflags "-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=$version" \
        -o "$work/bin/" github.com/pulumi/pulumi/pkg/v3/cmd/pulumi
    namespace=(unshare --mount)
    [ "$(id -u)" = 0 ] || namespace=(unshare --user --map-root-user --mount)
    "${namespace[@]}" bash "$script" inside "$work"
    exit
fi

work=$2
export PATH="$work/bin:$PATH" PULUMI_HOME="$work/home" PULUMI_BACKEND_URL="file://$work/disk/state"
export PULUMI_CONFIG_PASSPHRASE=temporary PULUMI_SKIP_UPDATE_CHECK=true
mount -t tmpfs -o size=4m none "$work/disk"
mkdir "$work/disk/state" "$work/program"
cd "$work/program"
printf 'name: full\nruntime: python\n' >Pulumi.yaml
pulumi stack init dev >"$work/init.log" 2>&1 || { cat "$work/init.log"; exit 1; }

save() { # save BYTES: give the stack a state of about so many bytes
    pulumi stack export --stack dev | python3 -c '
import json, sys
state = json.load(sys.stdin)
stack = {"urn": "urn:pulumi:dev::full::pulumi:pulumi:Stack::full-dev", "custom": False, "type": "pulumi:pulumi:Stack"}
state["deployment"]["resources"] = [{**stack, "outputs": {"text": "x" * int(sys.argv[1])}}]
json.dump(state, sys.stdout)' "$1" >"$work/state.json"
    pulumi stack import --stack dev --file "$work/state.json" >"$work/import.log" 2>&1
}
valid() { # valid FILE: whether it is JSON, and of the size of which save
    python3 -c '
import json, sys
text = open(sys.argv[1]).read()
try:
    json.loads(text)
except ValueError:
    print("no JSON")
else:
    print(f"about {len(text) // 100_000 * 100} kB")' "$1"
}

save 200000
save 400000
states=$work/disk/state/.pulumi/stacks/full
before="$(valid "$states/dev.json"), backup $(valid "$states/dev.json.bak")"
free=$(df --output=avail -B1 "$work/disk" | tail -1)
head -c $((free - 100000)) /dev/zero >"$work/disk/fill"
saved=0 read=0
save 500000 || saved=$?
rm "$work/disk/fill"
after="$(valid "$states/dev.json"), backup $(valid "$states/dev.json.bak")"
pulumi stack export --stack dev >/dev/null 2>"$work/export.log" || read=$?

seen="before: $before
save: $saved, $(grep -o 'no space left on device' "$work/import.log")
after: $after
export: $read, $(grep -o 'unexpected end of JSON input' "$work/export.log")"
expected="before: about 400 kB, backup about 200 kB
save: 1, no space left on device
after: no JSON, backup about 200 kB
export: 1, unexpected end of JSON input"
printf 'pulumi %s\nseen:\n%s\nexpected:\n%s\n' "$(pulumi version)" "$seen" "$expected"
[ "$seen" = "$expected" ]
