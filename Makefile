# make demo · make test · make test-slow · make weights · make check · make wheel
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test test-slow check format weights wheel clean

demo: $(VENV)/.installed
	$(BIN)/g2d-bench run --task siim-seg --fraction 0.01

test: check
	$(BIN)/pytest -n auto --cov --cov-report=term --cov-fail-under=90

test-slow: $(VENV)/.installed-dev
	$(BIN)/pytest -m slow

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

weights: $(VENV)/.installed
	$(BIN)/g2d-bench weights

wheel: $(VENV)/.installed-dev
	$(BIN)/python -m build --wheel

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install -e .
	touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install -e '.[dev]'
	touch $(VENV)/.installed $@

clean:
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .coverage*
