#!/usr/bin/env bash
# Packer 1.6.6 (of Debian 12): a variables file that is found beats the one that is passed, if it is JSON.
#
# An HCL2 template takes its variables from *.auto.pkrvars.hcl and *.auto.pkrvars.json beside it, and then from
# -var-file, so that what is passed wins. With a found file in HCL it does. With a found file in JSON the passed file
# (in HCL) loses without a word, as if all files in HCL were read before those in JSON. -var wins. Packer 1.15.1
# has the file that is passed in both cases.
#
# Needs Debian 12 (apt-get download, dpkg-deb). Installs nothing outside of a temporary folder. Exits 1 if this changed.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PACKER_CONFIG_DIR=$work/config PACKER_CACHE_DIR=$work/cache CHECKPOINT_DISABLE=1

cd "$work"
apt-get download 'packer=1.6.6+ds2-1+b1' >apt.log 2>&1 || { cat apt.log; exit 1; }
dpkg-deb --extract packer_*.deb unpacked
packer=$work/unpacked/usr/bin/packer

cat >passed.pkrvars.hcl <<'END'
size = "passed"
END
for kind in hcl json; do
    mkdir "$kind"
    cat >"$kind/t.pkr.hcl" <<'END'
variable "size" {
  default = "default"
}
source "null" "none" {
  communicator = "none"
}
build {
  sources = ["source.null.none"]
  provisioner "shell-local" {
    inline = ["echo 'size: ${var.size}'"]
  }
}
END
done
echo 'size = "found"' >hcl/here.auto.pkrvars.hcl
echo '{"size": "found"}' >json/here.auto.pkrvars.json

shown() {
    "$packer" build -color=false "$@" | sed -n 's/.*\(size: .*\)/\1/p'
}
seen="found in HCL, -var-file: $(shown -var-file=passed.pkrvars.hcl hcl)
found in JSON, -var-file: $(shown -var-file=passed.pkrvars.hcl json)
found in JSON, -var: $(shown -var size=passed json)"
expected="found in HCL, -var-file: size: passed
found in JSON, -var-file: size: found
found in JSON, -var: size: passed"
"$packer" version | head -1
printf '%s\n' "$seen"
diff <(printf '%s\n' "$expected") <(printf '%s\n' "$seen")
echo "seen again: of the files, the one in JSON counts"
