"""Sphinx's settings for the web edition. Its pages come from web/build.py."""

import os
import re
from html import escape
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert
from markupsafe import Markup

project = html_title = "Attention, taught so that it can be seen"
author = "The attention course authors"
copyright = f"{author}: code MIT, text CC BY 4.0"
language = "en"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.githubpages"]

# Pages and notebooks. Nothing is executed: a page shows the outputs stored in its notebook.
nb_execution_mode = "off"
nb_code_prompt_show, nb_code_prompt_hide = "Show the {type}", "Hide the {type}"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["README.md", "results"]  # other pages include parts of these
suppress_warnings = ["myst.header"]  # notebooks use ### below the title for a smaller heading
nitpicky = True

# The API, from docstrings.
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False  # leave out torch's docstrings
autodoc_typehints = "none"
autodoc_preserve_defaults = True  # a folder as a default must not show where the site was built

# Appearance. Fonts, scripts and styles are all part of the site.
highlight_language = "none"  # code blocks without a language may be drawings
html_theme = "furo"
html_static_path, templates_path = ["_static"], ["_templates"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_logo = html_favicon = "_static/logo.svg"
html_baseurl = os.environ.get("SITE_URL", "")  # messengers need it to find the picture of a page
html_copy_source = html_show_sourcelink = False
html_use_index = html_domain_indices = False  # the search covers more
html_math_renderer = "mathml"


def supported(formula):
    """Rewrite what latex2mathml gets wrong: \\_ in \\text, the space around \\ln and \\log, and \\arg."""
    formula = re.sub(r"\\text\{[^{}]*\}", lambda words: words[0].replace(r"\_", "_"), formula)
    formula = re.sub(r"\\(ln|log)\s+(?!\\left)", r"\\,\\\1\\,", formula)
    return re.sub(r"\\arg\b", r"\\operatorname{arg}", formula)


def docstring_to_rst(app, what, name, obj, options, lines):
    """Turn a docstring into reStructuredText: `name` is code, an indented block a listing, the rest text."""
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
    """Return the two functions of a Sphinx math renderer that writes MathML, which browsers display."""

    def visit(writer, node):
        formula = convert(supported(node.astext()), display=display)
        writer.body.append(f'<{element} class="math">{formula}</{element}>')
        raise nodes.SkipNode

    return visit, None


def correct_headings(app, pagename, templatename, context, doctree):
    """Correct the markup for screen readers: sidebar captions are headings, empty table corners are not."""
    context["furo_navigation_tree"] = context["furo_navigation_tree"].replace(
        'role="heading"', 'role="heading" aria-level="2"'
    )
    if "body" in context:
        context["body"] = context["body"].replace('<th class="head"><p></p></th>', '<td class="head"></td>')


GLOSSARY = re.findall(
    r"^\| (.+?) \| (.+) \|[^|]*\|$", Path(__file__).with_name("glossary.md").read_text("utf-8"), re.M
)
TERMS = {
    word: (term, re.sub("[`$]", "", text)) for term, text in GLOSSARY[2:] for word in term.lower().split(", ")
}


def link_terms(app, doctree, docname):
    """Link bold terms to the glossary, with their meaning as a tooltip."""
    if docname == "glossary":
        for row in doctree.findall(nodes.row):
            row["ids"] = [nodes.make_id(f"term {row[0].astext()}")]
        return
    for node in list(doctree.findall(nodes.strong)):
        found = TERMS.get(node.astext().lower()) or TERMS.get(node.astext().lower().removesuffix("s"))
        if found and not isinstance(node.parent, nodes.reference):
            term, meaning = found
            page = app.builder.get_relative_uri(docname, "glossary")
            target = f"{page}#{nodes.make_id(f'term {term}')}"
            link = nodes.reference("", "", internal=True, refuri=target, reftitle=meaning)
            node.replace_self(link)
            link += node


def describe(app, pagename, templatename, context, doctree):
    """Add what search engines and messengers show of a page: its title and its first paragraph."""
    if doctree is None:
        return
    texts = (" ".join(node.astext().split()) for node in doctree.findall(nodes.paragraph))
    about = next((text for text in texts if len(text) > 60), html_title)
    title = Markup(context["title"]).striptags()
    tags = {"description": about[:200], "og:title": title, "og:type": "website"}
    tags |= {"og:description": about[:200], "og:site_name": html_title}
    card = "_static/card.png"
    tags["og:image"] = f"{html_baseurl.rstrip('/')}/{card}" if html_baseurl else context["pathto"](card, 1)
    tags["twitter:card"] = "summary_large_image"
    context["metatags"] += "".join(
        f'\n<meta {"property" if name[:3] == "og:" else "name"}="{name}" content="{escape(text)}">'
        for name, text in tags.items()
    )


def setup(app):
    """Connect the functions above to Sphinx."""
    app.connect("html-page-context", correct_headings, priority=900)  # runs after the theme
    app.connect("html-page-context", describe)
    app.connect("doctree-resolved", link_terms)
    app.connect("autodoc-process-docstring", docstring_to_rst)
    app.add_html_math_renderer("mathml", mathml("inline", "span"), mathml("block", "div"))
