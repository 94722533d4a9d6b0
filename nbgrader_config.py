"""How nbgrader grades this course. Read by every nbgrader command, by Formgrader and by Validate."""

import os

c = get_config()

c.CourseDirectory.course_id = "attention"
c.CourseDirectory.root = os.path.dirname(os.path.abspath(__file__))
c.CourseDirectory.source_directory = "exercises/solution"
c.CourseDirectory.release_directory = "exercises/starter"

c.ClearSolutions.code_stub = {"python": "raise NotImplementedError"}
c.ClearSolutions.text_stub = "*Write your answer here.*"

c.Execute.timeout = 180  # seconds a cell: some train a model, and the machine may be busy
# nbgrader gives 0 to a test cell with any text on stderr, so that a right answer that warns would lose its
# points. Here stderr joins stdout: the text is still seen, and only an error fails a test.
one_stream = "import os, sys; os.dup2(1, 2); sys.stderr = sys.stdout"
c.Execute.extra_arguments = [f"--IPKernelApp.exec_lines={one_stream}"]

# Feedback goes to students: it leaves hidden tests out.
c.GenerateFeedback.preprocessors = [
    "nbgrader.preprocessors.GetGrades",
    "grading.feedback.LeaveOutHiddenTests",
    "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
]

# For zip_collect: how Canvas (name_number_file_notebook) and Moodle (name_number_assignsubmission_file) name
# what was handed in. Two students may share a name, so they are called by the number.
c.FileNameCollectorPlugin.named_regexp = (
    r".*/[^/]*?_(?:LATE_)?(?P<student_id>\d+)_(?:\d+|assignsubmission_file)[_/]"
    r"(?P<file_id>\d\d_[a-z_]+?)(?:-\d+)?\.ipynb$"
)

# What students wrote is shown to others, in feedback and in Formgrader: no script of theirs runs there.
c.HTMLExporter.sanitize_html = True
c.HTMLExporter.filters = {"markdown2html": "grading.feedback.markdown"}
