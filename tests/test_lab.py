"""JupyterLab as `make lab` opens it, in a browser: a student, an instructor and a reader at work."""

import html
import platform
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import pytest
import requests
from nbgrader.api import Gradebook
from playwright.sync_api import expect

from examples.make_class import KEYS_AS_VALUES, MASK_IGNORED, NAME, NEARLY, graded, notebook
from grading.pipeline.run import Run
from make_notebooks import code_cells
from tests.grading.pipeline.test_run import hand_in
from tests.grading.points import ALL, MOST, POINTS, without
from tests.test_lessons import fastest

ROOT = Path(__file__).resolve().parents[1]
LESSON = "01_bottleneck"
DEMO, EXERCISE = f"my/demo/{LESSON}.ipynb", f"my/exercises/{NAME}.ipynb"  # the reader's copies
SOLUTION, STARTER = (f"exercises/{kind}/{NAME}/{NAME}.ipynb" for kind in ("solution", "starter"))
PATIENCE = 120_000  # milliseconds, for what starts a kernel or runs an exercise on a busy machine


@pytest.fixture(scope="module")
def lab(lab):
    """The small course, with the real second exercise in it, as a git repository without changes."""
    for path in (SOLUTION, STARTER):
        (lab.course / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, lab.course / path)
    shutil.copy(ROOT / ".gitignore", lab.course)
    git(lab, "init", "--quiet")
    (lab.course / ".git" / "info" / "exclude").write_text("home/\nlab.log\n")
    git(lab, "add", ".")
    git(lab, "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "--quiet", "--message=x")
    return lab


def git(lab, *arguments):
    done = subprocess.run(["git", *arguments], cwd=lab.course, check=True, capture_output=True, text=True)
    return done.stdout


def save(page, path):
    with page.expect_response(lambda answer: answer.request.method == "PUT" and path in answer.url):
        page.get_by_role("button", name="Save and create checkpoint").click()


@pytest.fixture
def asked(page):
    """The machines that a page asks for something. Only this one answers."""
    machines = set()
    for event in ("request", "websocket"):  # a picture that lies in the page itself has no machine
        page.on(event, lambda found: machines.update({urlsplit(found.url).hostname} - {None}))
    page.route(re.compile(r"^https?://(?!localhost[:/])"), lambda route: route.abort())
    return machines


def api(lab, method, where):
    headers = {"Authorization": "token token"}
    answer = requests.request(method, lab.url + where, headers=headers, timeout=60)
    assert answer.ok, answer.text
    return answer.json()


def show(lab, page, path):
    """Open a notebook, and wait for its kernel."""
    page.goto(f"{lab.url}lab/tree/{path}?token=token&reset")
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=PATIENCE)


def sources(path):
    return {cell.id: cell.source for cell in nbformat.read(path, 4).cells}


def test_lab_runs_this_python_and_nbgraders_extensions(lab):
    kernels = api(lab, "GET", "api/kernelspecs")["kernelspecs"]
    assert kernels["python3"]["spec"]["display_name"] == "Python 3 (ipykernel)"
    assert {found["name"] for found in api(lab, "GET", "formgrader/api/assignments")} == {"01_sums", NAME}
    starter = (lab.course / STARTER).read_bytes()
    assert api(lab, "POST", f"formgrader/api/assignment/{NAME}/assign")["success"]
    assert (lab.course / STARTER).read_bytes() == starter and (lab.course / "gradebook.db").exists()


# A student


def validate(page, verdict):
    """Press Validate; return the text of its answer, in which the verdict stands."""
    page.get_by_text("Validate").locator("visible=true").click()
    answer = page.locator(".jp-Dialog")
    answer.get_by_text(verdict).first.wait_for(timeout=PATIENCE)
    text = answer.inner_text()
    answer.get_by_role("button", name="Ok").click()
    return text


def test_validate_names_what_fails_and_passes_what_is_right(lab, page, asked):
    tests = {name: source for name, source in sources(lab.course / STARTER).items() if "test_" in name}
    failed, passed = "The following cell failed:", "Success! Your notebook passes all the tests."
    show(lab, page, EXERCISE)
    told = validate(page, failed)
    assert told.count(failed) == len(tests) + 1 == 1 + len(POINTS)  # the written answer, too
    assert all(source in told for source in tests.values())
    assert told.count(": It is not written yet") == len(POINTS)
    assert told.count("You did not provide a response.") == 1
    assert passed not in told

    mine = "my/mine.ipynb"
    nbformat.write(notebook({"masked_softmax": MASK_IGNORED}), lab.course / mine)
    show(lab, page, mine)
    told = validate(page, failed)
    assert told.count(failed) == 1 and tests["test_masked_softmax"] in told
    assert "masked_softmax: The mask isn't used, so padding receives weight" in told

    answer = graded(nbformat.read(lab.course / SOLUTION, 4))["masked_softmax"]
    page.locator(".jp-CodeCell", has_text="def masked_softmax(scores, mask):").locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(answer)
    assert failed not in validate(page, passed)
    assert sources(lab.course / mine)["masked_softmax"] == answer
    assert git(lab, "status", "--porcelain") == ""
    assert asked == {"localhost"}


# An instructor


def test_formgrader_opens_a_graded_submission_and_keeps_a_persons_points(lab, page, asked, here):
    hand_in(lab.course, "emre", notebook({"masked_softmax": NEARLY, "attend": KEYS_AS_VALUES}))
    with here():
        Run(NAME, lab.course).grade()

    show(lab, page, "exercises/starter/01_sums/01_sums.ipynb")
    page.get_by_role("menuitem", name="Nbgrader").click()
    page.get_by_role("menuitem", name="Formgrader").click()
    inside = page.frame_locator("iframe")

    def row(name):
        found = inside.locator("tr", has=inside.get_by_text(name, exact=True))
        found.wait_for()
        return found

    assert row("01_sums").is_visible()
    row(NAME).get_by_role("link", name="1", exact=True).click()  # one submission
    emre = row("emre")
    scored = without("masked_softmax", "attend") + 2.25
    assert f"{scored:g} / {ALL:g}" in emre.inner_text() and "needs manual grading" in emre.inner_text()
    emre.get_by_role("link").first.click()
    row(NAME).get_by_role("link").first.click()

    inside.locator("#why_attention.needs_manual_grade").wait_for()  # the points have come
    points = inside.locator("input.score").evaluate_all("all => all.map(box => [box.id, box.placeholder])")
    right = ("dot_score", "scaled_dot_score", "MultiplicativeScore", "AdditiveScore")
    wrong = {"test_masked_softmax": "2.25", "test_attend": "0"}
    earned = {f"test_{name}": f"{POINTS[name]:g}" for name in right}
    assert dict(points) == earned | wrong | {"why_attention": ""}
    said = [("masked_softmax", "~ 2.25", "such a row should be zeros"), ("attend", "✗ 0", "made of the keys")]
    for name, sign, mistake in said:
        inside.locator(f"#{name}-comment[placeholder*='{mistake}']").wait_for()
        shown = re.compile(f"{sign} of {POINTS[name]:g} points\n.*{mistake}")
        assert inside.locator("pre", has_text=shown).is_visible()
    assert inside.get_by_text("A weight of 0.8 does not prove that the word was the cause").is_visible()

    given, said = inside.locator("#why_attention"), inside.locator("#why_attention-comment")
    for box, text, kind in [(given, "2", "grade"), (said, "Well put. What else may it be?", "comment")]:
        box.fill(text)
        with page.expect_response(f"**/formgrader/api/{kind}/*") as saved:
            box.blur()
        assert saved.value.ok
    inside.get_by_role("link", name=NAME).nth(1).click()
    assert f"{scored + 2:g} / {ALL:g}" in row(f"{scored:g} / {MOST:g}").inner_text()
    inside.get_by_role("link", name="Submission #1").click()
    expect(given).to_have_value("2", timeout=PATIENCE)
    expect(said).to_have_value("Well put. What else may it be?", timeout=PATIENCE)
    with Gradebook(f"sqlite:///{lab.course}/gradebook.db") as gradebook:
        submission = gradebook.find_submission(NAME, "emre")
        assert (submission.score, submission.needs_manual_grade) == (scored + 2, False)
        assert gradebook.find_grade("why_attention", NAME, NAME, "emre").manual_score == 2
        comment = gradebook.find_comment("why_attention", NAME, NAME, "emre")
        assert comment.manual_comment == "Well put. What else may it be?"
    assert asked <= {"localhost", "cdnjs.cloudflare.com"}  # Formgrader's page wants MathJax, and does without


# A reader


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


EMPTY = {"outputs": [], "execution_count": None}  # all that running and saving a notebook may change


def printed(cells):
    return "".join(o.text for cell in cells for o in cell.outputs if o.output_type == "stream")


ERRORS = ".jp-CodeCell [data-mime-type='application/vnd.jupyter.stderr']"  # a traceback is shown as this
ENDED = """errors => document.querySelector(errors) ||
    [...document.querySelectorAll(".jp-CodeCell .jp-InputArea-prompt")].every(
        prompt => /\\d/.test(prompt.textContent))"""


def test_a_reader_runs_the_first_lesson_whole(lab, page, asked):
    path = lab.course / DEMO
    lesson = nbformat.read(path, 4)
    outputs = [output.get("data", {}) for cell in code(lesson) for output in cell.outputs]
    shown = "".join(data.get("text/html", "") for data in outputs)
    alts = [html.unescape(alt) for alt in re.findall(r'<img[^>]* alt="([^"]+)"', shown)]
    for cell in code(lesson):  # without outputs, so all that are there in the end are of this run
        cell.update(source=fastest(cell.source), outputs=[], execution_count=None)
    nbformat.write(lesson, path)

    show(lab, page, DEMO)
    page.get_by_role("heading", name="01 · The bottleneck").wait_for()
    assert page.get_by_text("Jupyter news").count() == 0
    expect(page.locator(".jp-CodeCell")).to_have_count(len(code(lesson)), timeout=PATIENCE)
    page.get_by_role("button", name="Restart the kernel and run all cells").click()
    page.get_by_role("button", name="Confirm Kernel Restart").click()
    page.locator(".jp-CodeCell .widget-hprogress").wait_for(timeout=PATIENCE)  # a live progress bar
    page.wait_for_function(ENDED, arg=ERRORS, timeout=720_000, polling=500)
    assert page.locator(ERRORS).all_text_contents() == []
    save(page, DEMO)
    assert git(lab, "status", "--porcelain") == ""

    saved = nbformat.read(path, 4)
    lesson.metadata.language_info.version = platform.python_version()  # the committed one may be another's
    assert saved.metadata == lesson.metadata
    for cell in code_cells(lesson):
        cell.metadata.pop("jupyter", None)  # running a cell opens its hidden output
    assert [dict(cell, **EMPTY) for cell in saved.cells] == [dict(cell, **EMPTY) for cell in lesson.cells]
    run = code(saved)
    assert [cell.execution_count for cell in run] == list(range(1, len(run) + 1))
    assert not {output.output_type for cell in run for output in cell.outputs} & {"error"}
    while page.locator(".jp-OutputPlaceholder").count():  # the outputs that answer a question
        page.locator(".jp-OutputPlaceholder").first.click()
    last = printed(run[-1:])
    assert last.strip() in page.locator(".jp-CodeCell .jp-OutputArea").last.text_content()
    pictures = page.locator(".jp-CodeCell .jp-OutputArea img")
    seen = pictures.evaluate_all("all => all.map(picture => [picture.alt, picture.naturalWidth > 100])")
    assert seen == [[alt, True] for alt in alts] and seen
    assert asked == {"localhost"}
