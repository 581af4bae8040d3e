# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help setup demo realweb test test-faults test-models fuzz lint bench wheel clean

help:
	@echo "make demo      the main job in small, offline: crawl, filter, train, report"
	@echo "make test      the tests"
	@echo "make fuzz      thousands of broken files through the decoders (COUNT=5000 SEED=0)"
	@echo "make test-faults  the faults that a crawl survives, at full length (about 20 minutes)"
	@echo "make test-models  every recogniser at its published width learns, exports and equals its origin (about 15 minutes)"
	@echo "make realweb   the same commands on real media (needs OMNISRC_REALWEB=folder)"
	@echo "make bench     side-by-side benchmarks; writes bench/RESULTS.md"
	@echo "make lint      ruff and mypy"

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with make PYTHON=python3.12"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[cpu,cluster,torchcodec,dev]'
	touch $(STAMP)

setup: $(STAMP)

demo: $(STAMP)
	$(BIN)/omnisrc demo

realweb: $(STAMP)
	@test -n "$$OMNISRC_REALWEB" || { echo "Set OMNISRC_REALWEB to the folder of real media."; exit 2; }
	$(BIN)/python bench/realweb.py

test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder --max-worker-restart 2

fuzz: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.media.fuzz $(or $(COUNT),5000) $(or $(SEED),0)

test-faults: $(STAMP)
	OMNISRC_SLOW=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m slow -o faulthandler_timeout=1500 tests/pipeline tests/workers

test-models: $(STAMP)
	OMNISRC_SLOW=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 -m slow --timeout 900 -o faulthandler_timeout=1000 tests/models tests/cli tests/filter tests/flow tests/train

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/python bench/run.py

wheel: $(STAMP)
	rm -rf build/lib build/bdist.*  # setuptools packs what lies there, modules that are gone too
	$(BIN)/python -m build --wheel

clean:
	rm -rf $(VENV) build dist *.egg-info
