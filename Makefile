# Every command does its own set-up. The work is in scripts/, which can be run by itself.

.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench lock clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

demo: ## an embedded etcd, three apps, three secretaries, and what becomes of them
	@scripts/setup demo
	@.venv/bin/secretary dev --tour

test: ## the import contracts and all tests
	@scripts/system-packages
	@scripts/setup test
	@scripts/test

lint: ## style, types, contracts, shell scripts; changes nothing
	@scripts/system-packages
	@scripts/setup test
	@scripts/lint

format: ## mend what ruff can mend, then lint
	@scripts/setup test
	@scripts/lint --fix

bench: ## every claim with a number, measured here
	@scripts/system-packages
	@scripts/setup test
	@scripts/bench

lock: ## resolve the ranges of pyproject.toml into requirements/*.txt
	@scripts/lock

clean: ## remove what these commands made in this checkout
	@rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@rm -rf build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
