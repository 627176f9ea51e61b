# What people type; CONTRIBUTING.md says more. `make` alone runs RuuviNet.
PYTHON ?= python3
FCM_PORT ?= 8901
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
.NOTPARALLEL:
.PHONY: run demo test test-slow test-all lint types fmt checks suite docs bench clean

run: .venv/.installed
	$(BIN)/python manage.py serve

# Everything that the demo writes goes away with it, also after Ctrl-C.
demo: .venv/.installed
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && trap 'exit 0' INT TERM && \
	RUUVINET_DATA="$$dir" DATABASE_URL= REDIS_URL= \
	FCM_BASE_URL=http://127.0.0.1:$(FCM_PORT) FCM_SERVICE_ACCOUNT_FILE="$$dir/fcm.json" \
	$(BIN)/python manage.py demo

# --- Checks ------------------------------------------------------------------------------
test: lint types checks docs suite

# Their slow tests bring the databases that they need, and do the same again with --database sqlite.
ONLY_ONCE := test_deploy.py test_move_to_postgresql.py

# What `make test` leaves out, since it is slow. Programs that no wheel brings come from Debian.
test-slow: .venv/.installed-dev
	@.ci/packages
	$(PYTEST) --database sqlite -n auto -m "not slow and not storage"
	$(PYTEST) -m slow
	$(PYTEST) --database sqlite -m slow $(addprefix --ignore=tests/ruuvinet/,$(ONLY_ONCE))

test-all: test test-slow

lint: .venv/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

fmt: .venv/.installed-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# These load the settings: away from a developer's own data and `.env`, and as if on the internet.
types checks: export RUUVINET_DATA = .venv/checks
types checks: export DATABASE_URL =
types checks: export REDIS_URL =
types checks: export PUBLIC_URL = https://ruuvinet.example

types: .venv/.installed-dev
	$(BIN)/mypy .

checks: .venv/.installed-dev
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py check --deploy --fail-level WARNING

# On SQLite only what depends on the database; test-slow runs the rest there.
suite: .venv/.installed-dev
	$(PYTEST) -n auto -m "not slow"
	$(PYTEST) --database sqlite -n auto -m "storage and not slow"

# --- Documentation -------------------------------------------------------------------------
# A site in .site; fails on a broken link or anchor, and on a page that mkdocs.yml forgets. Not with
# --quiet, which lets them pass.
docs: .venv/.installed-docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# --- Speed -------------------------------------------------------------------------------
# /record beside two peers and the database alone: bench/README.md. Options: make bench BENCH="--rounds 1 --seconds 3"
bench: .venv/.installed-bench
	@command -v wrk >/dev/null || apt-get install -y -qq --no-install-recommends wrk >/dev/null || \
	{ echo "make bench needs wrk; on Debian: apt install wrk" >&2; exit 1; }
	@$(BIN)/python -m bench $(BENCH)

# --- The virtual environment ---------------------------------------------------------------
# The marks make a warm start free of pip.
.venv/.installed: requirements.txt | .venv/bin/pip
	@echo "Installing requirements.txt into .venv ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/.installed-dev: requirements-dev.txt requirements.txt | .venv/bin/pip
	@echo "Installing requirements-dev.txt into .venv ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch .venv/.installed $@

.venv/.installed-bench: requirements-bench.txt requirements-dev.txt requirements.txt | .venv/bin/pip
	@echo "Installing requirements-bench.txt into .venv ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-bench.txt
	@touch .venv/.installed .venv/.installed-dev $@

.venv/.installed-docs: requirements-docs.txt | .venv/bin/pip
	@echo "Installing requirements-docs.txt into .venv ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-docs.txt
	@touch $@

# pip is the last thing that venv writes, so an interrupted venv is made again.
.venv/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	{ echo "RuuviNet needs Python 3.11 or newer; name one: make PYTHON=/usr/bin/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	{ echo "$(PYTHON) cannot make virtual environments; on Debian: apt install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv .venv

clean:
	rm -rf .venv .site .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
