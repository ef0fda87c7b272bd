# Everything starts here. Each target sets up what it needs first, which takes well below a second once it is there.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:
.NOTPARALLEL:

ARGS ?=
ENV := . tools/env.sh
# What ends a `make` without Ctrl-C (kill, a cancelled CI job) is a Ctrl-C for its engine: no bake goes on unseen.
PULUMI := setpriv --pdeathsig INT pulumi

.PHONY: help setup up preview destroy shell test test-fast test-spack test-gcp lint format lock bench fuzz clean

help: ## what there is
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

setup: ## install what is missing: system packages, .venv, Pulumi engine, dev stack
	@tools/setup.sh

up: setup ## bake, prove and promote what is new, then show the library
	@$(ENV)
	bakery recover --stack dev
	$(PULUMI) up --yes --suppress-outputs --stack dev $(ARGS) ||
	    { printf 'what failed or was stopped is named above; nothing is lost, the next `make up` goes on from here\n' >&2; exit 1; }
	bakery library

preview: setup ## what an `up` would do, and why
	@$(ENV)
	pulumi preview --diff --stack dev $(ARGS)

destroy: setup ## take away what the stack made; says what it keeps
	@$(ENV)
	bakery recover --stack dev
	$(PULUMI) destroy --yes --stack dev $(ARGS)
	printf 'kept in .bakery/: the images until retention deletes them (bakery prune), and all results\n'
	bakery library

shell: setup ## a shell with the engine, the stack and the `bakery` command at hand
	@bash --rcfile tools/shellrc -i

test: setup ## the whole suite: fast, then engine, then machines
	@$(ENV)
	python tools/suite.py fast engine machines $(ARGS)

test-fast: setup ## no machines; under two minutes
	@$(ENV)
	python tools/suite.py fast $(ARGS)

test-spack: setup ## a real Spack environment in a baked image: SPACK_SOURCE=<git url, folder or archive> [SPACK_PACKAGES= SPACK_MIRROR=]
	@: "$${SPACK_SOURCE:?say where Spack is: make test-spack SPACK_SOURCE=<git url, folder or archive>}"
	$(ENV)
	python tools/suite.py spack $(ARGS)

test-gcp: setup ## the gcp stack against the fake Google Cloud [GCP_PLUGIN=<pulumi-gcp> PACKER_PLUGIN=<googlecompute>]
	@$(ENV)
	python tools/suite.py gcp $(ARGS)

export SPACK_SOURCE GCP_PLUGIN PACKER_PLUGIN

lint: ## linter, formatter, types, shellcheck, house rules
	@tools/setup.sh --no-engine
	$(ENV)
	python -m pytest tests/rules --quiet $(ARGS)

format: ## let the formatter and the linter correct what they can
	@tools/setup.sh --no-engine
	$(ENV)
	ruff check --fix --quiet . || true
	ruff format .

lock: ## write requirements.lock and tools/builder.lock anew (ARGS=--upgrade: everything newest)
	@tools/setup.sh --no-engine
	tools/lock.sh $(ARGS)

bench: setup ## measure; ONLY=<name> for one of benchmarks/
	@$(ENV)
	for file in benchmarks/$(or $(ONLY),[a-z]*).py; do
	    printf '== %s\n' "$$file"
	    python "$$file"
	done

fuzz: ## spoil recipe files until one does harm; ARGS='--seconds 600 --seed 7'
	@tools/setup.sh --no-engine
	$(ENV)
	python -m tests.support.fuzz $(ARGS)

clean: ## take away .venv and caches; state, images and results in .bakery/ stay
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info .bakery/lock-venv .bakery/engine.version
	find . -name __pycache__ -type d -not -path './.bakery/*' -prune -exec rm -rf {} +
	printf 'kept: .bakery/ (state of the dev stack, images, results)\n'
