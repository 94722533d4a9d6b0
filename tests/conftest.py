"""What all tests share."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[1]
# Files that take longest, in this order: begun last, one would keep one process busy and leave others idle.
LONG = ("judge", "attacks", "lab", "site", "run", "lessons", "notebooks", "explorer", "playground")
LONG += ("03_translator", "written", "grade", "engine", "09_real_translation", "04_alignment")

DEMO = '''# %% [markdown]
r"""
# A first look

Half is $\\frac{1}{2}$.
"""

# %%
from tqdm.auto import tqdm

total = sum(tqdm(range(3)))
print(total)

# %% [markdown]
# And once more.

# %%
# ls is a word here, and %matplotlib too
total + 1
'''

EXERCISE = '''# %% [markdown]
r"""
# Sums
"""

# %%
import math
import os
import warnings

def check(name, right, message):
    assert right, message

# %% answer="double"
def double(x):
    """Give x twice."""
    # BEGIN SOLUTION
    twice = x + x
    return twice
    # END SOLUTION

# %% test="double" points=2
assert double(2) == 4, "2 becomes 4"
# BEGIN HIDDEN TESTS
larger_number = 41
check("double", double(larger_number) == 82, "a larger number too")
# END HIDDEN TESTS

# %%
double(3)

# %% answer="root"
def root(x):
    # BEGIN SOLUTION
    warnings.warn("rough", stacklevel=2)
    os.write(2, b"written past Python\\n")
    return math.sqrt(x)
    # END SOLUTION

# %% test="root" points=1.5
assert root(4) == 2
# BEGIN HIDDEN TESTS
check("root", root(9) == 3, "nine")
# END HIDDEN TESTS

# %% [markdown] written="why" points=3
"""
Because a sum is a sum: one point for each word.
"""
'''


@pytest.fixture(scope="session")
def shared():
    """The folder of real corpora beside the repository."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs ../shared")
    return folder


@pytest.fixture(scope="session")
def new_course(tmp_path_factory):
    """Make course folders like this one, with one small demo and one small exercise."""

    def make():
        folder = tmp_path_factory.mktemp("course")
        shutil.copy(ROOT / "nbgrader_config.py", folder)
        for kind, name, text in [("demo", "01_bottleneck", DEMO), ("exercises", "01_sums", EXERCISE)]:
            (folder / "lessons" / kind).mkdir(parents=True)
            (folder / "lessons" / kind / f"{name}.py").write_text(text, "utf-8")
        return folder

    return make


@pytest.fixture
def course(new_course):
    return new_course()


@pytest.fixture(scope="session")
def bubblewrap():
    """Skip where no sandbox can be had."""
    from grading.sandbox.client import bubblewrap  # not at the top: this file must do without the course

    if bubblewrap() is None:
        pytest.skip("needs bubblewrap")


@pytest.fixture(scope="session")
def sandbox(bubblewrap):
    """A sandbox that is started once."""
    from grading.sandbox.client import Sandbox

    with Sandbox(require=True) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def here(sandbox):
    """Return a context in which a run grades in this process, in that sandbox, and starts no worker."""
    from grading.pipeline import executor

    def submit(apart, function, *arguments):
        done = Future()
        done.set_result(function(*arguments))
        return done

    @contextmanager
    def here():
        workers = executor.Workers(submit, lambda: 1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(executor, "connect", lambda *args: nullcontext(workers))
            patch.setattr(executor, "warm_sandbox", lambda *args: sandbox)
            yield workers

    return here


@pytest.fixture
def singly(monkeypatch, pytestconfig):
    """Without --slow, do not look for two mistakes at once: each pair of the bank would be called."""
    if not pytestconfig.getoption("slow"):
        monkeypatch.setattr("grading.judge.recognize.combinations", lambda bank, count: ())


@pytest.fixture(scope="module")
def lab(new_course):
    """Start `make lab` in a small course, with this environment and odd settings in the home folder."""
    from make_notebooks import build  # not at the top: this file must do without the course

    course = new_course()
    build(course)
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, course)
    home = course / "home"
    (home / ".jupyter").mkdir(parents=True)
    (home / ".jupyter" / "jupyter_server_config.py").write_text("c.ServerApp.root_dir = '/nowhere'\n")
    kernel = home / ".local" / "share" / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    kernel.joinpath("kernel.json").write_text(
        json.dumps({"argv": ["/nowhere/python"], "display_name": "Theirs", "language": "python"})
    )
    (course / ".venv").mkdir()
    for part in Path(sys.prefix).iterdir():
        if part.suffix != ".ok":
            (course / ".venv" / part.name).symlink_to(part)
    (course / ".venv" / "requirements.ok").write_text(f"{course}\n")

    options = "--no-browser --ServerApp.port=0 --IdentityProvider.token=token"
    env = {key: value for key, value in os.environ.items() if not key.startswith(("JUPYTER", "VIRTUAL_ENV"))}
    with open(course / "lab.log", "w") as log:
        process = subprocess.Popen(
            ["make", "lab", f"ARGS={options}"],
            cwd=course,
            env=env | {"HOME": str(home)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield SimpleNamespace(course=course, url=address(process, course), log=course / "lab.log")
        finally:
            if process.poll() is None:
                started = psutil.Process(process.pid).children(recursive=True)
                started[0].terminate()
                _, left = psutil.wait_procs(started, 30)
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(30)
                assert not left, "JupyterLab or a kernel of it runs on after SIGTERM"


def address(process, course):
    for _ in range(600):
        running = list((course / ".jupyter" / "data" / "runtime").glob("jpserver-*.json"))
        if running and running[0].read_text().endswith("}"):
            return json.loads(running[0].read_text())["url"]
        if process.poll() is not None:
            break
        time.sleep(0.1)
    pytest.fail((course / "lab.log").read_text())


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window, which calls nobody on its own."""
    from make_notebooks import LessonError, chromium  # not at the top: this file must do without the course

    with ExitStack() as stack:
        try:
            browser = stack.enter_context(chromium())
        except LessonError:
            pytest.skip("needs chromium")
        yield browser


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1300, "height": 900})
    yield page
    page.context.close()


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="also run the tests that are marked slow")
    parser.addoption("--record", action="store_true", help="write the outcome to tests/slow.json")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: a test that only runs with --slow")
    # A background job of a script ignores Ctrl-C, and so does all that it starts: `bash -c 'make test' &`
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers():
    """One process more than processors: many tests wait for a browser, a kernel or a time limit."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(config, items):
    """Leave out slow tests unless --slow is given. Start with the files that take longest."""
    if not config.getoption("slow"):
        slow = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]
    counts = Counter(item.path for item in items)
    place = {f"test_{name}": number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: (place.get(item.path.stem, len(LONG)), -counts[item.path], item.path))


def no_skip_for_a_need(report):
    """Fail a test that would be skipped for something it needs, where everything is to be there."""
    if os.environ.get("CI") == "true" and report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if reason.startswith("needs "):
            report.outcome, report.longrepr = "failed", f"this test must not be skipped here, but it {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    return no_skip_for_a_need((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    return no_skip_for_a_need((yield))


def pytest_terminal_summary(terminalreporter, config):
    """Print two tables: the banks of answers by exercise, and the attacks on the grader by kind."""
    if config.getoption("slow") and config.getoption("record"):
        commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True)
        outcome = {kind: len(terminalreporter.getreports(kind)) for kind in ("passed", "failed", "error")}
        record = {"date": str(date.today()), "commit": commit.stdout.strip(), **outcome}
        (ROOT / "tests" / "slow.json").write_text(json.dumps(record) + "\n", "utf-8")
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)]
    properties = [pair for report in reports for pair in getattr(report, "user_properties", ())]
    answers = [value for name, value in properties if name == "bank"]
    if answers:
        terminalreporter.section("the banks of mistakes and right variants")
        columns = (("mistakes", "caught"), ("mistakes", "named"), ("variants", "passed"))
        terminalreporter.write_line(f"{'':<18}" + "".join(f"{' '.join(column):>24}" for column in columns))
        for exercise in [*dict.fromkeys(answer[0] for answer in answers), "all"]:
            line = f"{exercise:<18}"
            for column in columns:
                found = [a[3] for a in answers if exercise in (a[0], "all") and (a[1], a[2]) == column]
                line += f"{f'{sum(found)}/{len(found)}':>24}"
            terminalreporter.write_line(line)
    attacks = [value for name, value in properties if name == "attack"]
    if attacks:
        terminalreporter.section("attacks on the grader")
        terminalreporter.write_line(f"{'kind':<24} {'attacks':>7} {'points gained':>13} {'harmed':>6}")
        for kind in [*dict.fromkeys(kind for kind, _, _ in attacks), "all"]:
            rows = [row for row in attacks if kind in (row[0], "all")]
            gained, harmed = sum(row[1] for row in rows), sum(row[2] for row in rows)
            terminalreporter.write_line(f"{kind:<24} {len(rows):>7} {gained:>13g} {harmed:>6}")
