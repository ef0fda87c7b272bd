# shellcheck shell=bash
# The environment of this checkout's stacks: `source tools/env.sh` (bash or zsh), or `make shell`.
#
# Everything belongs to the checkout: engine and .venv are first on PATH; state, PULUMI_HOME and the passphrase are below
# .bakery/. Your own Pulumi set-up is neither read nor written.

_bakery_root=$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")/.." && pwd)
case ":$PATH:" in
*":$_bakery_root/.venv/bin:$_bakery_root/.bakery/engine:"*) ;;
*) PATH=$_bakery_root/.venv/bin:$_bakery_root/.bakery/engine:$PATH ;;
esac
export PATH
export VIRTUAL_ENV=$_bakery_root/.venv
export PULUMI_HOME=$_bakery_root/.bakery/pulumi-home
# An address, so its special characters are escaped.
_bakery_url=${_bakery_root//\%/%25}
_bakery_url=${_bakery_url//\?/%3F}
export PULUMI_BACKEND_URL=file://${_bakery_url//\#/%23}/.bakery/pulumi
export PULUMI_CONFIG_PASSPHRASE_FILE=$_bakery_root/.bakery/passphrase
unset PULUMI_CONFIG_PASSPHRASE # it would override the file
# Set in many containers; without compiled modules, each program that imports pulumi_gcp starts 6 s later.
unset PYTHONDONTWRITEBYTECODE
unset PULUMI_STACK
# Git removes the salt from Pulumi.dev.yaml when it checks out another branch (see tools/stack.sh); the state has it, too.
export PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER=true
export PULUMI_SKIP_UPDATE_CHECK=true
# Otherwise the engine downloads the plugin of every provider in .venv (pulumi-gcp: 200 MB) before each preview, used or
# not. Another stack that needs it: pulumi plugin install resource gcp
export PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION=${PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION:-true}
# Bakes mostly wait, and the oven has its own slots: the engine's limit of 4 operations per core would only delay work.
export PULUMI_PARALLEL=${PULUMI_PARALLEL:-64}
# A failed bake ends its own branch of the graph, not the others.
export PULUMI_CONTINUE_ON_ERROR=${PULUMI_CONTINUE_ON_ERROR:-true}
unset _bakery_root _bakery_url
