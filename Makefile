# The two commands are `make book` and `make test`; `make help` lists the rest.
# Everything they make lies in .venv/, node_modules/ and _build/, which git ignores.

PYTHON ?= python3
PROFILE ?= quick
CONSTRAINTS ?= constraints.txt
PORT ?= 8000
COLAB_PYTHON ?= python3.13
UV := uv==0.13.9

BIN := .venv/bin
STAGE := _build/$(PROFILE)/source
# The reader's book lies where Jupyter Book's users look for it; other profiles keep apart.
OUT := $(if $(filter quick,$(PROFILE)),.,_build/$(PROFILE))
HTML := $(OUT)/_build/html
EXECUTED := $(patsubst %,$(STAGE)/%,$(wildcard notebooks/*.ipynb))
# What a notebook's results depend on besides itself.
SOURCES := $(shell find sbt_utils sbt_book results -type f ! -path '*/__pycache__/*')
IPYTHON := _build/ipython/profile_default/ipython_config.py
PAGES := _config.yml _toc.yml CITATION.cff $(wildcard _ext/*.* scripts/*.py book/*.* book/*/*)
CORES := $(shell getconf _NPROCESSORS_ONLN)
VENDORED := $(if $(shell command -v npm 2>/dev/null),node_modules/.fetched)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv notebooks book serve lint check unit compare browser test links colab repository clean FORCE

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1|/p' Makefile | while IFS='|' read -r name text; \
	  do printf '  make %-10s %s\n' "$$name" "$$text"; done
	@echo '  PROFILE=smoke|quick|paper chooses how much the notebooks compute (now $(PROFILE)).'

# ---- set-up ---------------------------------------------------------------------------------
# What is installed is in locks/, by its hashes. On Linux, pip's default PyTorch brings some gigabytes
# of CUDA libraries. To have the small CPU build instead, set PIP_EXTRA_INDEX_URL to the CPU index that
# pytorch.org names; whatever an index says, only files with a hash in locks/ are installed.

venv: .venv/.test ## make .venv with everything that `make test` needs

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	  "This needs Python 3.11 or newer; name one: make PYTHON=python3.12 book")'
	$(PYTHON) -m venv .venv

.venv/.book: pyproject.toml constraints.txt $(wildcard locks/*) | $(BIN)/python
	@echo 'Installing into .venv; the first time this takes some minutes.'
	$(BIN)/python scripts/install.py book $(CONSTRAINTS)
	@touch $@

.venv/.test: .venv/.book
	$(BIN)/python scripts/install.py test $(CONSTRAINTS)
	@touch $@

.PHONY: lock
lock: $(BIN)/python ## write locks/ anew from pyproject.toml and constraints.txt
	$(BIN)/python -m venv _build/uv
	_build/uv/bin/pip install --quiet --disable-pip-version-check $(UV)
	$(BIN)/python scripts/lock.py _build/uv/bin/uv

# ---- the book -------------------------------------------------------------------------------

notebooks: $(EXECUTED) ## run every notebook at PROFILE into _build/, leaving the committed ones alone

# Notebooks run where they lie, so that their paths are those of a checkout. At `quick`, their default,
# no parameter is passed: papermill would add a cell for it to the page. Here IPython writes other forms
# of each figure and table for the pages, too.
$(STAGE)/notebooks/%.ipynb: notebooks/%.ipynb $(SOURCES) .venv/.book | $(IPYTHON)
	@mkdir -p $(@D)
	IPYTHONDIR='$(abspath _build/ipython)' SBT_VARIANTS='$(abspath $(STAGE)/variants)' \
	  $(BIN)/papermill --cwd notebooks -k python3 --no-progress-bar \
	  $(if $(filter-out quick,$(PROFILE)),-p profile $(PROFILE)) $< $@

$(IPYTHON):
	@mkdir -p $(@D)
	@echo 'c.InteractiveShellApp.extensions = ["sbt_book.pictures.variants"]' > $@

book: $(STAGE)/.built ## run the notebooks, build the HTML, say where it is
	@echo 'The book is in $(HTML)/index.html; `make serve` shows it.'

# --all: after a build that failed on a warning, an incremental one would pass without it.
$(STAGE)/.built: $(EXECUTED) $(STAGE)/.staged $(STAGE)/.address
	$(BIN)/python scripts/stage.py $(STAGE)
	$(BIN)/jupyter-book build $(STAGE) --path-output $(OUT) --all -W -n --keep-going --quiet
	@touch $@

$(STAGE)/.staged: $(PAGES) $(VENDORED) .venv/.book
	@rm -rf $(STAGE)/_ext $(STAGE)/book && mkdir -p $(STAGE)
	@cp -Rp _toc.yml _ext book $(STAGE)
	@if test -n '$(VENDORED)'; then $(BIN)/python scripts/vendor.py $(STAGE)/book/static/vendor; \
	else echo 'npm is missing: the pages will load MathJax and their widgets from a CDN.'; fi
	@touch $@

# Pages are built anew where the address of the repository has changed.
$(STAGE)/.address: FORCE .venv/.book
	@mkdir -p $(@D)
	@$(BIN)/python scripts/address.py > $@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

node_modules/.fetched: package.json package-lock.json
	npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

.PHONY: pdf zip site
DOWNLOADS := $(OUT)/_build/downloads/spring-block-live
pdf: $(DOWNLOADS).pdf ## print the whole book as one PDF (with Chromium)

zip: $(DOWNLOADS).zip ## pack the pages into one file, to unpack and read without a network

$(DOWNLOADS).pdf: $(STAGE)/.built .venv/.test
	$(BIN)/python scripts/make_pdf.py $(HTML) $@

$(DOWNLOADS).zip: $(STAGE)/.built
	$(BIN)/python scripts/make_zip.py $(HTML) $@

site: pdf zip ## what is published: the pages, with both to download, in _build/site
	$(BIN)/python scripts/make_site.py $(HTML) $(OUT)/_build/site $(DOWNLOADS).pdf $(DOWNLOADS).zip

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
	$(if $(VENDORED),node_modules/.bin/prettier --check sbt_book/live/pages book/static)

check: lint ## while you work: lint, and the tests of the library and the project that are quick
	$(PYTEST) --dist loadfile -m 'not slow' tests/sbt_utils tests/project tests/notebooks sbt_utils

unit: .venv/.test ## unit tests and doctests
	$(PYTEST) --dist loadfile --ignore=tests/pages

compare: .venv/.test $(EXECUTED) ## compare what the notebooks show with what they were committed with (at quick)
	EXECUTED=$(STAGE)/notebooks $(BIN)/pytest tests/notebooks/test_outputs.py

browser: .venv/.test book ## check every page of the book in headless Chromium
	BOOK_HTML=$(HTML) $(PYTEST) tests/pages

# The notebooks run once: their outputs are compared, and the book of the browser checks shows them.
test: lint unit ## everything: lint, unit, notebooks, compare, book, browser
	OMP_NUM_THREADS=1 $(MAKE) --jobs=$(CORES) PROFILE=quick notebooks
	$(MAKE) PROFILE=quick compare browser

.PHONY: gpu
gpu: ## on a machine with a GPU: test, time and run the paper's experiments there (OUT=_build/gpu)
	$(PYTHON) benchmarks/gpu/run.py --out $(if $(findstring command,$(origin OUT)),$(OUT),_build/gpu)

.PHONY: bench
bench: .venv/.test ## on a quiet machine: a table of speeds (BENCH_PYTHON: one that has JAX as well)
	PYTHONPATH=. $(or $(BENCH_PYTHON),$(BIN)/python) benchmarks/table.py

.PHONY: fuzz
fuzz: .venv/.test ## try 20,000 examples at random on the public functions and commands (about half an hour)
	FUZZ=100 $(PYTEST) --dist worksteal tests/fuzz

links: .venv/.book ## ask every outside address that the pages name whether it is still there
	$(MAKE) _build/links/source/.staged PROFILE=links
	cp -R notebooks _build/links/source
	$(BIN)/python scripts/stage.py _build/links/source
	$(BIN)/jupyter-book build _build/links/source --path-output _build/links --builder linkcheck

# Colab's packages lie in _build/colab/runtime. What ran with them is compared with what was committed, and
# the tools in .venv build the book's pages from it, to try their live pictures.
colab: .venv/.test $(VENDORED) ## run the notebooks as Colab does, with its versions (COLAB_PYTHON=python3.13)
	$(BIN)/python scripts/check_colab.py '$(COLAB_PYTHON)' $(PROFILE)
	$(if $(filter quick,$(PROFILE)),EXECUTED=_build/colab/source/notebooks $(BIN)/pytest tests/notebooks/test_outputs.py)
	$(MAKE) _build/colab/source/.staged PROFILE=colab
	$(BIN)/python scripts/stage.py _build/colab/source
	$(BIN)/jupyter-book build _build/colab/source --path-output _build/colab --all -W -n --keep-going --quiet
	BOOK_HTML=_build/colab/_build/html $(PYTEST) tests/pages/test_explorables.py

# ---- the repository ---------------------------------------------------------------------------

repository: ## fix the repository's address in the files: URL=https://github.com/you/name, or none
	@$(PYTHON) scripts/set_repository.py '$(URL)'

clean: ## remove _build/ (.venv/ and node_modules/ stay)
	rm -rf _build
