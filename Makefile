# The five targets that people and scripts use: install, demo, test, lint, bench.
# Each sets up what it needs in .venv, from locked versions; nothing else on the machine is touched.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: install demo test lint bench browser redis pictures clean lock

install: $(STAMP)

$(STAMP): requirements/dev.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null 2>&1 || { \
	  echo "strangler needs Python 3.11 or newer, and there is no '$(PYTHON)' here. Install it, or say PYTHON=/path/to/python." >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "strangler needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V). Say PYTHON=/path/to/a/newer/python." >&2; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "'$(PYTHON)' has no venv module. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 2; }
	@echo "Setting up $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt || { \
	  echo "The packages could not be installed. Is a package index reachable from here?" >&2; exit 2; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

# KEEP=1 leaves all of it running at the end, UNTIL=find ends after that chapter: see `python -m demo --help`.
demo: install
	@$(BIN)/python -m demo $(if $(KEEP),--keep) $(if $(UNTIL),--until $(UNTIL)) $(ARGS)

# On every core, up to four; tests/conftest.py says which stay together. The longest, which are end to end, come first.
test: lint browser redis
	@$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

# The console is tested in a real browser. Where we may, we install it; elsewhere we say what is missing.
CHROMIUM := command -v chromium || command -v chromium-browser || command -v google-chrome
browser:
	@if { $(CHROMIUM); } >/dev/null 2>&1; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	  echo "Installing Chromium ..."; \
	  apt-get update -qq >/dev/null 2>&1; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null 2>&1 || true; \
	fi
	@{ $(CHROMIUM); } >/dev/null 2>&1 || \
	  echo "No Chromium here, so the console is not tested in a browser. On Debian: apt-get install chromium" >&2

# Events by Redis Streams are tested against a real Redis, in the same manner. RUNLEVEL=1: it is installed and not started.
redis:
	@if command -v redis-server >/dev/null 2>&1; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	  echo "Installing Redis ..."; \
	  apt-get update -qq >/dev/null 2>&1; DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq redis-server >/dev/null 2>&1 || true; \
	fi
	@command -v redis-server >/dev/null 2>&1 || \
	  echo "No redis-server here, so events by Redis Streams are not tested. On Debian: apt-get install redis-server" >&2

# New pictures for docs/images, from the running demo.
pictures: install browser
	@STRANGLER_PICTURES=docs/images $(BIN)/python -m pytest -q tests/end_to_end/test_console_browser.py

lint: install
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy

bench: install
	@$(BIN)/python -m benchmarks $(if $(ARGS),$(ARGS),--write-docs)
	@$(if $(ARGS),:,$(BIN)/python -m benchmarks.comparison --write-docs)
	@$(if $(ARGS),:,$(BIN)/python -m benchmarks.cutover --write-docs)

# For maintainers: new locked versions from pyproject.toml. Needs uv.
lock:
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url pyproject.toml -o requirements/run.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url pyproject.toml --group dev -c requirements/run.txt -o requirements/dev.txt

clean:
	rm -rf $(VENV) .venv-bench build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
