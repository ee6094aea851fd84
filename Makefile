# Q-Scorer Studio: two commands.
#
#   make run     sets up .venv and opens the page on http://127.0.0.1:7860
#   make test    sets up what testing needs too, and runs all tests
#
# PYTHON=python3.12 make run        another Python (3.11 or newer)
# make run ARGS="--data-dir /srv/q" what app.py is given
# make test ARGS="-k zoo"           what pytest is given
# make test ARGS='-m "not slow"'    what a changed line needs first; docs/testing.md says more
# TORCH_INDEX=https://download.pytorch.org/whl/cpu make run
#                                   torch from another package index (there: the smaller CPU build)

PYTHON ?= python3
TORCH_INDEX ?=
ARGS ?=

VENV := .venv
PIP_INSTALL := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check

# As root apt-get runs as it is, else through sudo, which asks.
AS_ROOT := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
APT_GET := $(AS_ROOT) env DEBIAN_FRONTEND=noninteractive apt-get

.PHONY: run test lint setup setup-test chromium clean
.DEFAULT_GOAL := run

run: setup
	$(VENV)/bin/python app.py $(ARGS)

test: setup-test chromium lint
	$(VENV)/bin/python -m pytest --numprocesses 2 --dist loadfile $(ARGS)

lint: setup-test
	$(VENV)/bin/ruff check --quiet .
	$(VENV)/bin/ruff format --quiet --check .
	$(VENV)/bin/mypy --no-error-summary

setup: $(VENV)/.ready

setup-test: $(VENV)/.ready-test

clean:
	rm -rf $(VENV)

# The stamps below are written last: a set-up that was cut short goes on where it stopped, a finished one costs nothing.

$(VENV)/.ready: requirements.txt constraints.txt $(VENV)/.made
	@echo "Installing the packages of requirements.txt into $(VENV) (once; some minutes)"
ifneq ($(strip $(TORCH_INDEX)),)
	$(PIP_INSTALL) --index-url "$(TORCH_INDEX)" "$$(sed -n 's/^\(torch==[^ ]*\).*/\1/p' constraints.txt)"
endif
	$(PIP_INSTALL) -c constraints.txt -r requirements.txt
	@# The project is not installed: this lets python -m model.score find it from any working directory.
	@$(VENV)/bin/python -c 'import pathlib, sysconfig; pathlib.Path(sysconfig.get_path("purelib"), "q-scorer-studio.pth").write_text("$(CURDIR)\n")'
	@touch $@

$(VENV)/.ready-test: requirements-dev.txt $(VENV)/.ready
	@echo "Installing the packages of requirements-dev.txt into $(VENV)"
	$(PIP_INSTALL) -c constraints.txt -r requirements-dev.txt
	@touch $@

$(VENV)/.made:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "There is no $(PYTHON) here. Install Python 3.11 or newer (Debian, Ubuntu: apt-get install python3), or name one: PYTHON=python3.12 make" >&2; \
	  exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is $$($(PYTHON) --version 2>&1), and Q-Scorer Studio needs Python 3.11 or newer. Name a newer one: PYTHON=python3.12 make" >&2; \
	  exit 1; }
	@# Debian and Ubuntu keep a part of Python that makes environments in a package of its own.
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  package=$$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
	  echo "$(PYTHON) cannot make environments yet: installing $$package with apt-get" >&2; \
	  { $(APT_GET) update -qq && $(APT_GET) install -y -qq "$$package"; } >/dev/null || { \
	    echo "That did not work. Install $$package yourself (apt-get install $$package, as root), then try again" >&2; \
	    exit 1; }; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

# The browser tests drive a Chromium or Chrome that is installed already; where none is, Debian's is installed. Ubuntu has
# none outside snap, whose confinement a test cannot work in: there Playwright fetches its own.
chromium: setup-test
	@for name in chromium google-chrome google-chrome-stable; do \
	  command -v $$name >/dev/null && exit 0; \
	done; \
	$(VENV)/bin/python -c 'import os, sys; from playwright.sync_api import sync_playwright as p; c = p().start(); e = os.path.exists(c.chromium.executable_path); c.stop(); sys.exit(not e)' && exit 0; \
	echo "No Chromium for the browser tests here: installing one" >&2; \
	{ $(APT_GET) update -qq && $(APT_GET) install -y -qq chromium >/dev/null; } \
	  || $(VENV)/bin/python -m playwright install --with-deps chromium \
	  || { echo "That did not work. Install Chromium or Google Chrome yourself, then run make test again" >&2; exit 1; }
