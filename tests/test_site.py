"""The web edition: every page, in a browser that cannot reach any other server.

With --slow, axe checks every page; without it, one of each kind.
"""

import html
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urljoin, urlsplit

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

from grading.pipeline.lessons import MISTAKES, SECTIONS, Section
from make_notebooks import code_cells
from web.build import ROOT, drawn, relinked
from web.charts import CHARTS

LESSONS = sorted(ROOT.glob("demo/*.ipynb"))
EXERCISES = sorted(ROOT.glob("exercises/solution/*/*.ipynb"))
WIDE, NARROW = {"width": 1300, "height": 900}, {"width": 360, "height": 800}
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site, built by the command of `make site`."""
    folder = tmp_path_factory.mktemp("web")
    command = [sys.executable, str(ROOT / "web" / "build.py"), str(folder)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder / "site"


class Page(HTMLParser):
    """A page's links, the files it loads, its ids, and its text, shown and folded."""

    def __init__(self, file):
        super().__init__()
        self.links, self.loads, self.ids, self.shown, self.folded = [], [], set(), "", ""
        self.inside, self.title = [], ""
        self.feed(file.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids |= {attrs["id"]} if "id" in attrs else set()
        if tag == "a" and "href" in attrs:
            self.links.append(attrs["href"])
        elif {"src", "href"} & set(attrs):
            self.loads.append(attrs.get("src") or attrs["href"])
        if tag not in VOID:
            self.inside.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.inside.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data):
        if "h1" in self.inside:
            self.title += data
        if "details" in self.inside and "summary" not in self.inside:
            self.folded += data
        else:
            self.shown += data


@pytest.fixture(scope="module")
def pages(site):
    """Every page of the site by its path."""
    return {file.relative_to(site).as_posix(): Page(file) for file in sorted(site.rglob("*.html"))}


# Content


def text_of(source):
    """A text without white space, which a page may change."""
    return "".join(source.split())


@pytest.mark.parametrize("file", LESSONS, ids=lambda file: file.stem)
def test_a_lesson_shows_all_its_outputs(site, pages, file):
    page = pages[f"lessons/{file.stem}.html"]
    shown, folded = text_of(page.shown), text_of(page.folded)
    raw, notebook = (site / "lessons" / f"{file.stem}.html").read_text("utf-8"), nbformat.read(file, 4)
    for cell in code_cells(notebook):
        assert text_of(cell.source) in shown
        for output in cell.outputs:
            if output.output_type == "stream":
                hidden = "hide-output" in cell.metadata.get("tags", ())
                assert text_of(output.text) in (folded if hidden else shown)
            else:
                assert output.data["text/html"] in raw
    assert "the course is missing" not in page.shown + page.folded
    assert page.title.startswith(notebook.cells[0].source.splitlines()[0].lstrip("# "))
    assert file.read_bytes() in downloads(site, page)


def downloads(site, page):
    """The notebooks that a page links to."""
    links = [link for link in page.links if link.endswith(".ipynb")]
    return [(site / "lessons" / unquote(link)).resolve().read_bytes() for link in links]


@pytest.mark.parametrize("file", EXERCISES, ids=lambda file: file.stem)
def test_an_exercise_folds_its_solutions_and_offers_the_starter(site, pages, file):
    page = pages[f"exercises/{file.stem}.html"]
    starter = ROOT / "exercises" / "starter" / file.stem / file.name
    shown, folded = text_of(page.shown), text_of(page.folded)
    solved, given = (nbformat.read(path, 4).cells for path in (file, starter))
    handed_out = text_of("".join(cell.source for cell in given))
    answers = 0
    for theirs, ours in zip(solved, given, strict=True):
        if ours.cell_type == "code":
            place = folded if "test" in ours.id and ours.metadata.get("nbgrader") else shown
            assert text_of(ours.source) in place
        grading = theirs.metadata.get("nbgrader", {})
        if grading.get("solution") and theirs.cell_type == "code":
            answers += 1
            lines = set(theirs.source.splitlines()) - set(ours.source.splitlines())
            lines = [text_of(line) for line in lines if "### " not in line]
            assert len(lines) > 0 and all(line in folded for line in lines)
            secret = [line for line in lines if len(line) > 50 and line not in handed_out]
            assert not [line for line in secret if line in shown]
    assert answers > 1 and page.shown.count("A solution") == answers
    assert downloads(site, page) == [starter.read_bytes()]
    written = [cell for cell in solved if cell.cell_type == "markdown" and cell.metadata]
    assert page.shown.count("A possible answer, and how it is graded") == len(written)
    assert ("Rubric" in page.folded) == bool(written) and "Rubric" not in page.shown
    assert "HIDDEN TESTS" not in page.shown + page.folded


def test_every_page_can_be_reached_from_home(pages):
    seen, new = set(), {"index.html"}
    while new:
        seen |= new
        targets = (urlsplit(urljoin(name, link)).path for name in new for link in pages[name].links)
        new = {target for target in targets if target in pages} - seen
    assert seen == set(pages) - {"search.html"}  # the search box leads there
    assert {f"lessons/{file.stem}.html" for file in LESSONS} < seen
    assert {f"exercises/{file.stem}.html" for file in EXERCISES} < seen


def test_no_link_inside_the_site_is_broken(site, pages):
    broken, inside = [], 0
    for name, page in pages.items():
        for link in page.links + page.loads:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            inside += 1
            target = urlsplit(urljoin(name, parts.path)).path if parts.path else name
            anchor = unquote(parts.fragment)
            if not (site / unquote(target)).is_file():
                broken.append(f"{name}: {link}")
            elif anchor and target in pages and anchor not in pages[target].ids:
                broken.append(f"{name}: {link}, which has no such anchor")
    assert inside > 1000
    assert broken == []


def test_feedback_leads_to_sections_that_the_site_has(pages):
    places = {*SECTIONS.values(), *(place for *_, place in MISTAKES)}
    targets = [Section(*place).page.partition("#") for place in sorted(places)]
    assert len(targets) > 15
    assert [place for place in targets if place[2] not in pages[place[0]].ids] == []


def test_a_link_to_a_missing_file_is_an_error():
    readme = ROOT / "README.md"
    assert relinked("[a](https://a.example/b)", readme, {}) == "[a](https://a.example/b)"
    places = {readme: Path("/pages/README.md"), ROOT / "demo" / "x.ipynb": Path("/pages/lessons/x.ipynb")}
    with pytest.raises(FileNotFoundError, match="README.md links to demo/x.ipynb"):
        relinked("see [x](demo/x.ipynb)", readme, places)


def test_no_page_names_the_folder_where_it_was_built(site):
    texts = [file for file in site.rglob("*") if file.suffix in {".html", ".js", ".css", ".ipynb", ".inv"}]
    assert len(texts) > 60
    for folder in (str(ROOT), str(site.parent), str(Path.home()) + "/"):
        assert [file.name for file in texts if folder.encode() in file.read_bytes()] == []


def test_every_formula_is_converted(site, pages):
    """latex2mathml copies commands that it does not know."""
    displayed = 0
    for name in pages:
        for part in (site / name).read_text("utf-8").split("<math ")[1:]:
            formula = html.unescape(part.partition("</math>")[0])
            assert "\\" not in formula and "<merror" not in formula, (name, formula)
            displayed += 'display="block"' in formula
    cells = [cell for file in LESSONS + EXERCISES for cell in nbformat.read(file, 4).cells]
    marks = sum(cell.source.count("$$") for cell in cells if cell.cell_type == "markdown")
    assert displayed == marks / 2 > 30


# In a browser


HOST = "course.example"
OPEN = "document.querySelectorAll('details').forEach(details => details.open = true)"
# Elements that a narrow window cuts off, apart from those in a box that scrolls.
STICKING_OUT = """() => [...document.querySelectorAll(".main *")].filter(one => {
    if (one.getBoundingClientRect().right <= innerWidth + 1 || one.closest(".toc-drawer")) return false;
    for (let box = one.parentElement; !box.matches(".content"); box = box.parentElement)
        if (/auto|scroll/.test(getComputedStyle(box).overflowX)) return false;
    return true;
}).map(one => one.outerHTML.slice(0, 120))"""
# Axe needs seconds for the contrast of a page of code: keep each color of code once, and one formula.
# Listings whose code is cut off. What a cell prints may be wider.
CUT = """() => [...document.querySelectorAll(".cell_input pre")]
    .filter(listing => listing.scrollWidth > listing.clientWidth)
    .map(listing => listing.innerText.split("\\n").sort((a, b) => b.length - a.length)[0])"""
FEWER = """() => { const seen = new Set();
for (const listing of document.querySelectorAll(".highlight pre")) {
    const where = !!listing.closest(".cell_output") + "" + !!listing.closest("details");
    listing.replaceChildren("code ", ...[...listing.querySelectorAll("span")].filter(span =>
        span.textContent && !seen.has(span.className + where) && seen.add(span.className + where)));
}
[...document.querySelectorAll("math")].slice(1).forEach(formula => formula.remove()); }"""
FOLLOWED = """dark => [...document.querySelectorAll("[data-explorer]")].every(
    explorer => explorer.hasAttribute("dark") === dark)"""
CONTRAST = {"runOnly": ["color-contrast"], "resultTypes": ["violations"]}
ALL_ELSE = {"rules": {"color-contrast": {"enabled": False}}, "resultTypes": ["violations"]}


# One page of each kind.
SAMPLE = {"index.html", "measured.html", "api/utils.explorer.html"}
SAMPLE |= {"lessons/02_attention.html", "exercises/02_attention.html"}


@pytest.fixture(scope="module")
def reader(site, browser):
    """A browser page that can reach only the site, with lists of its failed requests and errors."""
    page, elsewhere, missing, errors = browser.new_page(), [], [], []

    def serve(route):
        url = urlsplit(route.request.url)
        file = site / unquote(url.path[1:])
        if url.hostname != HOST:
            elsewhere.append(route.request.url)
            route.abort()
        elif file.is_file():
            route.fulfill(path=file)
        else:
            missing.append(url.path)
            route.fulfill(status=404)

    page.route("**/*", serve)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield SimpleNamespace(page=page, elsewhere=elsewhere, missing=missing, errors=errors)
    page.close()


def go(page, name, scheme="light", size=WIDE):
    page.set_viewport_size(size)
    page.emulate_media(color_scheme=scheme)
    page.goto(f"http://{HOST}/{name}")


@pytest.fixture(scope="module")
def walk(reader, pages, request):
    """What is wrong on each page: elements and code that a window cuts off, and violations that axe finds."""
    axe, page, found = Axe(), reader.page, {"sticks out": [], "cut": [], "axe": [], "light": [], "dark": []}
    checked = pages if request.config.getoption("slow") else SAMPLE

    def run_axe(name, kind, options, frame=True):
        for one in axe.run(page, None if frame else ".main", options).response["violations"]:
            found[kind] += [(name, one["id"], node["html"]) for node in one["nodes"]]

    for name in pages:
        go(page, name, size=NARROW)
        page.evaluate(OPEN)
        found["sticks out"] += [(name, element) for element in page.evaluate(STICKING_OUT)]
        for width in (1280, 1440, 1800) if page.locator(".cell_input pre").count() else ():
            page.set_viewport_size({"width": width, "height": 900})
            found["cut"] += [(name, width, line) for line in page.evaluate(CUT)]
        if name not in checked:
            continue
        page.set_viewport_size(NARROW)
        run_axe(name, "axe", ALL_ELSE)
        page.evaluate(FEWER)
        page.set_viewport_size(WIDE)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function(FOLLOWED, arg=scheme == "dark")
            run_axe(name, scheme, CONTRAST, frame="02_attention" in name)  # all pages share their frame
    return found


def test_no_page_sends_a_request_to_another_server(walk, reader):
    assert reader.elsewhere == [] and reader.missing == [] and reader.errors == []


def test_nothing_is_cut_off_on_a_phone(walk):
    assert walk["sticks out"] == []


def test_code_fits_into_the_window_of_a_laptop(walk):
    assert walk["cut"] == []


@pytest.mark.parametrize("kind", ["axe", "light", "dark"])
def test_axe_finds_no_violation(walk, kind):
    assert walk[kind] == []


def test_a_folded_solution_opens_on_click(reader):
    go(reader.page, "exercises/02_attention.html")
    assert reader.page.locator("details[open]").count() == 0
    solution = reader.page.locator("details").filter(has_text="A solution").first
    listing = solution.locator("pre")
    assert not listing.is_visible()
    solution.locator("summary").click()
    assert listing.is_visible() and "return query @ keys.transpose(1, 2)" in listing.inner_text()


def test_search_finds_a_lesson_and_a_function_and_forgives_a_typo(reader):
    page = reader.page
    pages = (("highlighter", "02 · The spotlight"), ("masked_softmax", "utils.attention"))
    for word, title in pages:
        go(page, "index.html")
        page.locator(".sidebar-drawer input[name=q]").fill(word)
        page.keyboard.press("Enter")
        found = page.locator("#search-results a").filter(has_text=title).first
        found.click()
        page.get_by_role("heading", name=title).first.wait_for()
        assert word in page.locator("article").inner_text()
        go(page, f"search.html?q={word[:4]}{word[5:]}")
        page.get_by_text(f"No page has “{word[:4]}{word[5:]}”").wait_for()
        page.locator("#search-results a").filter(has_text=title).first.wait_for()


COLORS = """() => [...document.querySelectorAll("body, article *")].map(element =>
    getComputedStyle(element).color + getComputedStyle(element).backgroundColor)"""


def test_choosing_light_or_dark_looks_like_the_systems_own(reader):
    page, seen = reader.page, {}
    for scheme in ("light", "dark"):
        go(page, "lessons/02_attention.html", scheme)
        seen[scheme] = page.evaluate(COLORS)
    for chosen in ("light", "dark"):
        while page.evaluate("document.body.dataset.theme") != chosen:
            page.locator(".theme-toggle-content .theme-toggle").click()
        assert page.evaluate(COLORS) == seen[chosen], chosen
    picture = page.locator("figure img").first
    assert picture.evaluate("image => getComputedStyle(image).backgroundColor") == "rgb(255, 255, 255)"


def test_a_wide_formula_can_be_scrolled_with_the_keyboard(reader):
    go(reader.page, "lessons/08_gpt_and_bert.html", size=NARROW)
    box = reader.page.locator("div.math[tabindex]").first
    box.focus()
    reader.page.keyboard.press("ArrowRight")
    reader.page.wait_for_function("box => box.scrollLeft > 0", arg=box.element_handle())
    go(reader.page, "lessons/02_attention.html", size={"width": 2000, "height": 900})
    assert reader.page.locator("div.math[tabindex]").count() == 0


def test_home_and_playground_open_with_a_translation(reader):
    for name in ("index.html", "playground.html"):
        go(reader.page, name)
        first = reader.page.locator("[data-explorer]").first
        first.locator(".tgt [role=option]").last.wait_for()
        written = first.locator(".tgt [role=option]").all_text_contents()
        assert " ".join(written) == "le restaurant était incroyable mais le service était lent (end)"
        first.get_by_role("button", name="dot", exact=True).click()
        first.locator("section").nth(1).wait_for()
    assert reader.elsewhere == [] and reader.errors == []


def test_bold_terms_show_their_meaning_and_lead_to_the_glossary(reader):
    go(reader.page, "lessons/01_bottleneck.html")
    term = reader.page.locator("a[title]:has(> strong)").first
    assert len(term.get_attribute("title").split()) > 5
    words = term.inner_text().lower()
    term.click()
    row = reader.page.locator("tr:target")
    assert words in row.inner_text().lower()


def test_a_listing_can_be_copied(reader):
    go(reader.page, "lessons/02_attention.html")
    listing = reader.page.locator("div.highlight").first
    listing.hover()
    listing.get_by_role("button", name="Copy").click()
    listing.get_by_role("button", name="Copied").wait_for()


def test_a_page_describes_itself_and_has_a_card(site):
    for name in ("index.html", "playground.html", "lessons/01_bottleneck.html"):
        text = (site / name).read_text("utf-8")
        assert '<meta name="description" content="' in text
        assert '<meta property="og:title" content="' in text
        (card,) = re.findall(r'<meta property="og:image" content="(.+?)">', text)
        assert Image.open((site / name).parent / card).size == (1200, 630)


def test_paper_shows_all_of_the_code(reader):
    go(reader.page, "lessons/02_attention.html", size={"width": 700, "height": 900})
    assert reader.page.evaluate(CUT) != []
    reader.page.emulate_media(media="print")
    assert reader.page.evaluate(CUT) == []
    reader.page.emulate_media(media="screen")


def test_tables_and_sidebar_name_lessons_alike(reader):
    go(reader.page, "index.html")
    beside = reader.page.locator(".sidebar-tree a[href^=lessons], .sidebar-tree a[href^=exercises]")
    names = [name.partition(" · ")[2] for name in beside.all_inner_texts()]
    assert set(reader.page.locator("#the-lessons td a").all_inner_texts()) == set(names)
    assert len(names) == len(LESSONS + EXERCISES)


def test_records_are_charts_with_their_numbers_folded(reader):
    go(reader.page, "measured.html")
    reader.page.locator("figure img").first.wait_for()
    for name in filter(drawn, CHARTS):
        picture = reader.page.locator(f"img[src$='/{name}.svg']")
        assert picture.get_attribute("alt") == CHARTS[name].__doc__
        folded = picture.locator("xpath=following::details[1]")
        assert not folded.locator("pre").is_visible()
        assert folded.locator("pre").text_content().startswith("python -m benchmarks")
