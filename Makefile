# Every command makes what it needs: a virtual environment in .venv, downloaded tools in .cache, and a
# Docker engine where none answers. Nothing but Python 3.11 or later and root (or sudo) has to be there.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo demo-down mock test lint sanity units mock-month integration molecule browser mcp test-gpu test-gpu-wheels bench docs dashboards compiler chromium engine clean

PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
# Ansible refuses to start under a locale that is not UTF-8.
export LC_ALL := C.UTF-8
export LLM_MONITOR_TOOLS := $(CURDIR)/.cache/tools/usr/bin

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/ansible ## Roll out on this machine, with DAYS of a simulated past (safe to run again)
	@tools/demo.sh

demo-down: .venv/ansible ## Remove all that `make demo` rolled out, its data too
	@tools/demo.sh down

mock: ## Let the demo's simulation play SCENARIO; without one, list what it can play
	@'$(PYTHON)' tools/mock.py '$(SCENARIO)'

test: lint units integration molecule ## Everything that can be tested on this machine
	@python tools/summary.py

lint: .venv/dev sanity ## Style and static checks of every file
	@tools/lint.sh

sanity: .venv/dev ## ansible-test sanity, in a copy where the collection has its proper path
	@tools/sanity.sh

units: .venv/dev .cache/tools .cache/tables .cache/logql compiler ## Tests of single parts: exporters, the library, plugins, rules, contracts
	@tools/suite.sh units --numprocesses=auto --dist=loadfile files/exporters/tests files/llmops/tests tests/unit tests/rules tests/scenarios tests/dashboards tests/contract

mock-month: .venv/dev .cache/tools ## Thirty usual days of the simulated server, over which no alert may fire
	@LLM_MONITOR_USUAL_DAYS=30 pytest -q -ra tests/scenarios/test_days.py

integration: .venv/dev .cache/tools .cache/litellm .cache/e2e compiler chromium engine ## Tests of parts together, with a real engine and a real Prometheus
	@tools/suite.sh integration tests/integration tests/e2e

molecule: .venv/dev .cache/tools compiler engine ## Rollouts onto hosts with their own engine: default, fleet and gpu
	@tools/molecule.sh

browser: .venv/dev .cache/e2e chromium ## Every dashboard in a browser, in the Grafana at GRAFANA_URL, with pictures in .cache/screenshots
	@tools/suite.sh browser tests/e2e/browser/test_dashboards.py

mcp: .venv/dev .cache/e2e chromium ## What the MCP servers need by which an assistant looks at dashboards (tests/e2e/mcp)
	@echo 'The servers are ready: tests/e2e/mcp/README.md tells how an assistant starts them.'

test-gpu: ## Check the GPU exporter against nvidia-smi on a machine with GPUs (ARGS=--help tells more)
	@PYTHON='$(PYTHON)' tools/test_gpu.sh run $(ARGS)

test-gpu-wheels: ## Fetch what test-gpu needs on a machine without network, whose Python is GPU_PYTHON
	@PYTHON='$(PYTHON)' GPU_PYTHON='$(GPU_PYTHON)' GPU_ARCH='$(GPU_ARCH)' tools/test_gpu.sh wheels

bench: .venv/dev .cache/tools compiler engine ## Our exporters and the library beside others, in the same run
	@missed=0; for one in bench/{exporters,gpu,container,vllm,servers,dashboards}.py files/llmops/bench/{overhead,delivery}.py; do \
	  python $$one || missed=1; done; exit $$missed

docs: .venv/dev ## Write the generated documents again
	@tools/docs.sh

dashboards: .venv/dev ## Write the dashboards' JSON again from dashboards/build
	@python -m dashboards.build

compiler:
	@tools/compiler.sh

chromium:
	@tools/chromium.sh >/dev/null

engine: .venv/ansible
	@tools/engine.sh start

clean: ## Remove .venv and .cache; images and the engine stay
	@rm -rf .venv .cache

.venv/ansible: requirements.txt
	@tools/venv.sh $(PYTHON) requirements.txt
	@touch $@

.venv/dev: .venv/ansible requirements-dev.txt files/exporters/pyproject.toml files/llmops/pyproject.toml
	@tools/venv.sh $(PYTHON) requirements-dev.txt
	@touch $@

.cache/tools: tools/debian.sh
	@tools/debian.sh $@
	@touch $@

.cache/e2e: tools/npm.sh tests/e2e/package.json tests/e2e/package-lock.json | .venv/dev
	@tools/npm.sh $@ tests/e2e
	@touch $@

.cache/tables: tools/npm.sh tests/dashboards/tables/package.json tests/dashboards/tables/package-lock.json | .venv/dev
	@tools/npm.sh $@ tests/dashboards/tables
	@touch $@

.cache/logql: tools/npm.sh tests/dashboards/logql/package.json tests/dashboards/logql/package-lock.json | .venv/dev
	@tools/npm.sh $@ tests/dashboards/logql
	@touch $@

.cache/litellm: tools/litellm.sh tests/integration/litellm-requirements.txt | .venv/dev
	@tools/litellm.sh $@
	@touch $@
