# Every target first sets up what it needs, which takes much less than a second if nothing is missing.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:
.NOTPARALLEL:

ARGS ?=
CONFIG_FILE ?=
export BAKERY_CONFIG_FILE := $(CONFIG_FILE)
SETTINGS := $(if $(CONFIG_FILE),--config-file '$(CONFIG_FILE)')
ENV := . tools/env.sh
# If `make` is ended (kill, timeout, a cancelled CI job), its engine gets one Ctrl-C and is waited for: at a second one it
# would leave pending operations. The trap keeps the shell waiting.
PULUMI := trap : TERM HUP; python -I -S bakery/host/guard.py --foreground pulumi

.PHONY: help setup up preview destroy shell test test-fast test-slow test-spack test-gcp test-rcc container release-check lint format lock bench fuzz chaos chaos-machines clean

help: ## list all targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 24

setup: ## install what is missing: system packages, .venv, Pulumi engine, dev stack
	@tools/setup.sh

up: setup ## bake, test and promote what is new, then show the library
	@$(ENV)
	bakery recover --stack dev
	$(PULUMI) up --yes --suppress-outputs --stack dev $(SETTINGS) $(ARGS) ||
	    { printf 'the failed or stopped resources are listed above; nothing is lost, the next `make up` continues from here\n' >&2; exit 1; }
	bakery library

preview: setup ## show what an `up` would do, and why
	@$(ENV)
	pulumi preview --diff --stack dev $(SETTINGS) $(ARGS)

destroy: setup ## delete the resources of the stack, and list what is kept
	@$(ENV)
	bakery recover --stack dev
	$(PULUMI) destroy --yes --stack dev $(SETTINGS) $(ARGS)
	# The engine also ends well if it was interrupted.
	$(if $(findstring target,$(ARGS))$(findstring exclude,$(ARGS)),,bakery recover --destroyed --stack dev)
	printf 'kept in .bakery/: the images until retention deletes them (bakery prune), and all results\n'
	bakery library

shell: setup ## start a shell with the engine, the stack and the `bakery` command
	@bash --rcfile tools/shellrc -i

test: setup ## run the whole suite: fast, engine, machines
	@$(ENV)
	python tools/suite.py fast engine machines $(ARGS)

test-fast: setup ## run the tests without machines and engine; about two minutes
	@$(ENV)
	python tools/suite.py fast $(ARGS)

test-slow: setup ## build a current Packer, bake on Google Cloud and from cloud images, upgrade clusters; the first time an hour
	@$(ENV)
	tools/system.sh bakery/backends/local/arm_tools.tsv tools/slow_tools.tsv
	python -m tools.build_packer
	python -m tools.build_actionlint
	python tools/suite.py slow $(ARGS)

test-spack: setup ## test a real Spack environment in a baked image: SPACK_SOURCE=<git url, folder or archive> [SPACK_PACKAGES= SPACK_MIRROR=]
	@: "$${SPACK_SOURCE:?set the source of Spack: make test-spack SPACK_SOURCE=<git url, folder or archive>}"
	$(ENV)
	python tools/suite.py spack $(ARGS)

test-gcp: setup ## test the gcp stack against the fake Google Cloud [GCP_PLUGIN=<pulumi-gcp>]
	@$(ENV)
	python tools/suite.py gcp $(ARGS)

test-rcc: setup ## run the scripts of slurm-gcp 4 or 6 as they are on machines of baked images: SLURM_GCP=<checkout>
	@$(ENV)
	python tools/suite.py rcc $(ARGS)

export SPACK_SOURCE GCP_PLUGIN SLURM_GCP

lint: ## run linter, formatter, type checker, shellcheck and house rules
	@tools/setup.sh --no-engine
	$(ENV)
	python -m pytest tests/rules --quiet $(ARGS)

format: ## apply the formatter and the linter's corrections
	@tools/setup.sh --no-engine
	$(ENV)
	ruff check --fix --quiet . || true
	ruff format .

lock: ## update requirements.lock and tools/builder.lock (ARGS=--upgrade: newest versions)
	@tools/setup.sh --no-engine
	tools/lock.sh $(ARGS)

bench: setup ## run the benchmarks; ONLY=<name> for one of benchmarks/, with its options in ARGS
	@$(ENV)
	for file in benchmarks/$(or $(ONLY),[a-z]*).py; do
	    printf '== %s\n' "$$file"
	    python "$$file" $(ARGS)
	done

container: ## build the bakery's container image; ARGS are options of podman's (or docker's) build
	@tools/container.sh $(ARGS)

release-check: setup ## build and install the wheel, and run it on what released versions wrote; about four minutes
	@$(ENV)
	python tools/release_check.py

fuzz: ## mutate recipe files until one causes an error; ARGS='--seconds 600 --seed 7'
	@tools/setup.sh --no-engine
	$(ENV)
	python -m tests.support.fuzz $(ARGS)

chaos: setup ## strike running `make up`s at 200 random points; SEED=<n>: the same ones again, POINT=<n>: one of them
	@$(ENV)
	python tools/suite.py chaos $(ARGS)

chaos-machines: setup ## strike real bakes and tests at 12 points; takes hours
	@$(ENV)
	python tools/suite.py chaos-machines $(ARGS)

export CHAOS_SEED := $(SEED)
export CHAOS_POINTS := $(or $(POINT),$(if $(filter chaos,$(MAKECMDGOALS)),0-199))

clean: ## delete .venv and caches; keep state, images and results in .bakery/
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info .bakery/lock-venv .bakery/engine.version
	find . -name __pycache__ -type d -not -path './.bakery/*' -prune -exec rm -rf {} +
	printf 'kept: .bakery/ (state of the dev stack, images, results)\n'
