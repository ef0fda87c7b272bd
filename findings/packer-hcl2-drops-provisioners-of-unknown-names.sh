#!/usr/bin/env bash
# Packer 1.6.6: a name that no builder has is an error in a JSON template, and drops a provisioner in HCL2.
#
# The provisioners of a template name builders in `only`, `except` and `override`. For JSON, `packer validate` refuses a
# name that no builder has. For the same template in HCL2 it says nothing: with a misspelt `only` the provisioner never
# runs, a misspelt `override` has no effect, and both validate and build exit with 0. The same holds on the command
# line, for both formats: `packer build -only=NAME` with a name of no builder builds nothing and exits with 0. Who moves a
# template from JSON to HCL2 loses this check, and a pipeline that only looks at the exit code takes the image as built.
#
# Needs Debian 12 (apt-get download, dpkg-deb). Unpacks the package in a temporary folder. Exits 1 if this changed.
set -euo pipefail

version=1.6.6+ds2-1+b1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download -q packer="$version" >/dev/null 2>apt.log || { cat apt.log; exit 1; }
dpkg-deb -x packer_*.deb root
export PATH=$work/root/usr/bin:$PATH CHECKPOINT_DISABLE=1 PACKER_CACHE_DIR=$work/cache PACKER_CONFIG=$work/config
echo '{}' >config

mkdir json hcl2
cat >json/t.json <<'END'
{"builders": [{"type": "null", "name": "one", "communicator": "none"}],
 "provisioners": [{"type": "shell-local", "only": ["two"], "inline": ["echo first runs"]},
                  {"type": "shell-local", "inline": ["echo last runs"]}]}
END
sed 's/"only": \["two"\]/"override": {"two": {"inline": ["echo override"]}}/' json/t.json >json/override.json
cat >hcl2/t.pkr.hcl <<'END'
source "null" "one" {
  communicator = "none"
}
build {
  sources = ["source.null.one"]
  provisioner "shell-local" {
    only   = ["null.two"]
    inline = ["echo first runs"]
  }
  provisioner "shell-local" {
    override = { two = { inline = ["echo override"] } }
    inline   = ["echo last runs"]
  }
}
END

tried() { # tried LABEL COMMAND...: exit code, and which provisioners ran or what was refused
    local code=0 label=$1
    shift
    "$@" >said 2>&1 || code=$?
    printf '%s: exit code %s' "$label" "$code"
    grep -oE "(first|last) runs|specified builder '[a-z]+' not found|override '[a-z]+' doesn't exist|no artifacts were created" said | sort -u |
        sed 's/^/, /' | tr -d '\n'
    echo
}

seen=$(
    tried "JSON validate, only" packer validate json/t.json
    tried "JSON validate, override" packer validate json/override.json
    tried "HCL2 validate" packer validate hcl2
    tried "HCL2 build" packer build -color=false hcl2
    tried "HCL2 build -only=null.two" packer build -color=false -only=null.two hcl2
)
expected="JSON validate, only: exit code 1, specified builder 'two' not found
JSON validate, override: exit code 1, override 'two' doesn't exist
HCL2 validate: exit code 0
HCL2 build: exit code 0, last runs
HCL2 build -only=null.two: exit code 0, no artifacts were created"
printf 'packer %s\nseen:\n%s\nexpected:\n%s\n' "$(packer --version)" "$seen" "$expected"
[ "$seen" = "$expected" ]
