"""How lessons become notebooks, that the committed ones come from them, and that exercises can be graded."""

import hashlib
import html
import random
import re
import shutil
import subprocess
import sys
from base64 import b64decode
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbgrader.api import Gradebook
from PIL import Image, PngImagePlugin

import make_notebooks
from grading.pipeline.feedback import split_region
from make_notebooks import SETUP, LessonError, build, code_cells, read_lesson, register, what_is_wrong
from tests.test_lessons import fast

ROOT = Path(__file__).resolve().parents[1]
EXERCISES = [lesson.stem for lesson in sorted((ROOT / "lessons" / "exercises").glob("*.py"))]
SOLUTION, STARTER = "exercises/solution/01_sums/01_sums.ipynb", "exercises/starter/01_sums/01_sums.ipynb"
DEMO, GAP_DEMO = "demo/01_bottleneck.ipynb", "demo/02_gap.ipynb"
GAP = r"""# %% [markdown]
# # A gap of {gap:.1f}
#
# From {by_length[few]:.0f}% to {seeds[1]:d}: $\frac{a:b}{c}$, `{x:.1f}`, and {this} stays.

# %%
import random
random.seed(0)
gap = 2.25

# %% [markdown]
# The gap is large.

# %% claim
assert gap > 2

# %% claim
import numpy
numbers |= {"gap": numpy.float32(gap), "by_length": {"few": 3}, "seeds": (4, 5)}
gap = random.random()

# %%
gap, random.random()
"""


def write_lesson(folder, text, kind="exercises", name="03_more"):
    lesson = folder / "lessons" / kind / f"{name}.py"
    lesson.write_text(text, "utf-8")
    return lesson


@pytest.fixture(scope="module")
def built(new_course):
    """A course with two demos, one of which has claims, and an exercise, all built. Do not change it."""
    folder = new_course()
    write_lesson(folder, GAP, "demo", "02_gap")
    build(folder)
    return folder


@pytest.fixture
def copy(built, tmp_path):
    """A copy of the built course for a test to change."""
    return shutil.copytree(built, tmp_path / "copy")


def read(folder, path):
    return nbformat.read(folder / path, 4)


def edit(file, before, after):
    text = file.read_text("utf-8")
    assert before in text
    file.write_text(text.replace(before, after), "utf-8")


# Marks


def test_marks_become_metadata(built):
    notebook = read(built, SOLUTION)
    marked = {cell.id: cell.metadata.nbgrader for cell in notebook.cells if cell.metadata}
    answer = {"grade": False, "locked": False, "solution": True, "schema_version": 3, "task": False}
    test = {"grade": True, "locked": True, "solution": False, "schema_version": 3, "task": False}
    assert marked == {
        "double": answer | {"grade_id": "double"},
        "test_double": test | {"grade_id": "test_double", "points": 2},
        "root": answer | {"grade_id": "root"},
        "test_root": test | {"grade_id": "test_root", "points": 1.5},
        "why": answer | {"grade_id": "why", "grade": True, "points": 3},
    }
    assert notebook.cells[0].source == "# Sums"
    assert notebook.metadata == make_notebooks.NOTEBOOK_METADATA


def test_the_starter_contains_no_solution(built):
    text = (built / STARTER).read_text("utf-8")
    for secret in ("twice = ", "sqrt", "larger_number", "one point", "BEGIN SOLUTION", "HIDDEN TESTS"):
        assert secret not in text
    found = {cell.id: cell for cell in read(built, STARTER).cells}
    assert found["double"].source == 'def double(x):\n    """Give x twice."""\n    raise NotImplementedError'
    assert found["test_double"].source == 'assert double(2) == 4, "2 becomes 4"'
    assert found["test_double"].metadata.editable is False
    assert "editable" not in found["double"].metadata and found["double"].metadata.deletable is False
    assert found["why"].source == "*Write your answer here.*"


def test_a_new_cell_keeps_the_other_ids(course):
    lesson = course / "lessons" / "exercises" / "01_sums.py"
    before = [cell.id for cell in read_lesson(lesson).cells]
    edit(lesson, "# %%\ndouble(3)", 2 * "# %%\n1 + 1\n\n" + "# %%\ndouble(3)")
    after = [cell.id for cell in read_lesson(lesson).cells]
    assert [id for id in after if id in before] == before
    assert len(set(after)) == len(after) == len(before) + 2


def test_comments_stay_comments(built):
    cells = read(built, DEMO).cells
    assert cells[-1].source.startswith("# ls is a word here, and %matplotlib too")
    assert cells[0].source == "# A first look\n\nHalf is $\\frac{1}{2}$."


TEST = '# %% test="a" points=1\n# BEGIN HIDDEN TESTS\n{}\n# END HIDDEN TESTS'
ANSWER = '# %% answer="a"\n# BEGIN SOLUTION\npass\n# END SOLUTION\n\n'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('# %% anwser="a"\npass', "cell 1 .*cannot use anwser here"),
        ("# %% setting up\npass", "cannot use title here"),
        ("# %% claim\npass", "cannot use title here: .* a cell of a demo may be marked claim"),
        ('# %%\n1\n\n# %% test="a"\npass', "cell 2 .*test needs points=N"),
        ('# %% test="a" points=0\npass', "test needs points=N"),
        ('# %% test="a" points="two"\npass', "test needs points=N"),
        ('# %% [markdown] written="a"\n# Why?', "written needs points=N"),
        ('# %% answer="a" points=2\npass', "cannot use points here"),
        ('# %% answer="a" test="a" points=2\npass', "cannot use answer, points, test here"),
        ('# %% answer="a"\npass', "an answer needs BEGIN SOLUTION"),
        ('# %% answer="a b"\n# BEGIN SOLUTION\n# END SOLUTION', "answer needs a name of letters"),
        ('# %% answer="a"\n# BEGIN SOLUTION', "BEGIN SOLUTION and END SOLUTION do not pair up"),
        ('# %% test="a" points=1\n# END HIDDEN TESTS\n# BEGIN HIDDEN TESTS', "do not pair up"),
        ("# %%\n# BEGIN SOLUTION\n# END SOLUTION", "BEGIN SOLUTION is only allowed in a cell marked answer"),
        (ANSWER + "# BEGIN HIDDEN TESTS\n# END HIDDEN TESTS", "is only allowed in a cell marked test"),
        ('# %% [markdown] answer="a"\n# BEGIN SOLUTION\n# END SOLUTION', "answer belongs on a code cell"),
        ('# %% written="a" points=1\npass', "written belongs on a markdown cell"),
        (ANSWER + ANSWER, "cell 2 .*the name a is already used"),
        (ANSWER + '# %% [markdown] written="a" points=1\n# Why?', "the name a is already used"),
        ('# %% test="a" points=1\nassert a', 'hidden tests of a must be check."a", a., found 0 asserts and '),
        (TEST.format('check("b", a)'), "checks of .'b'.: the grader runs checks only"),
        (TEST.format('check("a", a)\nassert a(3)'), "found 1 asserts and checks of .'a'."),
        (TEST.format("if True:\n    assert a(3)"), "found 1 asserts"),
        ("# %%\n%matplotlib inline", "cell 1 .%matplotlib inline.: line 1 is not plain Python"),
        ("# %%\n1\n\n# %%\n!ls", "cell 2 .!ls.: line 1 is not plain Python"),
        ("demo\n" + ANSWER, "cannot use answer here"),
        ("demo\n# %% claim 2\npass", "cannot use title here"),
        ("demo\n# %% [markdown] claim\n# Hello", "claim belongs on a code cell"),
        ("demo\n# %%\n1\n\n# %% claim\nassert 1", "cell 2 .*a claim belongs directly below the text"),
    ],
)
def test_a_lesson_with_a_mistake_is_refused(course, text, problem):
    kind = "demo" if text.startswith("demo\n") else "exercises"
    lesson = write_lesson(course, text.removeprefix("demo\n"), kind)
    with pytest.raises(LessonError, match=problem) as error:
        read_lesson(lesson)
    assert str(lesson) in str(error.value)


# Building


def test_a_test_needs_a_check_of_its_exercise(course):
    lesson = write_lesson(course, TEST.format('check("a", a)'))
    read_lesson(lesson)
    checks = course / "grading" / "exercises" / "03_more" / "checks.py"
    checks.parents[1].mkdir(parents=True)
    with pytest.raises(LessonError, match=r'a has no check: write one with @checks."a", ....'):
        read_lesson(lesson)
    checks.parent.mkdir()
    checks.write_text('@checks(\n    "a",\n    ...')
    assert len(read_lesson(lesson).cells) == 1


def test_two_builds_give_the_same_bytes(built, new_course):
    other = new_course()
    build(other)
    for path in (DEMO, SOLUTION, STARTER):
        assert (built / path).read_bytes() == (other / path).read_bytes()
    assert not (other / "gradebook.db").exists()


def test_only_named_lessons_are_built(course):
    write_lesson(course, "# %%\n1")
    build(course, ["03_more"])
    assert [path.name for path in course.rglob("*.ipynb")] == ["03_more.ipynb"] * 2
    with pytest.raises(LessonError, match="no lesson 04_less: choose from 01_bottleneck, 01_sums, 03_more"):
        build(course, ["04_less"])


def test_a_demo_is_run_without_its_progress_bar(built):
    first, second = code_cells(read(built, DEMO))
    assert [output.text for output in first.outputs] == ["3\n"]
    assert second.outputs[0].data == {"text/plain": "4"}
    assert (first.execution_count, second.execution_count) == (1, 2)
    assert not first.metadata and not second.metadata


def test_without_running_outputs_stay_while_the_code_does(copy):
    lesson = copy / "lessons" / "demo" / "01_bottleneck.py"
    edit(lesson, "once more", "a last time")
    build(copy, ["01_bottleneck"], execute=False)
    assert "a last time" in (copy / DEMO).read_text("utf-8")
    assert code_cells(read(copy, DEMO))[0].outputs
    edit(lesson, "range(3)", "range(4)")
    build(copy, ["01_bottleneck"], execute=False)
    assert not any(cell.outputs for cell in code_cells(read(copy, DEMO)))


@pytest.mark.parametrize(
    ("code", "problem"),
    [("1 / 0", "ZeroDivisionError"), ("import sys\nprint('oh', file=sys.stderr)", r"text on stderr \(oh\)")],
)
def test_a_demo_that_fails_or_warns_is_refused(course, code, problem):
    write_lesson(course, f"# %%\n{code}", "demo")
    with pytest.raises(LessonError, match=rf"demo/03_more.ipynb: (.|\n)*{problem}"):
        build(course, ["03_more"])
    assert not list(course.rglob("*.ipynb"))


def test_outputs_that_readers_cannot_use_are_refused(copy, monkeypatch):
    output = nbformat.v4.new_output("display_data", {"text/plain": "<object object at 0x7f>"})
    assert "memory address" in what_is_wrong(output)
    output.data = {make_notebooks.WIDGET: {}, "text/plain": "IntSlider(value=0)"}
    assert "a widget" in what_is_wrong(output)
    monkeypatch.setattr(make_notebooks, "LARGEST", 100)
    with pytest.raises(LessonError, match=f"{DEMO} has .* bytes, more than 100"):
        build(copy, ["01_bottleneck"], execute=False)


# Figures and answers


QUIZ = """# %% [markdown]
# **Predict.** More or less?

# %%
more = 1

# %%
print("much", more)

# %% [markdown]
# *A caption.*
#
# **What happened.** It was {more:d} more.
#
# **Predict.** And now?

# %% claim
numbers["more"] = 1

# %%
more + 1

# %% [markdown]
# **What happened.** It was $2$ more.
#
# ## A heading ends it

# %%
more + 2
"""


def test_outputs_and_explanations_stay_hidden_until_opened(course):
    write_lesson(course, QUIZ, "demo")
    build(course, ["03_more"])
    _, silent, first, text, second, explained, third = read(course, "demo/03_more.ipynb").cells
    for cell in (first, second):
        assert cell.metadata == {"tags": ["hide-output"], "jupyter": {"outputs_hidden": True}}
    assert silent.metadata == third.metadata == {}
    assert first.outputs[0].text == " \nmuch 1\n", "JupyterLab shows the first line"
    assert [cell.outputs[0].data["text/plain"] for cell in (second, third)] == [" \n2", "3"]
    fold = "<details><summary><b>What happened</b></summary>\n\nIt was 1 more.\n\n</details>"
    assert text.source == f"*A caption.*\n\n{fold}\n\n**Predict.** And now?"
    assert explained.source.endswith("It was $2$ more.\n\n</details>\n\n## A heading ends it")


def test_figures_are_embedded(course):
    svg = course / "lessons" / "figures" / "two.svg"
    svg.parent.mkdir()
    svg.write_text("<svg>two</svg>")
    lesson = write_lesson(course, '# %% [markdown]\n# ![a "b" c](../figures/two.svg)', "demo")
    with pytest.raises(LessonError, match=r"there is no two.png that shows two.svg: .*--figures"):
        read_lesson(lesson)
    info = PngImagePlugin.PngInfo()
    info.add_text("svg", hashlib.sha256(b"<svg>two</svg>").hexdigest())
    Image.new("RGB", (6, 4), "red").save(svg.with_suffix(".png"), pnginfo=info)
    (cell,) = read_lesson(lesson).cells
    image = r'<img alt="(.*)" width="(.*)" src="data:image/png;base64,(.*)">'
    alt, width, data = re.fullmatch(image, cell.source).groups()
    assert (alt, width) == ("a &quot;b&quot; c", "3")
    assert b64decode(data) == svg.with_suffix(".png").read_bytes()
    svg.write_text("<svg>three</svg>")
    with pytest.raises(LessonError, match="no two.png that shows two.svg"):
        read_lesson(lesson)


def test_figures_are_drawn(browser, tmp_path, capsys):
    svg = tmp_path / "red.svg"
    svg.write_text('<svg width="20" height="10"><path fill="red" d="M0 0h20v10H0z"/></svg>')
    make_notebooks.draw_figures(tmp_path, browser)
    picture = Image.open(tmp_path / "red.png")
    assert picture.size == (40, 20) and picture.convert("RGB").getpixel((20, 10)) == (255, 0, 0)
    assert capsys.readouterr().out == f"{tmp_path / 'red.png'}\n"
    make_notebooks.draw_figures(tmp_path, browser)
    assert capsys.readouterr().out == "", "it is up to date"


def test_every_figure_is_up_to_date():
    figures = sorted((ROOT / "lessons" / "figures").glob("*.svg"))
    assert len(figures) > 10
    for svg in figures:
        digest = make_notebooks.figure_digest(svg.with_suffix(".png"))
        assert digest == hashlib.sha256(svg.read_bytes()).hexdigest(), f"draw {svg.name} again"


# Claims and numbers


def change_gap(folder, before, after, execute=False):
    """Build the demo with claims after a change to its lesson. Return the texts of its cells."""
    edit(folder / "lessons" / "demo" / "02_gap.py", before, after)
    build(folder, ["02_gap"], execute)
    return [cell.source for cell in read(folder, GAP_DEMO).cells]


def test_claims_are_run_and_left_out(built):
    notebook = read(built, GAP_DEMO)
    assert [cell.source for cell in notebook.cells] == [
        "# A gap of 2.2\n\nFrom 3% to 5: $\\frac{a:b}{c}$, `{x:.1f}`, and {this} stays.",
        "import random\nrandom.seed(0)\ngap = 2.25",
        "The gap is large.",
        "gap, random.random()",
    ]
    assert [cell.execution_count for cell in code_cells(notebook)] == [1, 2]
    assert notebook.cells[-1].outputs[0].data["text/plain"] == f"(2.25, {random.Random(0).random()})"
    assert notebook.metadata.claims.numbers == {"gap": 2.25, "by_length": {"few": 3}, "seeds": [4, 5]}


def test_a_claim_that_fails_stops_the_build_and_names_its_text(copy):
    with pytest.raises(LessonError) as error:
        change_gap(copy, "gap > 2", "gap > 3", execute=True)
    for part in (f"{GAP_DEMO}: a claim failed", "-> 1 assert gap > 3", "The gap is large.", "change"):
        assert part in str(error.value)


def test_numbers_that_json_cannot_hold_are_an_error(copy):
    with pytest.raises(LessonError, match="numbers may hold finite numbers, strings, lists and dictionaries"):
        change_gap(copy, "numpy.float32(gap)", "numpy.nan", execute=True)


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("{gap:.1f}", "{gap}", r"{gap} has no format"),
        ("{gap:.1f}", "{gop:.1f}", r"cannot fill in {gop:.1f} .*holds by_length, gap, seeds"),
        ("[few]", "[many]", r"cannot fill in {by_length\[many\]:.0f} "),
        ("seeds[1]:d", "seeds[1]:q", r"cannot fill in {seeds\[1\]:q} \(ValueError"),
    ],
)
def test_a_missing_number_is_an_error(copy, before, after, problem):
    with pytest.raises(LessonError, match=f"{GAP_DEMO}: {problem}"):
        change_gap(copy, before, after)


def test_without_running_the_numbers_of_the_last_run_are_filled_in(copy):
    assert change_gap(copy, "A gap of {gap:.1f}", "{gap:.2f}!")[0].startswith("# 2.25!")


# Comparing


def check(folder, capsys):
    capsys.readouterr()
    status = make_notebooks.main(["--check"], folder)
    return status, capsys.readouterr().out


CHANGES = {
    "code": (DEMO, lambda n: n.cells[1].update(source="total = 7"), r"cell 2 \(total = 7\) .* in source"),
    "text": (GAP_DEMO, lambda n: n.cells[2].update(source="Small."), r"cell 3 \(Small.\) .* in source"),
    "number": (GAP_DEMO, lambda n: n.metadata.claims.numbers.update(gap=3.5), r"cell 1 .* in source"),
    "points": (SOLUTION, lambda n: n.cells[3].metadata.nbgrader.update(points=9), "cell 4 .* in metadata"),
    "added": (STARTER, lambda n: n.cells.append(nbformat.v4.new_markdown_cell("mine")), "cell 9"),
    "removed": (STARTER, lambda n: n.cells.pop(), "cell 8"),
    "count": (STARTER, lambda n: n.cells[1].update(execution_count=4), "in execution_count"),
    "metadata": (STARTER, lambda n: n.metadata.update(title="mine"), "metadata differs"),
    "language": (DEMO, lambda n: n.metadata.language_info.pop("version"), "metadata differs"),
    "not run": (DEMO, lambda n: n.cells[3].update(execution_count=None), "was not run to its end"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_check_finds_a_change_by_hand(copy, capsys, name):
    path, change, problem = CHANGES[name]
    notebook = read(copy, path)
    change(notebook)
    nbformat.write(notebook, copy / path)
    status, found = check(copy, capsys)
    assert status == 1 and re.search(f"^{path}:? .*{problem}", found)


def test_check_finds_a_changed_claim(copy, capsys):
    edit(copy / "lessons" / "demo" / "02_gap.py", "gap > 2", "gap > 2.1")
    unrun = f"{GAP_DEMO} was not run to its end with its lesson's claims: make notebooks\n"
    assert check(copy, capsys) == (1, unrun)


def test_check_goes_on_after_a_lesson_that_cannot_be_built(copy, capsys):
    edit(copy / "lessons" / "demo" / "02_gap.py", "{gap:.1f}", "{gop:.1f}")
    (copy / DEMO).unlink()
    status, found = check(copy, capsys)
    assert status == 1 and re.fullmatch(rf"{GAP_DEMO}: cannot fill in .*\n{DEMO} is missing.*\n", found)


def test_check_allows_what_running_a_notebook_changes(copy, capsys):
    notebook = read(copy, DEMO)
    notebook.cells[1].update(outputs=[], execution_count=17)
    notebook.metadata.language_info.version = "3.11.99"
    nbformat.write(notebook, copy / DEMO)
    assert check(copy, capsys) == (0, "")


def test_check_finds_missing_and_left_over_files(copy, capsys):
    (copy / DEMO).unlink()
    (copy / "exercises" / "solution" / "01_sums" / "answers.py").write_text("42")
    (copy / "demo" / ".ipynb_checkpoints").mkdir()
    (copy / "demo" / ".ipynb_checkpoints" / "old.ipynb").write_text("{}")
    assert check(copy, capsys) == (
        1,
        f"{DEMO} is missing: make notebooks\n"
        "exercises/solution/01_sums/answers.py comes from no lesson: remove it\n",
    )


# The committed notebooks


def test_the_committed_notebooks_are_built_from_the_lessons(capsys):
    assert check(ROOT, capsys) == (0, "")


def test_the_code_is_linted():
    command = [sys.executable, "-m", "ruff", "check", "."]
    ruff = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ruff.returncode == 0, ruff.stdout


def test_a_notebook_without_the_course_says_what_it_needs_or_installs_it(tmp_path, monkeypatch):
    for path in ("demo/02_attention.ipynb", "exercises/starter/02_attention/02_attention.ipynb"):
        first = next(cell for cell in read(ROOT, path).cells if cell.cell_type == "code")
        assert SETUP.strip() in first.source
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="needs the course. Open it with `make lab`"):
        exec(SETUP, {})
    Path("attention_course-1-py3-none-any.whl").touch()
    asked = []
    exec(SETUP, {"get_ipython": lambda: SimpleNamespace(run_line_magic=lambda *words: asked.append(words))})
    assert asked == [("pip", "install --quiet attention_course-1-py3-none-any.whl")]


@pytest.mark.parametrize("name", EXERCISES)
def test_no_starter_contains_a_line_of_its_solution(name):
    given, secret = set(), set()
    for cell in read_lesson(ROOT / "lessons" / "exercises" / f"{name}.py").cells:
        mark = cell.metadata.get("nbgrader", {})
        shown, hidden = split_region(cell.source, "SOLUTION" if mark.get("solution") else "HIDDEN TESTS")
        if mark.get("solution") and not hidden:
            shown, hidden = hidden, shown
        given |= {line.strip() for line in shown}
        secret |= {line.strip() for line in hidden}
    secret -= given
    assert len(secret) > 3
    starter = read(ROOT, f"exercises/starter/{name}/{name}.ipynb")
    assert not secret & {line.strip() for cell in starter.cells for line in cell.source.split("\n")}
    assert not any(cell.outputs for cell in code_cells(starter))


# Answers and scores


def submissions(folder, name):
    """Three submissions of an exercise, done, untouched and half done, each with the answers it has right."""
    solution, starter, half = (
        read(folder, f"exercises/{kind}/{name}/{name}.ipynb") for kind in ("solution", "starter", "starter")
    )
    answers = {
        cell.id: cell.source for cell in solution.cells if cell.metadata.get("nbgrader", {}).get("solution")
    }
    first = set([*answers][: len(answers) // 2])
    for cell in half.cells:
        if cell.id in first:
            cell.source = answers[cell.id]
    return {"right": (solution, set(answers)), "untouched": (starter, set()), "half": (half, first)}


def expected_scores(notebook, done):
    """The score of each graded cell if the answers in `done`, the first ones, are right: None to be read."""
    expected, all_done = {}, True
    for cell in notebook.cells:
        mark = cell.metadata.get("nbgrader", {})
        if mark.get("solution") and not mark["grade"]:
            all_done = all_done and cell.id in done
        elif mark.get("solution"):
            expected[cell.id] = None if cell.id in done else 0
        elif mark:
            expected[cell.id] = mark.points if all_done else 0
    return expected


@pytest.mark.parametrize("name", EXERCISES)
def test_answers_pass_their_own_tests_and_no_others(name, monkeypatch):
    """All cells up to the last test run in this process, with a tenth of the training or, half done, none.

    The test of an answer that trains then says that it has learned too little.
    """
    monkeypatch.setenv("MPLBACKEND", "agg")
    given = submissions(ROOT, name)
    for notebook, done in (given["right"], given["half"]):
        names, passed = {"__name__": "__main__"}, set()
        cells = code_cells(notebook)
        training = {f"test_{cell.id}" for cell in cells if fast(cell.source) != cell.source}
        tests = [cell.id for cell in cells if cell.metadata.get("nbgrader", {}).get("grade")]
        for cell in cells[: [cell.id for cell in cells].index(tests[-1]) + 1]:
            if notebook is not given["right"][0] and fast(cell.source) != cell.source:
                continue
            try:
                exec(compile(fast(cell.source), cell.id, "exec"), names)
                passed |= {cell.id} & set(tests)
            except AssertionError as error:
                passed |= {cell.id} & training if "Its BLEU on" in str(error) else set()
            except Exception:
                continue
        assert passed == {test for test, score in expected_scores(notebook, done).items() if score}


def nbgrader(folder, *command):
    command = [sys.executable, "-m", "nbgrader", *command]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def scores(folder, name):
    """The score that nbgrader gave each graded cell, by student: None if a person must read it."""
    with Gradebook(f"sqlite:///{folder}/gradebook.db", "attention") as gradebook:
        return {
            submission.student.id: {g.name: g.auto_score for n in submission.notebooks for g in n.grades}
            for submission in gradebook.assignment_submissions(name)
        }


@pytest.fixture(
    scope="module", params=["01_sums", *(pytest.param(name, marks=pytest.mark.slow) for name in EXERCISES)]
)
def graded(request, new_course):
    """A course in which nbgrader's commands graded the three submissions of one exercise."""
    folder, name = new_course(), request.param
    if name in EXERCISES:
        shutil.copy(ROOT / "lessons" / "exercises" / f"{name}.py", folder / "lessons" / "exercises")
    build(folder, [name], execute=False)
    register(folder, [name])
    given = submissions(folder, name)
    for student, (notebook, _) in given.items():
        place = folder / "submitted" / student / name
        place.mkdir(parents=True)
        nbformat.write(notebook, place / f"{name}.ipynb")
    nbgrader(folder, "autograde", name)
    nbgrader(folder, "generate_feedback", name)
    return SimpleNamespace(folder=folder, name=name, submissions=given)


def test_each_submission_gets_its_share(graded):
    solution, _ = graded.submissions["right"]
    assert scores(graded.folder, graded.name) == {
        student: expected_scores(solution, done) for student, (_, done) in graded.submissions.items()
    }


def test_feedback_contains_no_hidden_test(graded):
    solution, _ = graded.submissions["right"]
    parts = [split_region(cell.source, "HIDDEN TESTS") for cell in solution.cells]
    shown = "\n".join(line for outside, _ in parts for line in outside)
    secret = {line.strip() for _, inside in parts for line in inside if line.strip() not in shown}
    assert secret
    for student in graded.submissions:
        text = (graded.folder / "feedback" / student / graded.name / f"{graded.name}.html").read_text("utf-8")
        text = html.unescape(re.sub("<[^>]+>", "", text[text.index("<body>") :]))
        assert f"{graded.name} (Score: " in text and "tests that you cannot see" in text
        assert [line for line in secret if line in text] == []


MORE = '# %% test="one_more" points=1\n# BEGIN HIDDEN TESTS\ncheck("one_more", True)\n# END HIDDEN TESTS\n'


def test_registering_again_keeps_the_scores(graded):
    before = scores(graded.folder, graded.name)
    lesson = graded.folder / "lessons" / "exercises" / f"{graded.name}.py"
    lesson.write_text(lesson.read_text("utf-8") + "\n# %% [markdown]\n# Well done.\n", "utf-8")
    register(graded.folder, [graded.name])
    assert scores(graded.folder, graded.name) == before
    lesson.write_text(f"{lesson.read_text('utf-8')}\n{MORE}", "utf-8")
    with pytest.raises(LessonError, match="nbgrader did not make the starter"):
        register(graded.folder, [graded.name])
    assert scores(graded.folder, graded.name) == before
    assert (graded.folder / "exercises" / "starter" / graded.name / f"{graded.name}.ipynb").exists()
