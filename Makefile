# Options: make lab PYTHON=python3.12 uses another Python, and make lab ARGS=--no-browser passes on arguments.
PYTHON ?= python3
PY := .venv/bin/python
COURSE := $(PY) -P -m grading

# Each stamp means that .venv holds the packages of one lock. A larger lock includes the smaller ones.
STUDENTS := .venv/requirements.ok
INSTRUCTORS := .venv/requirements-instructors.ok
TESTS := .venv/requirements-tests.ok
STAMPS := $(STUDENTS) $(INSTRUCTORS) $(TESTS)

# Trust the environment only if its Python runs and if it was completed in this very folder.
ifneq ($(shell $(PY) -c "" 2>/dev/null && cat $(STUDENTS) 2>/dev/null),$(CURDIR))
$(shell rm -f $(STAMPS))
endif

# Some containers forbid Python to keep compiled modules, which would slow down every start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: lab start test notebooks check grade wheel site bench lock clean

# Open JupyterLab on the first lesson.
lab: $(STUDENTS)
	@$(COURSE) lab $(ARGS)

# Copy the notebooks into my/, or update the copies that the reader has not changed.
start: $(STUDENTS)
	@$(COURSE) start

test: $(TESTS)
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(PY) -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

notebooks: $(INSTRUCTORS)
	$(PY) make_notebooks.py $(ARGS)

check: $(TESTS)
	$(PY) -m ruff check .
	$(PY) make_notebooks.py --check

# Grade an example class, in its own course folder.
grade: $(INSTRUCTORS)
	$(PY) examples/make_class.py build/class
	$(COURSE) grade 02_attention --course build/class $(ARGS)
	@echo "To see this class in Formgrader: .venv/bin/course formgrader --course build/class"

# Build one file from which students install the course: the library, the checks and the notebooks.
wheel: $(STUDENTS)
	@rm -rf build/lib  # what an earlier wheel left there would come along
	@$(PY) -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir build/wheel .
	@echo "Hand out $$(ls -t build/wheel/*.whl | head -1). To install it: pip install FILE, then: course lab"

# Build the web edition: open build/site/index.html.
site: $(TESTS)
	$(COURSE) site $(ARGS)

bench: $(TESTS)
	$(PY) -m benchmarks $(ARGS)

# Pin the versions of all packages. The smaller locks take their versions from the largest one.
COMPILE = $(PY) -m uv pip compile pyproject.toml --universal --fork-strategy fewest --python-version 3.11 \
	--no-annotate --custom-compile-command "make lock" --quiet --output-file
lock: $(TESTS)
	$(COMPILE) requirements-tests.txt --all-extras $(ARGS)
	$(COMPILE) requirements-instructors.txt --extra instructors --constraint requirements-tests.txt
	$(COMPILE) requirements.txt --constraint requirements-tests.txt

clean:
	rm -rf .venv .jupyter .pytest_cache .ruff_cache build *.egg-info

# Update a complete environment in place. Create it again if it is missing, broken or half installed.
# pip would compile all modules one by one, which doubles the time. Students compile what they import.
.venv/%.ok: %.txt pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || { echo "This course needs Python 3.11 or newer, \
	and '$(PYTHON)' is not. Install it, or name another Python: make $(or $(MAKECMDGOALS),lab) PYTHON=python3.12" >&2; exit 1; }
	@test -w . || { echo "This folder is read-only. Copy it to a folder where you may write, and run make there" >&2; exit 1; }
	@if [ -e $(STUDENTS) ]; then rm -f $(STAMPS); else echo "Creating .venv"; $(PYTHON) -m venv --clear .venv; \
	$(PY) -m pip install --quiet --upgrade pip || echo "Could not upgrade pip: continuing with the older version"; fi
	@echo "Installing the packages of $<: this takes a few minutes the first time"
	@$(PY) -m pip install --no-compile --requirement $<
	@echo "Installing the course, and preparing the first start"
	@PYTHONWARNINGS=ignore $(PY) -m pip install --quiet --no-deps --no-build-isolation --editable .
	@$(if $(filter $(STUDENTS),$@),$(PY) -c "import $(FIRST)",$(PY) -m compileall -qq -j 0 -x '/tests?/' .venv/lib || true)
	@for stamp in $(STAMPS); do echo "$(CURDIR)" > $$stamp; [ $$stamp != $@ ] || break; done

FIRST := ipykernel.kernelapp, jupyterlab.labapp, matplotlib.pyplot, sacrebleu.significance, seaborn, torch._dynamo
