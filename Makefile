# SPDX-License-Identifier: Apache-2.0
# Skein: short names for what tools/, meson and the program do. "make help" lists them.
# make build PROFILE=...: dev (unoptimised, for the debugger), bench (release) or maxperf (release,
# link-time and profile-guided optimisation), each in a folder of its own. Assertions stay on in all.
PROFILE ?=
BUILD  ?= build$(if $(PROFILE),-$(PROFILE))
PREFIX ?= /usr/local
SEEDS  ?= 100
SEED   ?=
SOAK_SEEDS ?= 10000

.DEFAULT_GOAL := help
.PHONY: help run build test check sim soak bench fuzz fmt docs install clean deps-% configure-tests

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build  ## start a three-node cluster; installs what is missing and builds first
	@exec $(BUILD)/skein dev

build: deps-build $(BUILD)/build.ninja  ## build the program: build/skein (PROFILE=dev, bench or maxperf: build-PROFILE/skein)
	@$(if $(filter maxperf,$(PROFILE)),tools/pgo $(BUILD),ninja -C $(BUILD) $(NINJA_QUIET) skein)

test: configure-tests  ## build everything and run all tests
	@ninja -C $(BUILD) $(NINJA_QUIET)
	@meson test -C $(BUILD) --no-rebuild --print-errorlogs

check: deps-check configure-tests  ## the quick gate: format, layers, lint, all but the long tests, 100 simulator seeds
	@tools/check-format
	@tools/check-layers
	@ninja -C $(BUILD) $(NINJA_QUIET)
	@tools/lint $(BUILD)
	@meson test -C $(BUILD) --no-rebuild --print-errorlogs --no-suite long
	@$(BUILD)/skein sim --seeds $(SEEDS)

sim: build  ## simulate one seed (SEED=7), or SEEDS=100 of them
	@$(BUILD)/skein sim $(if $(SEED),--seed $(SEED),--seeds $(SEEDS))

soak: configure-tests deps-fuzz deps-soak  ## the long forms: 10,000 seeds of 3 and of 5 nodes, every gate; hours
	@ninja -C $(BUILD) $(NINJA_QUIET)
	@BUILD=$(BUILD) tools/soak $(SOAK_SEEDS)

bench: deps-build deps-bench  ## measure beside etcd, Redis, libuv and the bare machine
	@bench/run
	@bench/runtime
	@bench/profiles
	@bench/store
	@bench/wal
	@bench/hosts

fuzz: deps-build deps-fuzz  ## fuzz every decoder for 60 s (FUZZ_SECONDS=60)
	@tools/fuzz

fmt: deps-check  ## format the sources
	@tools/check-format --fix

docs: deps-docs  ## check the manual pages and render them to build/docs
	@tools/docs $(BUILD)/docs

install: build  ## install to PREFIX (/usr/local), below DESTDIR
	@meson introspect $(BUILD) --buildoptions | grep -q '"prefix", "value": "$(PREFIX)"' || \
	    meson setup --reconfigure $(BUILD) --prefix $(PREFIX) >/dev/null
	@ninja -C $(BUILD) $(NINJA_QUIET)
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD) --no-rebuild --quiet

clean:  ## remove the build folder
	@rm -rf $(BUILD)

deps-%:
	@tools/install-deps $*

# Tests need more packages than the program: they are switched on when first asked for.
configure-tests: deps-build deps-test $(BUILD)/build.ninja
	@meson introspect $(BUILD) --buildoptions | grep -q '"tests", "value": true' || \
	    meson setup --reconfigure $(BUILD) -Dtests=true >/dev/null

$(BUILD)/build.ninja: | deps-build
	@: $(if $(filter-out dev bench maxperf,$(PROFILE)),$(error PROFILE is dev, bench or maxperf))
	@meson setup $(BUILD) -Dtests=false $(MESON_$(PROFILE)) >/dev/null || \
	    { meson setup $(BUILD) -Dtests=false $(MESON_$(PROFILE)); exit 1; }

MESON_dev     := --buildtype=debug
MESON_bench   := --buildtype=release
MESON_maxperf := --buildtype=release -Db_lto=true

NINJA_QUIET := $(if $(V),-v,--quiet)
