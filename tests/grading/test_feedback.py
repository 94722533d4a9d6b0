"""Feedback tells a student what failed, and keeps hidden tests hidden."""

import nbformat
from nbclient import NotebookClient

from grading.feedback import NOTE, LeaveOutHiddenTests

TEST = """import warnings
assert double(2) == 4, "2 becomes 4"
# BEGIN HIDDEN TESTS
def helper(x):
    warnings.warn("careful", stacklevel=2)
    return double(x)
assert helper(4.125) == 8.25, "larger numbers too"
# END HIDDEN TESTS"""


def feedback(answer):
    """The answer's and the test's cell after running both and leaving hidden tests out."""
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in (answer, TEST)])
    NotebookClient(nb, kernel_name="python3", allow_errors=True).execute()
    return LeaveOutHiddenTests().preprocess(nb, {})[0].cells


def text_of(cell):
    return "\n".join(
        "\n".join(output.get("traceback", [])) + output.get("text", "") for output in cell.outputs
    )


def test_a_failed_hidden_test_shows_its_message_only():
    answer, test = feedback("def double(x):\n    return 4")
    assert test.source == f'import warnings\nassert double(2) == 4, "2 becomes 4"\n{NOTE}'
    shown = text_of(test)
    assert "larger numbers too" in shown and "careful" in shown
    assert "4.125" not in shown and "helper(" not in shown


def test_a_failed_visible_test_is_shown():
    answer, test = feedback("def double(x):\n    return {}[x]")
    shown = text_of(test)
    assert "2 becomes 4" in shown and "return" in shown and "KeyError" in shown
    assert "HIDDEN" not in shown and "helper" not in shown


def test_a_line_that_students_wrote_too_is_no_secret():
    answer, test = feedback(
        "def helper(x):\n    return double(x)\n\ndef double(x):\n    return helper(x + '')"
    )
    assert "return double(x)" in answer.source
    assert "helper(x + " in text_of(test)


def test_other_cells_stay_as_they_are():
    answer, _ = feedback("def double(x):\n    return x + x\nprint(double(3))")
    assert answer.source.startswith("def double") and answer.outputs[0].text == "6\n"
