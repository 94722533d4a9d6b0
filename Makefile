# make PYTHON=python3.12 ... chooses another Python; make lab ARGS=--no-browser hands options on.
PYTHON ?= python3
PY := .venv/bin/python
READY := .venv/.ready

# The environment is only trusted where its Python starts and the installation was finished in this very folder.
ifneq ($(shell $(PY) -c "" 2>/dev/null && cat $(READY) 2>/dev/null),$(CURDIR))
$(shell rm -f $(READY))
endif

.PHONY: lab start test notebooks check grade site bench lock clean

# Jupyter reads and keeps its settings in .jupyter/ here, so that what lies in the reader's home does not matter.
lab: $(READY)
	PATH="$(CURDIR)/.venv/bin:$$PATH" JUPYTER_CONFIG_DIR="$(CURDIR)/.jupyter" JUPYTER_DATA_DIR="$(CURDIR)/.jupyter/data" \
	$(PY) -m jupyterlab $(if $(filter 0,$(shell id -u)),--allow-root) --ServerApp.root_dir="$(CURDIR)" \
	demo/01_bottleneck.ipynb $(ARGS)

# One's own copies of the exercises, to work in: what is there already is left alone.
start: $(READY)
	@$(PY) -m grading start $(ARGS)

test: $(READY)
	OMP_NUM_THREADS=1 $(PY) -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

notebooks: $(READY)
	$(PY) make_notebooks.py $(ARGS)

check: $(READY)
	$(PY) -m ruff check .
	$(PY) make_notebooks.py --check
	$(PY) -m benchmarks --stale

# The example class, in a course folder of its own.
grade: $(READY)
	$(PY) examples/make_class.py build/class
	$(PY) -m grading run 02_attention --course build/class $(ARGS)

# The web edition, in build/site: open index.html there.
site: $(READY)
	$(PY) web/build.py $(ARGS)

bench: $(READY)
	$(PY) -m benchmarks $(ARGS)

lock: $(READY)
	$(PY) -m uv pip compile pyproject.toml --all-extras --universal --fork-strategy fewest --python-version 3.11 \
	--custom-compile-command "make lock" --quiet --output-file requirements.txt $(ARGS)

clean:
	rm -rf .venv .jupyter/data .jupyter/lab .pytest_cache .ruff_cache build *.egg-info

# A complete environment is brought up to date in place; a missing, broken or half-made one is made anew.
$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || { echo "This course needs Python 3.11 or newer, \
	and '$(PYTHON)' is not: install one, or name it: make $(or $(MAKECMDGOALS),lab) PYTHON=python3.12" >&2; exit 1; }
	@if [ -e $@ ]; then rm $@; else $(PYTHON) -m venv --clear .venv; fi
	@echo "Installing what the course needs into .venv: the first time takes some minutes"
	@$(PY) -m pip install --quiet --requirement requirements.txt
	@$(PY) -m pip install --quiet --no-deps --no-build-isolation --editable .
	@echo "$(CURDIR)" > $@
