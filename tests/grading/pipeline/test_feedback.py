"""Feedback tells a student what failed, and keeps hidden tests hidden."""

import re

import nbformat
import pytest
from nbclient import NotebookClient

from grading.pipeline.feedback import NOTE, LeaveOutHiddenTests, markdown

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


@pytest.mark.parametrize(
    ("source", "html"),
    [
        ("**a** <script>b()</script>", "<p><strong>a</strong> &lt;script&gt;b()&lt;/script&gt;</p>"),
        ("<SCRIPT>alert(1)</SCRIPT>", "&lt;SCRIPT&gt;alert(1)&lt;/SCRIPT&gt;"),
        ("the token <pad>, `<pad>`", "<p>the token &lt;pad&gt;, <code>&lt;pad&gt;</code></p>"),
        ("<b style='color: red' onclick='x()'>a</b>", "<p><b>a</b></p>"),
        ("<p title='<script>x</script>'>a</p>", '<p title="&lt;script&gt;x&lt;/script&gt;">a</p>'),
        ("<img src=x onerror=alert(1)>", "<img>"),
        ("![a](https://server.example/a.png)", '<p><img alt="a"></p>'),
        ("![a](data:image/svg+xml;base64,AAAA)", '<p><img alt="a"></p>'),
        ("![a](data:image/png;base64,AAAA)", '<p><img src="data:image/png;base64,AAAA" alt="a"></p>'),
        ("[a](javascript:alert(1))", "<p><a>a</a></p>"),
        ("<a href=' Java\nScript:alert(1)'>a</a>", "<p><a>a</a></p>"),
        ("<a href='da\tta:text/html,a'>a</a>", "<p><a>a</a></p>"),
        ("[a](HTTPS://a.example) [b](#b)", '<p><a href="HTTPS://a.example">a</a> <a href="#b">b</a></p>'),
        ("a<!-- b -->", "<p>a</p>"),
    ],
)
def test_markdown_runs_nothing_loads_nothing_and_keeps_the_text(source, html):
    assert markdown(source).strip() == html


def test_markdown_keeps_tables_code_and_formulas():
    html = markdown("| a |\n| --- |\n| 1 |\n\n```python\nx<1\n```\n\n$x<1$")
    assert re.findall(r"<t[hd]>(.)", html) == ["a", "1"]
    assert '<span class="o">&lt;</span>' in html and "$x&lt;1$" in html
