"""How lessons become notebooks, that the committed ones come from them, and that exercises can be graded."""

import html
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbgrader.api import Gradebook

import make_notebooks
from grading.feedback import split_region
from make_notebooks import LessonError, build, read_lesson, register

ROOT = Path(__file__).resolve().parents[1]
LESSONS = sorted((ROOT / "lessons").glob("*/*.py"))
EXERCISES = [lesson.stem for lesson in LESSONS if lesson.parent.name == "exercises"]
SOLUTION, STARTER = "exercises/solution/01_sums/01_sums.ipynb", "exercises/starter/01_sums/01_sums.ipynb"


def cells(path):
    return {cell.id: cell for cell in nbformat.read(path, 4).cells}


def code_of(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def lesson_with(folder, text, kind="exercises"):
    lesson = folder / "lessons" / kind / "02_more.py"
    lesson.write_text(text, "utf-8")
    return lesson


# How lessons become notebooks


def test_marks_become_metadata(course):
    build(course, execute=False)
    found = cells(course / SOLUTION)
    marked = {id: cell.metadata.nbgrader for id, cell in found.items() if cell.metadata}
    answer = {"grade": False, "locked": False, "solution": True, "schema_version": 3, "task": False}
    test = {"grade": True, "locked": True, "solution": False, "schema_version": 3, "task": False}
    assert marked == {
        "double": answer | {"grade_id": "double"},
        "test_double": test | {"grade_id": "test_double", "points": 2},
        "root": answer | {"grade_id": "root"},
        "test_root": test | {"grade_id": "test_root", "points": 1.5},
        "why": answer | {"grade_id": "why", "grade": True, "points": 3},
    }
    notebook = nbformat.read(course / SOLUTION, 4)
    assert notebook.cells[0].source == "# Sums"
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"


def test_the_starter_asks_and_does_not_tell(course):
    build(course, execute=False)
    text = (course / STARTER).read_text("utf-8")
    for secret in ("twice = ", "sqrt", "larger_number", "one point", "BEGIN SOLUTION", "HIDDEN TESTS"):
        assert secret not in text
    found = cells(course / STARTER)
    assert found["double"].source == 'def double(x):\n    """Give x twice."""\n    raise NotImplementedError'
    assert found["test_double"].source == 'assert double(2) == 4, "2 becomes 4"'
    assert found["test_double"].metadata.editable is False
    assert "editable" not in found["double"].metadata and found["double"].metadata.deletable is False
    assert found["why"].source == "*Write your answer here.*"


def test_two_builds_give_the_same_bytes(course, new_course):
    build(course, execute=False)
    first = {path: (course / path).read_bytes() for path in (SOLUTION, STARTER)}
    build(course, execute=False)
    other = new_course()
    build(other, execute=False)
    for path, content in first.items():
        assert (course / path).read_bytes() == content
        assert (other / path).read_bytes() == content
    assert not (course / "gradebook.db").exists()


def test_a_new_cell_leaves_the_other_ids_alone(course):
    lesson = course / "lessons" / "exercises" / "01_sums.py"
    before = [cell.id for cell in read_lesson(lesson).cells]
    place, twice = "# %%\ndouble(3)", 2 * "# %%\n1 + 1\n\n"
    lesson.write_text(lesson.read_text("utf-8").replace(place, twice + place), "utf-8")
    after = [cell.id for cell in read_lesson(lesson).cells]
    assert [id for id in after if id in before] == before
    assert len(set(after)) == len(after) == len(before) + 2


def test_comments_stay_comments(course):
    notebook = read_lesson(course / "lessons" / "demo" / "01_bottleneck.py")
    assert notebook.cells[-1].source.startswith("# ls is a word here, and %matplotlib too")
    assert notebook.cells[0].source == "# A first look\n\nHalf is $\\frac{1}{2}$."


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
        ("# %%\n%matplotlib inline", "cell 1 .%matplotlib inline.: line 1 is not plain Python"),
        ("# %%\n1\n\n# %%\n!ls", "cell 2 .!ls.: line 1 is not plain Python"),
    ],
)
def test_a_lesson_with_a_mistake_is_refused(course, text, problem):
    lesson = lesson_with(course, text)
    with pytest.raises(LessonError, match=problem) as error:
        read_lesson(lesson)
    assert str(lesson) in str(error.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (ANSWER, "cannot use answer here"),
        ("# %% claim 2\npass", "cannot use title here"),
        ("# %% [markdown] claim\n# Hello", "claim belongs on a code cell"),
        ("# %%\n1\n\n# %% claim\nassert 1", "cell 2 .*a claim belongs directly below the text"),
    ],
)
def test_a_demo_with_a_wrong_mark_is_refused(course, text, problem):
    with pytest.raises(LessonError, match=problem):
        read_lesson(lesson_with(course, text, "demo"))


def test_only_named_lessons_are_built(course):
    lesson_with(course, "# %%\n1")
    build(course, ["02_more"])
    assert [path.name for path in course.rglob("*.ipynb")] == ["02_more.ipynb"] * 2
    with pytest.raises(LessonError, match="no lesson 03_less: choose from 01_bottleneck, 01_sums, 02_more"):
        build(course, ["03_less"])


# Demos


def test_a_demo_is_run_and_keeps_only_what_it_shows(course):
    build(course, ["01_bottleneck"])
    path = course / "demo" / "01_bottleneck.ipynb"
    first, second = code_of(nbformat.read(path, 4))
    assert [output.text for output in first.outputs] == ["3\n"]  # and nothing of the progress bar
    assert second.outputs[0].data == {"text/plain": "4"}
    assert (first.execution_count, second.execution_count) == (1, 2)
    assert not first.metadata and not second.metadata
    assert set(nbformat.read(path, 4).metadata) == {"kernelspec", "language_info"}
    content = path.read_bytes()
    build(course, ["01_bottleneck"])
    assert path.read_bytes() == content


def test_without_running_outputs_stay_while_the_code_does(course):
    lesson = course / "lessons" / "demo" / "01_bottleneck.py"
    path = course / "demo" / "01_bottleneck.ipynb"
    build(course, ["01_bottleneck"])
    lesson.write_text(lesson.read_text("utf-8").replace("once more", "a last time"), "utf-8")
    build(course, ["01_bottleneck"], execute=False)
    assert "a last time" in path.read_text("utf-8")
    assert code_of(nbformat.read(path, 4))[0].outputs
    lesson.write_text(lesson.read_text("utf-8").replace("range(3)", "range(4)"), "utf-8")
    build(course, ["01_bottleneck"], execute=False)
    assert not any(cell.outputs for cell in code_of(nbformat.read(path, 4)))


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import sys\nprint('oh', file=sys.stderr)", r"text on stderr \(oh\)"),
        ("object()", "an object's memory address"),
        ("import ipywidgets\nipywidgets.IntSlider()", "a widget"),
        ("print('long\\n' * 250_000)", "bytes, more than 1,000,000"),
    ],
)
def test_a_demo_that_should_not_be_shown_is_refused(course, code, problem):
    lesson_with(course, f"# %%\n{code}", "demo")
    with pytest.raises(LessonError, match=problem) as error:
        build(course, ["02_more"])
    assert "demo/02_more.ipynb" in str(error.value)
    assert not list(course.rglob("*.ipynb"))


# Claims and numbers

GAP = r"""# %% [markdown]
# # A gap of {gap:.1f}
#
# From {by_length[few]:.0f}% to {seeds[1]:d}: $\frac{a:b}{c}$, `{x:.1f}`, and {this} stays.

# %%
gap = 2.25

# %% [markdown]
# The gap is large.

# %% claim
assert gap > 2

# %% claim
import numpy
numbers |= {"gap": numpy.float32(gap), "by_length": {"few": 3}, "seeds": (4, 5)}

# %%
gap + 1
"""


@pytest.fixture(scope="module")
def gap(new_course):
    """A course with a demo that has claims, built."""
    folder = new_course()
    lesson_with(folder, GAP, "demo")
    build(folder, ["02_more"])
    return folder


def texts(folder):
    return [cell.source for cell in nbformat.read(folder / "demo" / "02_more.ipynb", 4).cells]


def rebuild(folder, before, after, execute=False):
    """Build the demo with a changed lesson, return its texts, and put everything back."""
    path = folder / "demo" / "02_more.ipynb"
    kept = path.read_bytes()
    lesson_with(folder, GAP.replace(before, after), "demo")
    try:
        build(folder, ["02_more"], execute)
        return texts(folder)
    finally:
        path.write_bytes(kept)
        lesson_with(folder, GAP, "demo")


def test_claims_are_run_and_left_out(gap):
    assert texts(gap) == [
        "# A gap of 2.2\n\nFrom 3% to 5: $\\frac{a:b}{c}$, `{x:.1f}`, and {this} stays.",
        "gap = 2.25",
        "The gap is large.",
        "gap + 1",
    ]
    notebook = nbformat.read(gap / "demo" / "02_more.ipynb", 4)
    assert [cell.execution_count for cell in code_of(notebook)] == [1, 2]
    assert notebook.metadata.claims.numbers == {"gap": 2.25, "by_length": {"few": 3}, "seeds": [4, 5]}


def test_a_claim_that_fails_stops_the_build_and_names_its_text(gap):
    with pytest.raises(LessonError) as error:
        rebuild(gap, "gap > 2", "gap > 3", execute=True)
    for part in ("demo/02_more.ipynb: a claim failed", "-> 1 assert gap > 3", "The gap is large.", "change"):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("{gap:.1f}", "{gop:.1f}", r"cannot fill in {gop:.1f} .*holds by_length, gap, seeds"),
        ("[few]", "[many]", r"cannot fill in {by_length\[many\]:.0f} "),
        ("seeds[1]:d", "seeds[1]:q", r"cannot fill in {seeds\[1\]:q} \(ValueError"),
    ],
)
def test_a_number_that_is_missing_is_an_error(gap, before, after, problem):
    with pytest.raises(LessonError, match=f"demo/02_more.ipynb: {problem}"):
        rebuild(gap, before, after)


def test_numbers_that_json_cannot_hold_are_an_error(gap):
    with pytest.raises(LessonError, match="numbers may hold finite numbers, strings, lists and dictionaries"):
        rebuild(gap, "numpy.float32(gap)", "numpy.nan", execute=True)


def test_without_running_the_numbers_of_the_last_run_are_filled_in(gap):
    assert rebuild(gap, "A gap of {gap:.1f}", "{gap:.2f}!")[0].startswith("# 2.25!")


def test_check_finds_a_changed_claim_and_a_changed_number(gap, capsys):
    build(gap)
    assert check(gap, capsys) == (0, "")
    lesson_with(gap, GAP.replace("gap > 2", "gap > 2.1"), "demo")
    unrun = "demo/02_more.ipynb was not run to its end with its lesson's claims: make notebooks\n"
    assert check(gap, capsys) == (1, unrun)
    lesson_with(gap, GAP, "demo")
    path = gap / "demo" / "02_more.ipynb"
    path.write_text(path.read_text("utf-8").replace("A gap of 2.2", "A gap of 2.3"), "utf-8")
    status, found = check(gap, capsys)
    assert status == 1 and "cell 1 (# A gap of 2.3) differs from its lesson in source" in found


# Comparing


def check(folder, capsys):
    capsys.readouterr()
    status = make_notebooks.main(["--check"], folder)
    return status, capsys.readouterr().out


def test_check_finds_what_was_edited_by_hand(course, capsys):
    build(course)
    assert check(course, capsys) == (0, "")

    def edit(path, change):
        kept = (course / path).read_bytes()
        notebook = nbformat.read(course / path, 4)
        change(notebook)
        nbformat.write(notebook, course / path)
        status, found = check(course, capsys)
        (course / path).write_bytes(kept)
        assert status == 1
        return found

    demo = "demo/01_bottleneck.ipynb"
    found = edit(demo, lambda notebook: notebook.cells[1].update(source="total = 7"))
    assert found == f"{demo}: cell 2 (total = 7) differs from its lesson in source\n"
    found = edit(SOLUTION, lambda notebook: notebook.cells[3].metadata.nbgrader.update(points=9))
    assert found.startswith(f"{SOLUTION}: cell 4 (assert double(2)") and "in metadata" in found
    assert "cell 9" in edit(STARTER, lambda n: n.cells.append(nbformat.v4.new_markdown_cell("mine")))
    assert "cell 8" in edit(STARTER, lambda notebook: notebook.cells.pop())
    assert "in execution_count" in edit(STARTER, lambda notebook: notebook.cells[1].update(execution_count=4))
    assert "metadata" in edit(STARTER, lambda notebook: notebook.metadata.update(title="mine"))
    assert "was not run to its end" in edit(demo, lambda n: n.cells[3].update(execution_count=None))
    assert check(course, capsys) == (0, "")


def test_check_leaves_readers_outputs_alone(course, capsys):
    build(course)
    path = course / "demo" / "01_bottleneck.ipynb"
    notebook = nbformat.read(path, 4)
    notebook.cells[1].update(outputs=[], execution_count=17)
    notebook.metadata.language_info.version = "3.11.9"
    nbformat.write(notebook, path)
    assert check(course, capsys) == (0, "")


def test_check_finds_missing_and_left_over_files(course, capsys):
    build(course)
    (course / "demo" / "01_bottleneck.ipynb").unlink()
    (course / "exercises" / "solution" / "01_sums" / "answers.py").write_text("42")
    (course / "demo" / ".ipynb_checkpoints").mkdir()
    (course / "demo" / ".ipynb_checkpoints" / "old.ipynb").write_text("{}")
    status, found = check(course, capsys)
    assert status == 1
    assert found.split("\n") == [
        "demo/01_bottleneck.ipynb is missing: make notebooks",
        "exercises/solution/01_sums/answers.py comes from no lesson: remove it",
        "",
    ]


# The committed notebooks


def test_the_committed_notebooks_are_built_from_the_lessons(capsys):
    assert check(ROOT, capsys) == (0, "")


def test_the_tree_is_linted():
    command = [sys.executable, "-m", "ruff", "check", "."]
    ruff = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ruff.returncode == 0, ruff.stdout


@pytest.mark.parametrize("name", EXERCISES)
def test_no_starter_gives_a_solution_away(name):
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
    starter = nbformat.read(ROOT / "exercises" / "starter" / name / f"{name}.ipynb", 4)
    assert not secret & {line.strip() for cell in starter.cells for line in cell.source.split("\n")}
    assert not any(cell.outputs for cell in code_of(starter))


def test_nothing_but_notebooks_lies_beside_the_solutions():
    beside = [path for path in (ROOT / "exercises" / "solution").rglob("*") if path.is_file()]
    assert {path.suffix for path in beside if ".ipynb_checkpoints" not in path.parts} <= {".ipynb"}


# Grading, by nbgrader's own commands


def nbgrader(folder, *command):
    command = [sys.executable, "-m", "nbgrader", *command]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def submit(folder, name, student, notebook):
    place = folder / "submitted" / student / name
    place.mkdir(parents=True)
    nbformat.write(notebook, place / f"{name}.ipynb")


def scores(folder, name):
    """By student: what each graded cell got of itself, None where a person is to read it."""
    with Gradebook(f"sqlite:///{folder}/gradebook.db", "attention") as gradebook:
        return {
            submission.student.id: {g.name: g.auto_score for n in submission.notebooks for g in n.grades}
            for submission in gradebook.assignment_submissions(name)
        }


def expected_scores(notebook, done):
    """What a submission should get that has the answers in `done` right, the first ones of the notebook."""
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


@pytest.fixture(scope="module", params=["01_sums", *EXERCISES])
def graded(request, new_course):
    """A course in which a right, an untouched and a half-done submission of one exercise were graded."""
    folder, name = new_course(), request.param
    if name in EXERCISES:
        shutil.copy(ROOT / "lessons" / "exercises" / f"{name}.py", folder / "lessons" / "exercises")
    build(folder, [name], execute=False)
    register(folder, [name])
    solution, starter, half = (
        nbformat.read(folder / "exercises" / kind / name / f"{name}.ipynb", 4)
        for kind in ("solution", "starter", "starter")
    )
    to_do = [cell for cell in solution.cells if cell.metadata.get("nbgrader", {}).get("solution")]
    done = {
        "right": {cell.id for cell in to_do},
        "untouched": set(),
        "half": {cell.id for cell in to_do[: len(to_do) // 2]},
    }
    answers = {cell.id: cell.source for cell in to_do}
    for cell in half.cells:
        if cell.id in done["half"]:
            cell.source = answers[cell.id]
    for student, notebook in [("right", solution), ("untouched", starter), ("half", half)]:
        submit(folder, name, student, notebook)
    nbgrader(folder, "autograde", name)
    nbgrader(folder, "generate_feedback", name)
    return SimpleNamespace(folder=folder, name=name, solution=solution, done=done)


def test_each_submission_gets_its_share(graded):
    found = scores(graded.folder, graded.name)
    assert found == {student: expected_scores(graded.solution, done) for student, done in graded.done.items()}
    points = {student: sum(filter(None, score.values())) for student, score in found.items()}
    assert points["right"] > points["half"] > points["untouched"] == 0


def test_feedback_reaches_each_student_without_hidden_tests(graded):
    parts = [split_region(cell.source, "HIDDEN TESTS") for cell in graded.solution.cells]
    shown = "\n".join(line for outside, _ in parts for line in outside)
    secret = {line.strip() for _, inside in parts for line in inside if line.strip() not in shown}
    assert secret
    for student in graded.done:
        text = (graded.folder / "feedback" / student / graded.name / f"{graded.name}.html").read_text("utf-8")
        text = html.unescape(re.sub("<[^>]+>", "", text[text.index("<body>") :]))
        assert f"{graded.name} (Score: " in text and "tests that you cannot see" in text
        assert [line for line in secret if line in text] == []


def test_registering_again_keeps_the_scores(graded):
    before = scores(graded.folder, graded.name)
    lesson = graded.folder / "lessons" / "exercises" / f"{graded.name}.py"
    lesson.write_text(lesson.read_text("utf-8") + "\n# %% [markdown]\n# Well done.\n", "utf-8")
    register(graded.folder, [graded.name])
    assert scores(graded.folder, graded.name) == before
    lesson.write_text(lesson.read_text("utf-8") + '\n# %% test="one_more" points=1\nassert True\n', "utf-8")
    with pytest.raises(LessonError, match="nbgrader did not make the starter"):
        register(graded.folder, [graded.name])
    assert scores(graded.folder, graded.name) == before
    assert (graded.folder / "exercises" / "starter" / graded.name / f"{graded.name}.ipynb").exists()
