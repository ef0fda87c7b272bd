#!/usr/bin/env bash
# Creates the dev stack: the folder of its state, a passphrase for this checkout, and the stack itself.
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

# The engine writes the salt of this checkout's passphrase into Pulumi.dev.yaml. It must not be committed, or
# make the work tree dirty, so a clean filter (.gitattributes) hides it from git.
hide_salt() {
    git rev-parse --git-dir >/dev/null 2>&1 || return 0
    git config --local filter.bakery-salt.clean "sed '/^encryptionsalt:/d'"
    if git ls-files --error-unmatch Pulumi.dev.yaml >/dev/null 2>&1 && git diff --quiet -- Pulumi.dev.yaml; then
        git update-index -- Pulumi.dev.yaml
    fi
}

stack=$state/pulumi/.pulumi/stacks/image-bakery/dev.json
if [[ ! -s $state/passphrase && -f $stack ]]; then
    fail 'the passphrase of the dev stack is lost (.bakery/passphrase)' 'restore the file, or begin a new stack, which adopts all images:' \
        "rm $stack" 'secret settings then have to be set again; see docs/settings.md'
fi
if [[ ! -s $state/passphrase ]]; then
    say "creating a passphrase for the dev stack (.bakery/passphrase, readable only by you)"
    mkdir -p "$state"
    (umask 077 && head -c 24 /dev/urandom | base64 >"$state/passphrase.new" && mv "$state/passphrase.new" "$state/passphrase")
fi
mkdir -p "$state/pulumi" "$state/pulumi-home"
if [[ ! -f $stack ]]; then
    say "creating the dev stack; its state is in .bakery/pulumi"
    # shellcheck source=tools/env.sh
    . tools/env.sh
    # The engine refuses a salt of a passphrase that no longer exists.
    [[ ! -f Pulumi.dev.yaml ]] || sed -i '/^encryptionsalt:/d' Pulumi.dev.yaml
    pulumi stack init dev --non-interactive </dev/null >/dev/null
    hide_salt
elif [[ $(git config --local filter.bakery-salt.clean 2>/dev/null) == "" ]]; then
    hide_salt
fi
