# The two commands of a new user: `make demo` and `make test`. Both need only Python and make.
#   PYTHON=python3.12            another interpreter (3.10 - 3.12)
#   VENV_FLAGS=--system-site-packages   keep an installed torch >= 2.11 (Jetson)
#   TORCH_INDEX=URL              the index to take torch from, for example PyTorch's for CPU
PYTHON ?= python3
VENV ?= .venv
VENV_FLAGS ?=
TORCH_INDEX ?=
TORCH_VERSION ?= 2.13.0

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
READY := $(VENV)/.ready
HAS_TORCH := import sys, torch; v = torch.__version__.split("."); sys.exit((int(v[0]), int(v[1])) < (2, 11))

export OMP_WAIT_POLICY := PASSIVE

.PHONY: setup demo test test-slow check bench clean help

help:
	@sed -n '1,5p' Makefile
	@echo "targets: setup demo test test-slow check bench clean"

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2])' || \
	  { echo "$(PYTHON) is too old: Python 3.10 or newer is needed (make PYTHON=python3.12 ...)"; exit 1; }
	@echo "setup: $(VENV) with the commands in $(BIN) (once; a few minutes, mostly downloads)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV_FLAGS) $(VENV) || \
	  { echo "no venv: on Debian and Ubuntu install it with 'apt install python3-venv'"; exit 1; }
	@$(PIP) install --quiet --upgrade "pip>=24"
	@if $(BIN)/python -W ignore -c '$(HAS_TORCH)' 2>/dev/null; then echo "setup: torch is there and is kept"; \
	 else $(PIP) install --quiet "torch==$(TORCH_VERSION)" $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)); fi
	@$(BIN)/python -W ignore -c 'import re, torch; v = torch.__version__.split("+")[0]; \
	  t = open("constraints.txt").read(); \
	  open("$(VENV)/constraints.txt", "w").write(re.sub(r"(?m)^torch==.*$$", "torch==" + torch.__version__, t))'
	@PYTHONWARNINGS=ignore $(PIP) install --quiet --constraint $(VENV)/constraints.txt --editable ".[net,navsim,test,check]"
	@touch $(READY)

demo: $(READY)
	@$(BIN)/irl-vla demo --out out/demo
	@echo "open      out/demo/report.html   (the drive alone: out/demo/drive.webp)"

test: $(READY)
	$(BIN)/python -m pytest -q

test-slow: $(READY)
	$(BIN)/python -m pytest -q -m slow

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(READY)
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache out
