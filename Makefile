# Two commands: `make search` and `make test`. Everything goes into .venv; only Python, pip and make are needed.
PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: search test check backends clean

search: .venv/installed
	$(BIN)/bneck search

test: .venv/installed-test
	$(BIN)/python -m pytest -q -n auto -m "not slow and not browser and not network and not backends"

check: test .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -n auto -m "(slow or browser or extra) and not network and not backends"

backends: .venv/installed-dev
	$(BIN)/python -m pip install --quiet -e ".[backends]"
	$(BIN)/python -m pytest -q -m backends

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet -e .
	touch $@

.venv/installed-test: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet -e ".[test]"
	touch $@

.venv/installed-dev: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet -e ".[dev]"
	touch $@

clean:
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache
