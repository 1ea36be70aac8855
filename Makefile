# What people, hooks and CI call. `make help` lists it.
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DVC_NO_ANALYTICS := true
# A container's user may have no name, for which DVC asks, and no home that can be written: docs/containers.md.
# postergenre/account.py does the same.
export LOGNAME := $(or $(LOGNAME),$(USER),$(LNAME),$(USERNAME),$(shell \
	{ name=$$(id -un) || name=$$(id -u); echo "$$name"; } 2>/dev/null))
ifeq ($(origin HOME),undefined)
home := $(shell if name=$$(id -un 2>/dev/null); then eval "echo ~$$name"; fi)
ifeq ($(home),)
export HOME := /
endif
endif
ifneq ($(shell test -w "$${HOME:-$(or $(home),/)}" || echo no),)
export XDG_CACHE_HOME := $(or $(XDG_CACHE_HOME),$(CURDIR)/.cache)
export KERAS_HOME := $(or $(KERAS_HOME),$(XDG_CACHE_HOME)/keras)
export MPLCONFIGDIR := $(or $(MPLCONFIGDIR),$(XDG_CACHE_HOME)/matplotlib)
export UV_PYTHON_INSTALL_DIR := $(or $(UV_PYTHON_INSTALL_DIR),$(XDG_CACHE_HOME)/python)
endif

# Any Python from 3.9 on runs the script, which chooses the one for .venv. It has PYTHON and WHEELS from its environment.
# 39 and 38 are what no other program answers.
SETUP = old=; for python in "$$PYTHON" python3.13 python3.12 python3.11 python3 python; do \
	"$$python" -c 'import sys; sys.exit(39 if sys.version_info >= (3, 9) else 38)' >/dev/null 2>&1; \
	case $$? in 39) exec "$$python" tools/setup.py $(1) ;; 38) old=" ($$python is older)" ;; esac; \
	done; \
	echo "error: no Python from 3.9 on is here$$old; install Python 3.11, 3.12 or 3.13, or name one: make setup PYTHON=/path/to/python3.12" >&2; \
	exit 1

# Recipes name .venv's programs by their path: the make of macOS looks up a simple recipe's program in its own PATH.
.DEFAULT_GOAL := help
.PHONY: help setup wheels repro test quick test-all bench check format lock mlflow team

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## Create .venv from requirements.lock [PYTHON=python3.12] [WHEELS=DIR]

wheels: ## Download the packages for machines without a network [WHEELS=DIR]
	@$(call SETUP,wheels)

repro: setup ## Run the whole pipeline; print the results
	@$(BIN)/postergenre repro
	@$(BIN)/postergenre results

test: setup ## Run the tests
	$(BIN)/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

quick: setup ## Run the tests that train nothing and start no server: under a minute
	$(BIN)/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder -m 'not slow and not long'

test-all: setup ## Run the tests, those of many minutes too
	$(BIN)/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder -m ''

bench: setup ## Run each stage; print its seconds and peak memory
	$(BIN)/python -m benchmarks.stages

check: setup ## Lint; check the format, the types, the documentation's links, the wheels for other machines
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/pytest -q tests/test_docs.py -k link
	@$(BIN)/python tools/platforms.py

format: setup ## Format the code, fix what ruff can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: setup ## Resolve pyproject.toml anew into requirements.lock
	$(BIN)/uv pip compile --quiet --python $(BIN)/python --universal --generate-hashes --no-header --upgrade --extra dev \
		--python-version 3.11 --output-file requirements.lock pyproject.toml

mlflow: setup ## Open the runs in MLflow, http://127.0.0.1:5000
	@case "$$MLFLOW_TRACKING_URI" in \
		http*) echo "The runs are on the server that MLFLOW_TRACKING_URI names; open that in a browser." ;; \
		*) $(BIN)/mlflow ui --backend-store-uri "$${MLFLOW_TRACKING_URI:-sqlite:///$(CURDIR)/mlflow.db}" ;; \
	esac

team: setup ## Share data and results: make team REMOTE=... [CACHE=...]
	@$(BIN)/postergenre team "$$REMOTE" $${CACHE:+--cache "$$CACHE"}

# Besides: where a Python is named, .venv's Python is gone, or .venv was moved from the place in .installed.
anew := $(or $(PYTHON),$(shell test -x $(BIN)/python || echo yes; if read -r place && \
	test "$$place" != "$$(pwd -P)/$(VENV)"; then echo yes; fi 2>/dev/null <$(VENV)/.installed))
.PHONY: anew
$(VENV)/.installed: requirements.lock pyproject.toml $(if $(anew),anew)
	@$(call SETUP)
