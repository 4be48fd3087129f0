# The two commands are `make book` and `make test`; `make help` lists the rest.
# Everything they make lies in .venv/, node_modules/ and _build/, which git ignores.

PYTHON ?= python3
PROFILE ?= quick
CONSTRAINTS ?= constraints.txt
PORT ?= 8000

BIN := .venv/bin
STAGE := _build/$(PROFILE)/source
# The reader's book lies where Jupyter Book's users look for it; other profiles keep apart.
OUT := $(if $(filter quick,$(PROFILE)),.,_build/$(PROFILE))
HTML := $(OUT)/_build/html
EXECUTED := $(patsubst %,$(STAGE)/%,$(wildcard notebooks/*.ipynb))
# What a notebook's results depend on besides itself.
SOURCES := $(wildcard sbt_utils/*.py sbt_utils/data/* sbt_utils/explorables/* results/*.* results/*/*)
PAGES := _config.yml _toc.yml scripts/vendor.py $(wildcard _ext/*.py book/*.* book/*/*)
VENDORED := $(if $(shell command -v npm 2>/dev/null),node_modules/.fetched)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv notebooks book serve lint unit nbval browser test links repository clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1|/p' Makefile | while IFS='|' read -r name text; \
	  do printf '  make %-10s %s\n' "$$name" "$$text"; done
	@echo '  PROFILE=smoke|quick|paper chooses how much the notebooks compute (now $(PROFILE)).'

# ---- set-up ---------------------------------------------------------------------------------
# On Linux, pip's default PyTorch brings some gigabytes of CUDA libraries. To have the small
# CPU build instead, set PIP_EXTRA_INDEX_URL to the CPU index that pytorch.org names.

venv: .venv/.test ## make .venv with everything that `make test` needs

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	  "This needs Python 3.11 or newer; name one: make PYTHON=python3.12 book")'
	$(PYTHON) -m venv .venv

.venv/.book: pyproject.toml constraints.txt | $(BIN)/python
	@echo 'Installing into .venv; the first time this takes some minutes.'
	$(BIN)/pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e '.[book]'
	@touch $@

.venv/.test: .venv/.book
	$(BIN)/pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e '.[book,test]'
	@touch $@

# ---- the book -------------------------------------------------------------------------------

notebooks: $(EXECUTED) ## run every notebook at PROFILE into _build/, leaving the committed ones alone

# Notebooks run where they lie, so that their paths are those of a checkout.
$(STAGE)/notebooks/%.ipynb: notebooks/%.ipynb $(SOURCES) .venv/.book
	@mkdir -p $(@D)
	$(BIN)/papermill --cwd notebooks -k python3 --no-progress-bar -p profile $(PROFILE) $< $@

book: $(STAGE)/.built ## run the notebooks, build the HTML, say where it is
	@echo 'The book is in $(HTML)/index.html; `make serve` shows it.'

# --all: after a build that failed on a warning, an incremental one would pass without it.
$(STAGE)/.built: $(EXECUTED) $(STAGE)/.staged
	$(BIN)/jupyter-book build $(STAGE) --path-output $(OUT) --all -W -n --keep-going --quiet
	@touch $@

$(STAGE)/.staged: $(PAGES) $(VENDORED) .venv/.book
	@rm -rf $(STAGE)/_ext $(STAGE)/book && mkdir -p $(STAGE)
	@cp -Rp _config.yml _toc.yml _ext book $(STAGE)
	@if test -n '$(VENDORED)'; then $(BIN)/python scripts/vendor.py $(STAGE)/book/static/vendor; \
	else echo 'npm is missing: the pages will load MathJax and their widgets from a CDN.'; fi
	@touch $@

node_modules/.fetched: package.json package-lock.json
	npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

serve: book ## show the book on localhost (PORT=8000)
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory $(HTML) $(PORT)

# ---- checks ---------------------------------------------------------------------------------

# One test process for each core, each computing on one thread: threads of several would only wait
# for one another.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto

lint: .venv/.test $(VENDORED) ## ruff (rules and format), mypy, and prettier where npm is
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(if $(VENDORED),node_modules/.bin/prettier --check sbt_utils/explorables book/static)

unit: .venv/.test ## unit tests and doctests
	$(PYTEST) --dist loadfile --ignore=tests/book

nbval: .venv/.test ## run the committed notebooks again and compare their outputs
	$(PYTEST) --dist loadfile --nbval --nbval-current-env --nbval-sanitize-with tests/notebooks/sanitize.cfg notebooks

browser: .venv/.test book ## check every page of the book in headless Chromium
	BOOK_HTML=$(HTML) $(PYTEST) tests/book

test: lint unit nbval ## everything: lint, unit, nbval, and notebooks, book and browser at `smoke`
	$(MAKE) --jobs=2 browser PROFILE=smoke

links: .venv/.book ## ask every outside address that the pages name whether it is still there
	$(MAKE) _build/links/source/.staged PROFILE=links
	cp -R notebooks _build/links/source
	$(BIN)/jupyter-book build _build/links/source --path-output _build/links --builder linkcheck

# ---- the repository ---------------------------------------------------------------------------

repository: ## set the address of the repository everywhere: URL=https://github.com/you/name
	@$(PYTHON) scripts/set_repository.py '$(URL)'

clean: ## remove _build/ (.venv/ and node_modules/ stay)
	rm -rf _build
