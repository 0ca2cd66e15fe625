# The two commands of a new user: `make demo` and `make test`. Both need only Python and make.
#   PYTHON=python3.12            another interpreter (3.10 - 3.12)
#   VENV_FLAGS=--system-site-packages   keep an installed torch >= 2.11 (Jetson)
#   MINUTES=30                   how long `make fuzz` reads spoilt files
#   TORCH_INDEX=URL              the index to take torch from, for example PyTorch's for CPU
PYTHON ?= python3
VENV ?= .venv
VENV_FLAGS ?=
TORCH_INDEX ?=
TORCH_VERSION ?= 2.13.0
SEED ?= 1
MINUTES ?= 5

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
READY := $(VENV)/.ready
HAS_TORCH := import sys, torch; v = torch.__version__.split("."); sys.exit((int(v[0]), int(v[1])) < (2, 11))

export OMP_WAIT_POLICY := PASSIVE

# The car: a ROS 2 workspace built and tested with the environment above (docs/car.md).
#   ROS_SETUP=/opt/ros/jazzy/setup.bash    whose ROS 2
ROS_SETUP ?=
ROS_WORK ?= out/ros/ws
COLCON_NEEDS := colcon-common-extensions "empy<4" lark catkin-pkg setuptools
COLCON := $(abspath $(BIN))/python -m colcon
IN_ROS := source $(ROS_SETUP) && mkdir -p $(ROS_WORK) && cd $(ROS_WORK)

.PHONY: setup demo lab-smoke test test-slow fuzz check wheel-test bench mutants clean help ros-build ros-test ros-table

help:
	@sed -n '1,6p' Makefile
	@echo "targets: setup demo lab-smoke test test-slow fuzz check wheel-test bench mutants clean; with ROS 2: ros-build ros-test ros-table"

setup: $(READY)

$(READY): pyproject.toml training/pyproject.toml constraints.txt
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
	@PYTHONWARNINGS=ignore $(PIP) install --quiet --constraint $(VENV)/constraints.txt --editable ".[net,navsim,test,check]" --editable training
	@touch $(READY)

demo: $(READY)
	@$(BIN)/irl-vla demo --out out/demo
	@echo "open      out/demo/report.html   (the drive alone: out/demo/drive.webp)"

lab-smoke: $(READY)
	@$(BIN)/irl-vla-train prepare --preset nano --seeds 1980000:1980004 --per-seed 8 --out out/lab-smoke/samples
	@rm -rf out/lab-smoke/run
	@$(BIN)/irl-vla-train perceive --recipe smoke --data out/lab-smoke/samples --out out/lab-smoke/run
	@$(BIN)/irl-vla-train evaluate --eyes --run out/lab-smoke/run --seeds 2000000:2000002 --out out/lab-smoke/evaluation

test: $(READY)
	$(BIN)/python -m pytest -q

test-slow: $(READY)
	$(BIN)/python -m pytest -q -m slow

fuzz: $(READY)
	$(BIN)/python tests/fuzz/fuzz.py --minutes $(MINUTES)

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

wheel-test: $(READY)
	@.ci/wheel-test $(BIN)/python

bench: $(READY)
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

mutants: $(READY)
	@$(BIN)/python tests/mutation/mutants.py --seed $(SEED)

ros-build ros-test ros-table: SHELL := /bin/bash

ros-build: $(READY)
	@test -f "$(ROS_SETUP)" || { echo "which ROS 2? make $(firstword $(MAKECMDGOALS)) ROS_SETUP=/opt/ros/jazzy/setup.bash"; exit 1; }
	@$(BIN)/python -c 'import colcon_core, em, lark, catkin_pkg, setuptools' 2>/dev/null || $(PIP) install --quiet $(COLCON_NEEDS)
	@$(IN_ROS) && $(COLCON) build --base-paths $(CURDIR)/ros2_ws/src \
	  --cmake-args -DPython3_EXECUTABLE=$(abspath $(BIN))/python -DBUILD_TESTING=OFF
	@echo "built     source $(ROS_WORK)/install/setup.bash"

ros-test: ros-build
	@$(IN_ROS) && source install/setup.bash && \
	  $(COLCON) test --base-paths $(CURDIR)/ros2_ws/src --packages-select irl_vla_nodes \
	  --event-handlers console_direct+ && $(COLCON) test-result --all

ros-table: ros-build
	@$(IN_ROS) && source install/setup.bash && cd $(CURDIR) && \
	  $(abspath $(BIN))/python -m pytest -q -m "ros and slow" irl_vla_nodes/test
	@echo "measured  out/ros/*.json"

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache out
