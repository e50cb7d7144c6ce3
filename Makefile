# Each target prepares what it needs on a machine with nothing but Python and make, and is quick
# the second time. `make constraints` after a change of dependencies in pyproject.toml.

PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done)
UV := uv==0.13.9
# Its location encoder makes the benchmarks' embeddings; gradio refuses the pillow it asks for.
GEOCLIP := geoclip==1.3.0
# Only its two networks that read text are used; it asks for OpenCV, which is larger than all else.
RAPIDOCR := rapidocr==3.10.0
EXAMPLES := demo/examples/aqueduct.jpg demo/examples/granite.jpg
PHOTO ?=
export PHOTO

.PHONY: help locate demo setup test test-slow test-versions lint constraints clean
.DELETE_ON_ERROR:

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

locate: .venv-cpu/.ready ## say where PHOTO=… was taken (runtime only, no torch); without PHOTO two examples
ifeq ($(PHOTO),)
	@.venv-cpu/bin/geoloc locate $(EXAMPLES) --bundle starter --top 2
	@echo "The aqueduct is the Pont du Gard, in a photo that the starter was not trained on: its first"
	@echo "place is right. The other is Mount Rushmore, which the starter does not know, and it says so."
else
	@.venv-cpu/bin/geoloc locate "$$PHOTO"
endif

demo: .venv-demo/.ready ## serve the web page
	@.venv-demo/bin/geoloc-demo

setup: .venv/.ready ## prepare .venv with everything on CPU

test: .venv/.ready ## run the default tests
	.venv/bin/python -m pytest -m "not slow"

test-slow: .venv/.ready ## run the tests marked slow
	.venv/bin/python -m pytest -m slow

test-versions: .venv/.ready ## test the runtime with its oldest and its newest dependencies
	$(call versions,oldest,--resolution lowest-direct)
	$(call versions,newest,--resolution highest)

lint: .venv/.ready ## check style, types and the direction of imports
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

constraints: .venv/.ready ## pin what pyproject.toml asks for; remove a line first to renew it
	.venv/bin/uv pip compile pyproject.toml --extra all --python-version 3.11 --no-annotate \
		--quiet --custom-compile-command "make constraints" --output-file constraints.txt

clean: ## remove environments and caches
	rm -rf .venv .venv-* .cache .*_cache .hypothesis dist build

# One environment per extra, and .venv for all of them; the stamp says that it is whole.
.venv/.ready: pyproject.toml constraints.txt
	$(call install,all)

.venv-%/.ready: pyproject.toml constraints.txt
	$(call install,$*)

define install
	$(if $(PYTHON),,$(error Python 3.11 or newer is needed: install it or give PYTHON=path))
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check $(UV)
	$(@D)/bin/uv pip install --python $(@D)/bin/python \
		--constraints constraints.txt --build-constraints constraints.txt --editable ".[$(1)]"
	$(if $(filter all text,$(1)),$(@D)/bin/uv pip install --python $(@D)/bin/python --no-deps $(RAPIDOCR))
	$(if $(filter all,$(1)),$(@D)/bin/uv pip install --python $(@D)/bin/python --no-deps $(GEOCLIP))
	@touch $@
endef

# The runtime's tests that need no extra but cpu, in an environment with other versions.
RUNTIME_TESTS := tests/geoloc/photos tests/geoloc/belief tests/geoloc/retrieval tests/geoloc/bundle \
	tests/geoloc/cli tests/geoloc/output

define versions
	rm -rf .venv-$(1)
	.venv/bin/uv venv --quiet --python .venv/bin/python .venv-$(1)
	.venv/bin/uv pip compile pyproject.toml --extra cpu $(2) --no-build --quiet --no-annotate \
		--output-file .venv-$(1)/requirements.txt
	.venv/bin/uv pip install --quiet --python .venv-$(1)/bin/python \
		--requirements .venv-$(1)/requirements.txt "pytest>=8" pytest-timeout hypothesis
	.venv/bin/uv pip install --quiet --python .venv-$(1)/bin/python --no-deps --editable .
	.venv-$(1)/bin/python -m pytest -m "not slow" $(RUNTIME_TESTS)
endef
