# `make book` and `make test` are all there is to know; each sets up what it needs first.

# The environment: the active one (conda's base apart, which is no place for a project's packages),
# else .venv in this folder, made with PYTHON3.
PYTHON3 ?= python3
ACTIVE := $(or $(VIRTUAL_ENV),$(if $(filter base,$(CONDA_DEFAULT_ENV)),,$(CONDA_PREFIX)))
ENVIRONMENT := $(or $(ACTIVE),.venv)
PYTHON := $(ENVIRONMENT)/bin/python

# What was installed is noted in the environment; set-up runs again when this note would change.
NOTE := $(ENVIRONMENT)/frugal-setup
WANTED := pwd; cat pyproject.toml requirements.lock

# Restorations that book and test have in common are computed once and kept here; FRESH=1 computes all of them.
export FRUGAL_CHAINS := $(if $(FRESH),,$(CURDIR)/_build/chains)

.PHONY: help book print notebooks bench measure graphs test setup install clean

help:
	@echo "make book    run the notebooks that changed, build the book, and print the path of its first page"
	@echo "make book PRIOR=google/ddpm-celebahq-256 DEVICE=cuda   the same with another prior, at its size"
	@echo "make print   the book as one page for paper"
	@echo "make notebooks  run every notebook and keep its outputs, as they are committed"
	@echo "make measure NAME=fidelity ARGUMENTS='--faces 4'  renew one file of book/measured"
	@echo "make bench   what restorations cost on this machine, as book/measured/bench.json (DEVICE=cuda on a GPU)"
	@echo "make graphs  write the network anew as the playground's graphs, when another prior ships"
	@echo "make test    unit tests, the committed notebooks run again and compared, checks of the book"
	@echo "make setup   the environment alone; the commands above begin with it"
	@echo "make clean   remove what was built and the caches; the environment stays"

# PRIOR and DEVICE for all pages, PARAMETERS='-p images 4 -p steps 20' for the others; FRESH=1 runs unchanged pages too.
BUILD = "$(PYTHON)" book/build.py $(if $(PRIOR),-p prior "$(PRIOR)") $(if $(DEVICE),-p device "$(DEVICE)") $(PARAMETERS) $(if $(FRESH),--fresh)

book: setup
	$(BUILD)

print: setup
	$(BUILD) --print

notebooks: setup
	$(BUILD) --in-place

bench: setup
	"$(PYTHON)" book/experiments bench $(if $(DEVICE),--device $(DEVICE)) $(ARGUMENTS)

measure: setup
	"$(PYTHON)" book/experiments $(NAME) $(ARGUMENTS)

graphs: setup
	"$(PYTHON)" book/play/graphs.py

# Style, then the committed notebooks, unit tests and checks of the book, in two processes; a file stays in one of them.
test: setup
	"$(PYTHON)" -m ruff check --quiet
	"$(PYTHON)" -m ruff format --check --quiet
	"$(PYTHON)" -m pytest --nbval --nbval-sanitize-with tests/nbval.cfg \
	    -n 2 --dist loadscope --no-loadscope-reorder notebooks tests

setup:
	@{ $(WANTED); } | cmp -s - "$(NOTE)" || $(MAKE) --no-print-directory install

# Each step is safe to repeat, so an interrupted set-up goes on where it stopped.
CHECK := import sys; sys.version_info >= (3, 11) or sys.exit( \
    "frugal needs Python 3.11 or newer, and %s is %s; name another: make setup PYTHON3=python3.12" \
    % (sys.executable, sys.version.split()[0]))

install: FIRST := $(if $(ACTIVE),$(PYTHON),$(PYTHON3))
install:
	@command -v "$(FIRST)" >/dev/null || { echo "frugal needs Python 3.11 or newer, and there is no $(FIRST)"; exit 1; }
	@"$(FIRST)" -c '$(CHECK)'
	@[ -n "$(ACTIVE)" ] || "$(PYTHON)" -c 'import pip; $(CHECK)' 2>/dev/null || "$(PYTHON3)" -m venv --clear .venv
	@echo "Set-up, part 1 of 3: the $$(grep -c == requirements.lock) packages of requirements.lock, once (0.4 GB to fetch with a CPU build of torch, 3 GB with CUDA)"
	"$(PYTHON)" -m pip install -r requirements.lock
	@echo "Set-up, part 2 of 3: frugal itself"
	"$(PYTHON)" -m pip install --no-build-isolation --no-deps -e .
	@echo "Set-up, part 3 of 3: the weights of LPIPS"
	"$(PYTHON)" -m frugal.lpips_weights
	@{ $(WANTED); } > "$(NOTE)"

clean:
	rm -rf _build .pytest_cache .hypothesis
	find frugal book notebooks tests -name __pycache__ -prune -exec rm -rf {} +
