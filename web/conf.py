"""How Sphinx makes the web edition out of the pages that web/build.py lays out."""

import re

from docutils.nodes import SkipNode
from latex2mathml.converter import convert

project = html_title = "Attention, taught so that it can be seen"
author = "The attention course authors"
copyright = f"{author}: code MIT, text CC BY 4.0"
language = "en"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.githubpages"]

# Pages and notebooks. Nothing is run: a lesson's outputs are those in its notebook.
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["README.md", "results"]  # included in pages, in parts
suppress_warnings = ["myst.header"]  # in a notebook ### below the title is a size, not a level
nitpicky = True

# The API, from docstrings.
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False  # torch's sentences are not ours
autodoc_typehints = "none"

# The look. No font, script or style comes from elsewhere.
highlight_language = "none"  # a listing without a language may be a drawing
html_theme = "furo"
html_static_path, templates_path = ["_static"], ["_templates"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_logo = html_favicon = "_static/logo.svg"
html_copy_source = html_show_sourcelink = False
html_use_index = html_domain_indices = False  # the search finds more
html_math_renderer = "mathml"


def known(formula):
    """A formula as latex2mathml gets it right: no \\_ in \\text, room around \\ln and \\log, no \\arg."""
    formula = re.sub(r"\\text\{[^{}]*\}", lambda words: words[0].replace(r"\_", "_"), formula)
    formula = re.sub(r"\\(ln|log)\s+(?!\\left)", r"\\,\\\1\\,", formula)
    return re.sub(r"\\arg\b", r"\\operatorname{arg}", formula)


def docstring_to_rst(app, what, name, obj, options, lines):
    """Read a docstring as it was meant: `name` is code, an indented block is a listing, the rest is text."""
    listing, before = False, ""
    for number, line in enumerate(lines):
        if line.strip():
            starts = line.startswith("    ") and not before.strip()
            if starts and not listing:
                lines[number] = f"::\n\n{line}"
            listing = line.startswith("    ") and (starts or listing)
            if not listing:
                parts = re.split(r"(`[^`]+`)", line)
                parts[::2] = [re.sub(r"([*|\\]|_\b)", r"\\\1", text) for text in parts[::2]]
                parts[1::2] = [f"`{code}`" for code in parts[1::2]]
                lines[number] = "".join(parts)
        before = line
    lines[:] = "\n".join(lines).split("\n")


def mathml(display, element):
    """Two functions, as Sphinx wants them, that write a formula as MathML, which browsers draw themselves."""

    def visit(writer, node):
        formula = convert(known(node.astext()), display=display)
        writer.body.append(f'<{element} class="math">{formula}</{element}>')
        raise SkipNode

    return visit, None


def mend(app, pagename, templatename, context, doctree):
    """Tell screen readers what headings are: captions of the sidebar are, empty corners of tables are not."""
    context["furo_navigation_tree"] = context["furo_navigation_tree"].replace(
        'role="heading"', 'role="heading" aria-level="2"'
    )
    if "body" in context:
        context["body"] = context["body"].replace('<th class="head"><p></p></th>', '<td class="head"></td>')


def setup(app):
    app.connect("html-page-context", mend, priority=900)  # after the theme
    app.connect("autodoc-process-docstring", docstring_to_rst)
    app.add_html_math_renderer("mathml", mathml("inline", "span"), mathml("block", "div"))
