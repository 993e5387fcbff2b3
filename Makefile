# `make read`, `make book` and `make test` are all there is to know; each sets up what it needs first.

# The environment: the active one (conda's base apart, which is no place for a project's packages),
# else .venv in this folder, made with PYTHON3.
PYTHON3 ?= python3
ACTIVE := $(or $(VIRTUAL_ENV),$(if $(filter base,$(CONDA_DEFAULT_ENV)),,$(CONDA_PREFIX)))
ENVIRONMENT := $(or $(ACTIVE),.venv)
PYTHON := $(ENVIRONMENT)/bin/python
FIRST := $(if $(ACTIVE),$(PYTHON),$(PYTHON3))

# What was installed is noted in the environment; set-up runs again when this note would change.
NOTE := $(ENVIRONMENT)/frugal-setup
WANTED := { pwd; cat pyproject.toml requirements.lock requirements.hashes; } | cksum
IS_SET_UP := [ "$$($(WANTED))" = "$$(cat "$(NOTE)" 2>/dev/null)" ]

# Restorations that book and test have in common are computed once and kept here; FRESH=1 computes all of them.
export FRUGAL_CHAINS := $(if $(FRESH),,$(CURDIR)/_build/chains)

.PHONY: help read book print notebooks seconds lock bench measure graphs test setup install clean

help:
	@echo "make read    build the book from its committed outputs, no notebook runs, and print the path of its first page"
	@echo "make book    run the notebooks that changed, build the book, and print the path of its first page"
	@echo "make book PRIOR=google/ddpm-celebahq-256 DEVICE=cuda   the same with another prior, at its size"
	@echo "make print   the book as one page for paper"
	@echo "make notebooks  run every notebook and keep its outputs, as they are committed"
	@echo "make seconds    after 'make clean notebooks': keep what each cell took, by which pages are put in order"
	@echo "make lock    renew the hashes of the packages, when requirements.lock has changed"
	@echo "make measure NAME=fidelity ARGUMENTS='--faces 4'  renew one file of book/measured"
	@echo "make bench   what restorations cost on this machine, as book/measured/bench.json (DEVICE=cuda on a GPU)"
	@echo "make graphs  write the network anew as the playground's graphs, when another prior ships"
	@echo "make test    unit tests, the committed notebooks run again and compared, checks of the book"
	@echo "make setup   the environment alone; the commands above begin with it"
	@echo "make clean   remove what was built and the caches; the environment stays"

# PRIOR and DEVICE for all pages, PARAMETERS='-p images 4 -p steps 20' for the others; FRESH=1 runs unchanged pages too.
BUILD = "$(PYTHON)" book/build.py $(if $(PRIOR),-p prior "$(PRIOR)") $(if $(DEVICE),-p device "$(DEVICE)") $(PARAMETERS) $(if $(FRESH),--fresh)

read: setup
	$(BUILD) --read

book: setup
	$(BUILD)

print: setup
	$(BUILD) --print

notebooks: setup
	$(BUILD) --in-place

seconds: setup
	$(BUILD) --seconds

bench: setup
	"$(PYTHON)" book/experiments bench $(if $(DEVICE),--device $(DEVICE)) $(ARGUMENTS)

measure: setup
	"$(PYTHON)" book/experiments $(NAME) $(ARGUMENTS)

graphs: setup
	"$(PYTHON)" book/play/graphs.py

# Style and types, then the notebooks as the book runs them, then their comparison, unit tests and checks of the book, in
# two processes; a file stays in one of them.
test: setup
	"$(PYTHON)" -m ruff check --quiet
	"$(PYTHON)" -m ruff format --check --quiet
	"$(PYTHON)" -m basedpyright --pythonpath "$(PYTHON)"
	"$(PYTHON)" book/build.py --to-compare $(if $(FRESH),--fresh)
	"$(PYTHON)" book/alone.py "$(PYTHON)" -m pytest --nbval --nbval-sanitize-with tests/nbval.cfg \
	    -n 2 --dist loadscope --no-loadscope-reorder notebooks tests

# One set-up at a time: the second waits, and then finds that nothing is left to do.
setup:
	@$(IS_SET_UP) || { \
	    command -v "$(FIRST)" >/dev/null || { echo "frugal needs Python 3.11 or newer, and there is no $(FIRST)"; exit 1; }; \
	    "$(FIRST)" -c '$(CHECK)' && exec "$(FIRST)" book/alone.py $(MAKE) --no-print-directory install; }

CHECK := import sys; sys.version_info >= (3, 11) or sys.exit( \
    "frugal needs Python 3.11 or newer, and %s is %s; name another: make setup PYTHON3=python3.12" \
    % (sys.executable, sys.version.split()[0]))

install:
	@$(IS_SET_UP) || $(MAKE) --no-print-directory packages

# Each step is safe to repeat, so an interrupted set-up goes on where it stopped. All packages are checked by their
# hashes but two, torch and torchvision: which build is right, for the CPU or CUDA, is a question of the machine, and
# pip's settings may answer it. So pip fetches them, with what they need; uv, which is faster, all others.
EXACTLY := --no-deps --require-hashes -r
packages:
	@[ -n "$(ACTIVE)" ] || "$(PYTHON)" -c 'import pip; $(CHECK)' 2>/dev/null || "$(PYTHON3)" -m venv --clear .venv
	@echo "Set-up, part 1 of 4: $$(grep -c == requirements.hashes) packages of requirements.hashes, 0.3 GB to fetch, once"
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.hashes | "$(PYTHON)" -m pip install --quiet $(EXACTLY) /dev/stdin \
	    && "$(PYTHON)" -m uv pip install --quiet --python "$(PYTHON)" $(EXACTLY) requirements.hashes \
	    || { echo "uv cannot do it here, pip does"; "$(PYTHON)" -m pip install $(EXACTLY) requirements.hashes; }
	@echo "Set-up, part 2 of 4: torch and torchvision (0.2 GB to fetch for the CPU, 3 GB with CUDA)"
	"$(PYTHON)" -m pip install $$(grep -E '^torch(vision)?==' requirements.lock)
	@echo "Set-up, part 3 of 4: frugal itself"
	"$(PYTHON)" -m pip install --no-build-isolation --no-deps -e .
	@echo "Set-up, part 4 of 4: the weights of LPIPS (64 MB to fetch)"
	"$(PYTHON)" -m frugal.lpips_weights
	@$(WANTED) > "$(NOTE)"

lock:
	"$(PYTHON)" -m uv pip compile --quiet --no-header --no-annotate --universal --python-version 3.11.5 --no-deps \
	    --generate-hashes --no-emit-package torch --no-emit-package torchvision requirements.lock -o requirements.hashes

clean:
	rm -rf _build .pytest_cache .hypothesis
	find frugal book notebooks tests -name __pycache__ -prune -exec rm -rf {} +
