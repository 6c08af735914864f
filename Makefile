# make demo · make test · make test-slow · make faults · make regress · make reference · make results · make weights ·
# make check · make wheel · make docs · make docs-check
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test test-slow faults regress reference results check format weights wheel docs docs-check screenshots clean

demo: $(VENV)/.installed
	$(BIN)/g2d-bench run --task siim-seg --fraction 0.01

test: check
	$(BIN)/pytest -n auto --dist worksteal --cov --cov-report=term --cov-fail-under=90

test-slow: $(VENV)/.installed-dev
	$(BIN)/pytest -m slow

# The whole campaign of faults and hostile inputs (docs/reliability.md): half an hour and more.
faults: $(VENV)/.installed-dev
	$(BIN)/pytest -m "campaign or slow or not slow" tests/faults

# Do the committed numbers still come out? Numbers without training must, to half a point; linear segmentation to two
# tenths; those of trained decoders within four deviations over seeds. Everything is made anew: what a cache keeps would hide a change of code. Probes
# on random features are left out: between processors they move by more than half a point.
STABLE := --task rsna-zeroshot,rsna-ground,rsna-cls --encoder convirt,gloria,mgca,g2d --tolerance 0.5
LINEAR := --task rsna-seg --protocol clean-linear --encoder mgca,g2d --fraction 1%,10% --tolerance 0.2
TRAINED := --task rsna-seg --protocol clean --encoder g2d --fraction 10% --seed 0 --tolerance 4sd
REGRESS := G2D_BENCH_CACHE=runs/regress/cache $(BIN)/g2d-bench compare --to results/phantom \
	--results runs/regress/records --run

regress: $(VENV)/.installed
	rm -rf runs/regress
	$(REGRESS) $(STABLE)
	$(REGRESS) $(LINEAR)
	$(REGRESS) $(TRAINED)

# The records that are committed: hours; may be interrupted. A part: make reference ONLY="--task siim-seg".
reference: $(VENV)/.installed
	$(BIN)/g2d-bench reference $(ONLY)

# The tables and the figure of the pages, from the committed records.
results: $(VENV)/.installed
	$(BIN)/g2d-bench table --results results/phantom --summary --format md --into docs/results.md
	$(BIN)/g2d-bench table --results results/phantom --task siim-seg,siim-zeroshot --fraction 1% --protocol clean \
		--format md --into docs/conventions.md
	$(BIN)/g2d-bench table --results results/phantom --task openi-retrieval --format md \
		--metric i2t_r1,i2t_r10,i2t_median,t2i_r10,t2i_median --into docs/retrieval.md
	$(BIN)/g2d-bench figure curves --results results/phantom --task siim-seg --protocol clean --out docs/img/curves-siim-seg.png

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

weights: $(VENV)/.installed
	$(BIN)/g2d-bench weights --into-package

# The documentation as a site in ./site, the leaderboard of the committed records inside; open site/index.html.
docs: $(VENV)/.installed-docs
	$(BIN)/g2d-bench leaderboard --results results/phantom --out runs/site-leaderboard
	$(BIN)/mkdocs build --strict

# Only whether it builds: every page in the navigation, every link and every docstring there.
docs-check: $(VENV)/.installed-docs
	$(BIN)/mkdocs build --strict --site-dir runs/docs-check

# Pictures of the site, by a headless Chromium: those that pages show into docs/img, the others into runs/screenshots.
screenshots: docs
	$(BIN)/python docs/site/screenshots.py

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

$(VENV)/.installed-docs: pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install -e '.[docs]'
	touch $@

clean:
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .coverage*
