# Every target makes .venv first; nothing else has to be installed by hand. `make help` lists them.

# The first of these that is Python 3.11, 3.12 or 3.13 and can make a virtual environment.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	2>/dev/null && { command -v $$python; break; }; done)
BIN := .venv/bin
# Written last: a .venv without it was interrupted on the way and is made anew.
COMPLETE := .venv/.complete
# More for pytest: make test ARGS="-n 2 -k space"
ARGS ?=

.PHONY: search test test-programs test-networks test-slow faults fuzz lint format docs ui wheel smoke bench constraints clean help
.DEFAULT_GOAL := help

.venv: $(COMPLETE)  ## make the virtual environment (about 2 minutes)

$(COMPLETE): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 to 3.13 with venv and ensurepip found;" \
		"install one, or name it: make PYTHON=/path/to/python3" >&2; exit 2; }
	@if ! test -f $@ || ! $(BIN)/python -c ''; then rm -rf .venv; $(PYTHON) -m venv .venv; fi
	@rm -f $@
	@# Without build isolation, so that the tools that build are the pinned ones too.
	@echo "Installing cnnsearch and its pinned dependencies into .venv ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt hatchling setuptools wheel
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --no-build-isolation --editable '.[test]'
	@touch $@

search: .venv  ## search for a network for handwritten digits and export the best
	$(BIN)/cnnsearch search tiny --name first --trials 12
	$(BIN)/cnnsearch export best --run first --out exports/first --force

test: .venv  ## run the tests but the slow ones
	$(BIN)/python -m pytest -m "not slow and not programs and not networks and not browser" \
		-n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

test-programs: .venv  ## run whole searches, kill some, and apply CONTRIBUTING's recipes
	$(BIN)/python -m pytest -m "programs and not slow" -n 2 --dist loadfile $(ARGS)

test-networks: .venv  ## build all published networks and more, compare counts and keras.applications
	$(BIN)/python -m pytest -m networks -n 2 tests/blocks tests/space \
		tests/training $(ARGS)

test-slow: .venv  ## run the slow tests; installs Ray for them
	@$(BIN)/python -c 'import ray' 2>/dev/null \
		|| $(BIN)/python -m pip install --quiet --disable-pip-version-check \
			--constraint constraints.txt --no-build-isolation --editable '.[ray]'
	$(BIN)/python -m pytest -m "slow or browser" $(ARGS)

faults: .venv  ## break searches in every way, hundreds of times; writes benchmarks/faults (hours)
	@$(BIN)/python -c 'import ray' 2>/dev/null \
		|| $(BIN)/python -m pip install --quiet --disable-pip-version-check \
			--constraint constraints.txt --no-build-isolation --editable '.[ray]'
	$(BIN)/python -m tests.faults.inject --out benchmarks/faults/inject.txt
	$(BIN)/python -m tests.faults.stop_signals --out benchmarks/faults/stop_signals.txt
	$(BIN)/python -m tests.faults.many_trials --out benchmarks/faults/memory.txt
	$(BIN)/python -m tests.faults.kill_trials --out benchmarks/faults/kill_trials.txt
	$(BIN)/python -m tests.faults.kill_driver --out benchmarks/faults/kill_driver.txt
	$(BIN)/python -m tests.faults.kill_ray --out benchmarks/faults/kill_ray.txt
	$(BIN)/python -m tests.faults.cut_links --out benchmarks/faults/cut_links.txt

test-browser: .venv  ## use MLflow as people do, in a headless Chromium; pictures in build/browser
	@$(BIN)/python -c 'import playwright' 2>/dev/null \
		|| $(BIN)/python -m pip install --quiet --disable-pip-version-check \
			--constraint constraints.txt --no-build-isolation --editable '.[browser]'
	$(BIN)/python -m pytest -m browser -s $(ARGS)

fuzz: .venv  ## feed 100,000 hostile inputs to what reads files (about half an hour)
	$(BIN)/python tests/fuzz/run.py --inputs 100000

lint: .venv  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: .venv  ## mend what can be mended of the style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv  ## build the documentation into build/site; a broken link fails
	@$(BIN)/python -c 'import material, mkdocstrings' 2>/dev/null \
		|| $(BIN)/python -m pip install --quiet --disable-pip-version-check \
			--constraint constraints.txt --no-build-isolation --editable '.[docs]'
	$(BIN)/python docs/refresh.py --check
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "Read it: $(BIN)/python -m http.server --directory build/site"

ui: .venv  ## open the MLflow UI on the runs
	$(BIN)/cnnsearch ui

wheel: .venv  ## build the sdist, and the wheel from it, into dist/
	$(BIN)/python -m build --no-isolation --outdir dist .

smoke: wheel  ## install the wheel, with its dependencies, in an empty environment and use it
	rm -rf build/smoke
	$(BIN)/python -m venv build/smoke
	build/smoke/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt "$$(ls -t dist/cnnsearch-*.whl | head -n 1)"
	cd build/smoke && bin/cnnsearch --version && bin/cnnsearch check residual

bench: .venv  ## run the benchmarks (benchmarks/README.md)
	@for script in benchmarks/bench_*.py; do \
		echo "== $$script"; $(BIN)/python "$$script" || exit; done

constraints: .venv  ## write the versions installed in .venv to constraints.txt
	@{ grep '^#' constraints.txt; \
		$(BIN)/python -m pip freeze --all --exclude-editable \
			--exclude cnnsearch --exclude pip \
		| grep '==' | LC_ALL=C sort -f; } > constraints.txt.new
	@mv constraints.txt.new constraints.txt

clean:  ## remove what builds and tools left; keep .venv, runs/ and exports/
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +

help:  ## list the targets
	@grep -hE '^[a-z.-]+:.*  ## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z.-]+):.*  ## /\1\t/' \
		| awk -F '\t' '{ printf "make %-12s %s\n", $$1, $$2 }'
