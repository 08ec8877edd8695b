# Everything starts from here; see README.md. Python lives in .venv, Debian packages are installed
# where they are missing and we are root, and named where we are not.

PYTHON ?= /usr/bin/python3
BIN := .venv/bin

# What `make check` needs is Python alone. The rest is for the lab: a kernel, its tools, real peers.
LAB_PACKAGES := iproute2 iptables iputils-ping kmod nftables tcpdump user-mode-linux util-linux \
	libnss3-tools libstrongswan-standard-plugins openssl patchelf ppp softhsm2 strongswan-charon strongswan-swanctl xl2tpd

# Real clients that the matrix alone has.
INTEROP_PACKAGES := dbus-daemon ike-scan network-manager-l2tp strongswan-starter

.PHONY: run test check lint types unit simulate kernel-tests interop packages clean

run: .venv/installed packages
	$(BIN)/python -m interop run roadwarrior

test: .venv/installed packages lint
	$(BIN)/python -m interop.test

# Lint, types, unit and property tests: no root, no kernel, under a minute.
check: .venv/installed lint types unit

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/installed
	$(BIN)/mypy

unit: .venv/installed
	$(BIN)/pytest --hypothesis-profile brief --numprocesses auto tests/arch tests/unit tests/property

# Thousands of clients, seed after seed; SIMULATE="--minutes 480 --clients 5000" for a night.
SIMULATE := --minutes 10
simulate: .venv/installed
	$(BIN)/python -m tests.simulation $(SIMULATE)

kernel-tests: .venv/installed packages
	$(BIN)/python -m interop.test tests/kernel/test_*.py

# Every client in every position; the page is build/interop/index.html. INTEROP="--missing" takes up
# a run that broke off, INTEROP="--failed" plays again what failed.
INTEROP :=
interop: .venv/installed packages
	@sh interop/install-packages.sh $(INTEROP_PACKAGES)
	$(BIN)/python -m interop.matrix $(INTEROP)

packages:
	@sh interop/install-packages.sh $(LAB_PACKAGES)
	@sh interop/unpack-libreswan.sh
	@sh interop/unpack-kernel.sh

.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || sh interop/install-packages.sh python3-venv
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv build lab *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
