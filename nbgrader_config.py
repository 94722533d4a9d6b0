"""How nbgrader grades this course. All nbgrader commands, Formgrader and Validate read this file."""

import os
import sys

c = get_config()

c.CourseDirectory.course_id = "attention"
here = os.path.dirname(os.path.abspath(__file__))
c.CourseDirectory.root = os.environ.get("ATTENTION_CLASS") or here  # `course formgrader` shows another folder
c.CourseDirectory.source_directory = os.path.relpath(f"{here}/exercises/solution", c.CourseDirectory.root)
c.CourseDirectory.release_directory = "exercises/starter"

c.ClearSolutions.code_stub = {"python": "raise NotImplementedError"}
c.ClearSolutions.text_stub = "*Write your answer here.*"

c.Execute.timeout = 180  # seconds per cell: some cells train a model, and the machine may be busy
# nbgrader scores a test cell 0 if it writes anything to stderr, so a warning would cost a correct answer its
# points. Redirect stderr to stdout: the text stays visible, and only an error fails a test.
one_stream = "import os, sys; os.dup2(1, 2); sys.stderr = sys.stdout"
c.Execute.extra_arguments = [f"--IPKernelApp.exec_lines={one_stream}"]

# Students read the feedback, so it leaves out hidden tests.
c.GenerateFeedback.preprocessors = [
    "nbgrader.preprocessors.GetGrades",
    "grading.pipeline.feedback.LeaveOutHiddenTests",
    "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
]

# Formgrader's button Autograde grades in the sandbox: nbgrader would run students' code unprotected.
if "nbgrader.server_extensions.formgrader.formgrader" in sys.modules:
    from grading.pipeline import formgrader

    formgrader.route()

# What lateness costs is in deadlines.toml.
c.AssignLatePenalties.plugin_class = "grading.pipeline.deadlines.DeadlinesPlugin"

# Feedback and Formgrader show students' text to others: sanitize it, so their scripts don't run.
c.HTMLExporter.sanitize_html = True
c.HTMLExporter.filters = {"markdown2html": "grading.pipeline.feedback.markdown"}
