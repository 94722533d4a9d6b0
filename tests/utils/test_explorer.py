"""The explorer in a real browser: its numbers, its keys, its looks, and where it has to live."""

import base64
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import matplotlib
import nbformat
import numpy as np
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from nbconvert import HTMLExporter
from nbgrader.converters import GenerateFeedback
from PIL import Image

from utils.explorer import TAG, explore
from utils.metrics import attention_entropy, coverage
from utils.models import Seq2Seq, Translation
from utils.text import EncodedCorpus

SRC, TGT = ["we", "liked", "the", "fresh", "bread"], ["nous", "avons", "aimé", "le", "pain", "frais", "(end)"]
SCORES = torch.tensor(np.random.default_rng(7).normal(size=(7, 5)) * 2, dtype=torch.float32)
WEIGHTS = SCORES.softmax(-1)
GOLD = {(0, 0), (1, 1), (1, 2), (2, 3), (4, 4), (3, 5)}
OTHER = (3 * SCORES.flip(0)).softmax(-1)
THREE = {
    "no attention": Translation(SRC, ["nous", "aimé"], None),
    "untrained": (0 * SCORES).softmax(-1),
    "trained": {0: OTHER, 50: SCORES.abs().softmax(-1), 400: WEIGHTS},
}
THREE["untrained"] = THREE["untrained"], SRC, TGT
THREE["trained"] = {label: (weights, SRC, TGT) for label, weights in THREE["trained"].items()}


def random_map(rows, columns, seed=0):
    weights = torch.tensor(np.random.default_rng(seed).normal(size=(rows, columns)) * 3).softmax(-1)
    return weights, [f"s{i}" for i in range(columns)], [f"t{i}" for i in range(rows)]


# In the browser


@pytest.fixture
def offline(page):
    """A page from which nothing is asked: what it asks for all the same is refused, and fails the test."""
    asked, errors = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(error))
    page.route(
        "**", lambda route: route.continue_() if route.request.url.startswith("file:") else route.abort()
    )
    page.set_default_timeout(10_000)
    yield page
    assert [url for url in asked if not url.startswith("file:")] == [] and errors == []


def put(page, *explorers, scheme="light", then=""):
    """Show a page with some explorers, and give their elements."""
    shown = "".join(explorer._repr_html_() for explorer in explorers)
    page.set_content(
        f'<!doctype html><html lang="en"><title>Page</title><style>:root {{ color-scheme: {scheme} }} '
        f"body {{ color: CanvasText; background: Canvas }}</style><main><h1>A page</h1>{shown}</main>{then}"
    )
    return [page.locator(TAG).nth(i) for i in range(len(explorers))]


def table(explorer, place=0):
    """Read the table of numbers of one panel: its column heads, its row heads, and its cells as text."""
    details = explorer.locator("details").last
    if details.get_attribute("open") is None:
        details.locator("summary").click()
    rows = (
        details.locator("table")
        .nth(place)
        .evaluate("table => [...table.rows].map(row => [...row.cells].map(cell => cell.textContent))")
    )
    return rows[0][1:], [row[0] for row in rows[1:]], [row[1:] for row in rows[1:]]


def written(weights):
    """What the table must say of these weights."""
    entropy = attention_entropy(weights[None])[0]
    rows = [
        [f"{w:.3f}" for w in [*row, h]] for row, h in zip(weights.tolist(), entropy.tolist(), strict=True)
    ]
    return [*rows, [*(f"{total:.3f}" for total in coverage(weights[None])[0].tolist()), ""]]


def colours(weights):
    """The colours of weights, as bytes of red, green and blue."""
    return matplotlib.colormaps["viridis"](np.rint(255 * np.asarray(weights)).astype(int), bytes=True)[
        ..., :3
    ]


def step(explorer):
    """The words of the step that is looked at."""
    return explorer.locator("[role=option][aria-selected=true]").first.text_content()


def test_table_and_labels_give_the_weights_back(offline):
    (shown,) = put(offline, explore((WEIGHTS, SRC, TGT)))
    heads, rows, cells = table(shown)
    assert (heads, rows) == ([*SRC, "entropy"], [*TGT, "coverage"])
    assert cells == written(WEIGHTS)
    assert shown.locator(".src span").all_text_contents() == SRC
    assert shown.locator("[role=option]").all_text_contents() == TGT
    (shown,) = put(offline, explore(([[0.0, 1.0], [0.25, 0.75]], ["a", "b"], ["c", "d"])))
    assert [row[-1] for row in table(shown)[2]] == ["0.000", "0.562", ""]


def test_drawn_cells_are_the_weights_beside_their_labels(offline):
    (shown,) = put(offline, explore((WEIGHTS, SRC, TGT), links=GOLD))
    drawn = shown.locator(".map canvas").evaluate(
        "c => [c.width, c.height, ...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
    )
    assert drawn[:2] == [5, 7]
    assert (np.array(drawn[2:]).reshape(7, 5, 4)[..., :3] == colours(WEIGHTS)).all()

    picture = np.array(Image.open(io.BytesIO(offline.screenshot())).convert("RGB")).astype(int)
    rows = [option.bounding_box() for option in shown.locator("[role=option]").all()]
    across = shown.locator(".src").evaluate(
        "src => [...src.children].map(label => label.offsetLeft + src.getBoundingClientRect().left)"
    )
    for i, row in enumerate(rows):
        for j, x in enumerate(across):
            quarter = row["height"] / 4  # not the middle, so that cells that run into each other are seen
            seen = picture[round(row["y"] + quarter), round(x - quarter)]
            assert abs(seen - colours(WEIGHTS)[i, j]).max() <= 2, (i, j)

    boxes = [link.bounding_box() for link in shown.locator(".link").all()]
    cell = shown.locator(".map canvas").bounding_box()
    places = {
        (int((b["x"] + b["width"] / 2 - cell["x"]) / (cell["width"] / 5)),
         int((b["y"] + b["height"] / 2 - cell["y"]) / (cell["height"] / 7)))
        for b in boxes
    }  # fmt: skip
    assert places == GOLD and len(boxes) == len(GOLD)
    look = shown.locator(".link").first.evaluate(
        "l => [getComputedStyle(l).borderColor, getComputedStyle(l).outlineColor]"
    )
    assert look == ["rgb(255, 255, 255)", "rgb(0, 0, 0)"]


def test_each_step_tells_its_row_and_what_was_looked_at_so_far(offline):
    offline.emulate_media(reduced_motion="reduce")
    (shown,) = put(offline, explore((WEIGHTS, SRC, TGT)))
    total = coverage(WEIGHTS[None])[0]
    for i, token in enumerate(TGT):
        shown.locator("[role=option]").nth(i).click()
        row, far = WEIGHTS[i], coverage(WEIGHTS[None, : i + 1])[0]
        said = shown.locator(".reading span").all_text_contents()
        assert said[0] == f"{token} · step {i + 1} of 7"
        for text, what, numbers in ((said[1], "now", row), (said[2], "so far", far)):
            best = numbers.argsort(descending=True)[:3].tolist()
            assert text == f"{what}: " + ", ".join(
                f"{SRC[j]} {numbers[j]:.2f}" for j in best if numbers[j] >= 0.005
            )
        assert (
            said[3]
            == f"entropy: {attention_entropy(row[None, None]).item():.2f} of at most {np.log(5):.2f} nats"
        )
        assert shown.locator(".src .top").text_content() == SRC[row.argmax()]
        for strip, numbers in (("now", row), ("sofar", far / total.max())):
            heights = shown.locator(f".strip.{strip}").evaluate(
                "strip => [...strip.children].map(bar => parseFloat(getComputedStyle(bar, '::before').height)"
                " / bar.getBoundingClientRect().height)"
            )
            assert heights == pytest.approx(numbers.tolist(), abs=0.01), strip
        frame, option = (shown.locator(what).bounding_box() for what in (".frame", "[aria-selected=true]"))
        assert frame["y"] == pytest.approx(option["y"], abs=0.1) and frame["height"] == option["height"]
    widths = shown.locator(".entropies").evaluate(
        "all => [...all.children].map(bar => parseFloat(getComputedStyle(bar, '::before').width)"
        " / bar.getBoundingClientRect().width)"
    )
    assert widths == pytest.approx((attention_entropy(WEIGHTS[None])[0] / np.log(5)).tolist(), abs=0.02)


def test_epochs_choose_the_map_of_all_panels_that_have_them(offline):
    (shown,) = put(offline, explore(THREE, links={"trained": GOLD}, epochs="updates"))
    slider = shown.get_by_label("updates")
    for label, (weights, *_) in reversed(THREE["trained"].items()):
        assert slider.get_attribute("aria-valuetext") == str(label)
        assert shown.locator(".value").first.text_content() == str(label)
        assert table(shown, 1)[2] == written(weights), label
        assert table(shown, 0)[2] == written(THREE["untrained"][0])
        slider.press("ArrowLeft")
    assert [panel.locator(".link").count() for panel in shown.locator("section").all()] == [0, 0, len(GOLD)]


def test_temperature_is_that_of_the_softmax(offline):
    (shown,) = put(offline, explore((WEIGHTS, SRC, TGT)))
    slider = shown.get_by_label("temperature")
    for key, temperature in (("Home", 0.25), ("End", 4.0)):
        slider.press(key)
        assert shown.locator(".value").last.text_content() == f"{temperature:.2f}"
        cells = np.array([row[:-1] for row in table(shown)[2][:-1]], dtype=float)
        assert cells == pytest.approx((SCORES / temperature).softmax(-1).numpy(), abs=6e-4)
    part = WEIGHTS[:, :-1]  # without the end token's column
    (shown,) = put(offline, explore((part, SRC[:-1], TGT)))
    shown.get_by_label("temperature").press("End")
    cells = np.array([row[:-1] for row in table(shown)[2][:-1]], dtype=float)
    assert cells.sum(1) == pytest.approx(part.sum(1).numpy(), abs=3e-3)


def test_a_translation_shows_its_end_tokens_and_one_without_attention_says_so(offline):
    translation = Translation(SRC[:-1], TGT[:-1], WEIGHTS)
    (shown,) = put(
        offline, explore({"blind": THREE["no attention"], "seeing": (WEIGHTS, SRC, TGT)}, links=GOLD)
    )
    blind, seeing = shown.locator("section").all()
    assert "no attention: it has no weights to show" in blind.text_content()
    assert blind.locator("[role=option]").all_text_contents() == ["nous", "aimé"]
    seeing.locator("[role=option]").nth(4).click()
    assert "ended after 2 tokens" in blind.text_content() and "pain · step 5" in seeing.text_content()
    (shown,) = put(offline, explore(translation))
    assert table(shown)[:2] == ([*SRC[:-1], "(end)", "entropy"], [*TGT[:-1], "(end)", "coverage"])


def test_keyboard_alone_drives_it(offline):
    (shown,) = put(offline, explore(THREE, epochs="updates"))
    key, seen = offline.keyboard.press, []

    def focused(what):
        return offline.evaluate(
            f"(() => {{ const at = document.activeElement.shadowRoot.activeElement; return {what} }})()"
        )

    spoken = shown.locator("[role=status]")
    offline.wait_for_timeout(400)
    assert spoken.text_content() == ""
    for _ in range(7):  # two sliders, three panels, the help, the numbers
        key("Tab")
        seen.append(focused("at.getAttribute('role') || at.type || at.localName"))
        ring = focused("getComputedStyle(at).outlineStyle + getComputedStyle(at).outlineWidth")
        assert ring in ("solid3px", "solid2px"), seen
    assert seen == ["range", "range", "option", "option", "option", "summary", "summary"]
    key("Enter")
    shown.locator(".wide table").nth(1).wait_for()

    key("Shift+Tab")
    key("Shift+Tab")
    option = "at.textContent"
    presses = {
        "ArrowDown": 1,
        "ArrowRight": 2,
        "End": 6,
        "ArrowUp": 5,
        "ArrowLeft": 4,
        "Home": 0,
        "PageDown": 6,
    }
    for press, token in [*presses.items(), ("ArrowDown", 6), ("PageUp", 0), ("ArrowUp", 0)]:
        key(press)
        assert focused(option) == TGT[token], press
        trained = shown.locator("section").last
        assert trained.locator("[tabindex='0'][role=option]").all_text_contents() == [TGT[token]]
        assert trained.locator("b").text_content() == f"{TGT[token]} · step {token + 1} of 7"
    key("ArrowDown")
    offline.wait_for_timeout(400)
    best = WEIGHTS[1].argmax()
    assert f"trained, avons · step 2 of 7, now: {SRC[best]} {WEIGHTS[1, best]:.2f}" in spoken.text_content()
    for _ in range(4):
        key("Shift+Tab")
    key("Home")
    assert focused("at.getAttribute('aria-valuetext')") == "0"
    assert table(shown, 1)[2] == written(THREE["trained"][0][0])


def test_pointer_moves_the_step_unless_only_the_page_moved(offline):
    (shown,) = put(offline, explore((WEIGHTS, SRC, TGT)), then="<p style='height: 3000px'>")
    cell = shown.locator(".map").bounding_box()
    row = cell["height"] / 7

    def at(place):
        offline.mouse.move(cell["x"] + 0.5 * row, cell["y"] + (place + 0.5) * row)

    at(5)
    at(4)
    assert step(shown) == TGT[4]
    assert shown.locator(".map").get_attribute("title") == f"{TGT[4]} → we: {WEIGHTS[4, 0]:.3f}"
    at(2)
    assert step(shown) == TGT[2]
    offline.mouse.wheel(0, row * 2)
    offline.wait_for_function("scrollY > 0")
    offline.wait_for_timeout(300)
    assert step(shown) == TGT[2]
    resting = """(explorer, moved) => {
        const map = explorer.shadowRoot.querySelector('.map'), [screenX, y] = explorer.pointer;
        const { left: clientX, top: clientY } = map.getBoundingClientRect();
        map.dispatchEvent(new PointerEvent('pointermove', { clientX, clientY, screenX, screenY: y + moved }));
    }"""
    shown.evaluate(resting, 0)
    assert step(shown) == TGT[2]
    shown.evaluate(resting, 1)
    assert step(shown) == TGT[0]
    shown.locator(".map").click(position={"x": 5, "y": 3.5 * row})
    assert step(shown) == TGT[3]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(offline, scheme):
    (shown,) = put(offline, explore(THREE, links={"trained": GOLD}, epochs="updates"), scheme=scheme)
    table(shown)
    assert (shown.get_attribute("dark") is not None) == (scheme == "dark")
    found = Axe().run(offline).response
    assert found["violations"] == [], json.dumps(found["violations"], indent=1)
    shown.evaluate("e => e.shadowRoot.querySelector('.help').style.color = '#8886'")
    shown.evaluate(
        "e => e.shadowRoot.querySelector('input').parentNode.replaceWith(e.shadowRoot.querySelector('input'))"
    )
    found = Axe().run(offline).response["violations"]
    assert {"color-contrast", "label"} <= {problem["id"] for problem in found}, "axe looks inside"


def test_it_follows_the_ink_of_its_page(offline):
    (shown,) = put(offline, explore((WEIGHTS, SRC, TGT)))
    paper = "e => getComputedStyle(e.shadowRoot.querySelector('section')).backgroundColor"
    assert shown.evaluate(paper) == "rgb(255, 255, 255)"
    offline.add_style_tag(content="[data-theme=dark] body, [data-jp-theme-light=false] { color: #ddd }")
    for change in (
        "document.documentElement.dataset.theme = 'dark'",
        "document.body.dataset.jpThemeLight = 'false'",
    ):
        offline.evaluate(change)
        offline.wait_for_timeout(50)
        assert shown.evaluate(paper) == "rgb(22, 25, 29)"
        offline.evaluate("delete document.documentElement.dataset.theme")
    offline.evaluate("document.body.dataset.jpThemeLight = 'true'")
    offline.wait_for_timeout(50)
    assert shown.evaluate(paper) == "rgb(255, 255, 255)"

    offline.add_style_tag(content="@media (prefers-color-scheme: dark) { body { color: #ddd } }")
    for scheme, colour in (("dark", "rgb(22, 25, 29)"), ("light", "rgb(255, 255, 255)")):
        offline.emulate_media(color_scheme=scheme)
        offline.wait_for_timeout(50)
        assert shown.evaluate(paper) == colour


def test_motion_only_where_it_is_welcome_and_all_of_it_in_print(offline):
    (shown,) = put(offline, explore(random_map(80, 80)))
    moves = """({ shadowRoot }) => [getComputedStyle(shadowRoot.querySelector('.scroll')).scrollBehavior,
        getComputedStyle(shadowRoot.querySelector('.now i'), '::before').transitionDuration.split(',')[0]]"""
    assert shown.evaluate(moves) == ["smooth", "0.15s"]
    offline.emulate_media(reduced_motion="reduce")
    assert shown.evaluate(moves) == ["auto", "0s"]
    scroll = shown.locator(".scroll")
    assert scroll.evaluate("s => s.clientHeight < s.scrollHeight")
    offline.emulate_media(media="print")
    assert scroll.evaluate("s => s.clientHeight == s.scrollHeight")


@pytest.mark.parametrize("width", [360, 1300])
def test_long_and_short_sentences_fit_and_the_step_stays_in_sight(offline, width):
    offline.emulate_media(reduced_motion="reduce")
    offline.set_viewport_size({"width": width, "height": 900})
    long, short = random_map(80, 79), random_map(3, 3)
    shown, small, _ = put(offline, explore(long), explore(short), explore(THREE, epochs="updates"))
    for each in (shown, small):
        table(each)
    assert offline.evaluate("document.documentElement.scrollWidth") <= width
    assert small.locator(".scroll").evaluate(
        "s => s.scrollWidth == s.clientWidth && s.scrollHeight == s.clientHeight"
    )
    assert small.locator(".src span").evaluate_all(
        "all => all.every(l => getComputedStyle(l).visibility == 'visible')"
    )
    labels = shown.locator(".src span").evaluate_all("all => all.map(l => getComputedStyle(l).visibility)")
    assert 79 // 2 <= labels.count("visible") <= 79 // 2 + 2, "labels are thinned out"

    shown.locator("[role=option]").first.focus()
    for key, row in (("End", 79), ("PageUp", 69), ("Home", 0)):
        offline.keyboard.press(key)
        top = int(long[0][row].argmax())
        view, option, label = (
            shown.locator(what).bounding_box() for what in (".scroll", "[aria-selected=true]", ".src .top")
        )
        x = shown.locator(".map").bounding_box()["x"] + (top + 0.5) * 13
        assert view["y"] < option["y"] and option["y"] + option["height"] < view["y"] + view["height"], key
        assert option["x"] >= view["x"] - 1, "the words stay while the map goes sideways"
        assert option["x"] + option["width"] - 1 <= x <= view["x"] + view["width"], (key, top)
        assert (
            label and shown.locator(".src .top").evaluate("l => getComputedStyle(l).visibility") == "visible"
        )
        assert offline.evaluate("scrollX") == 0


def test_explorers_on_one_page_work_alone_and_after_others_are_gone(offline):
    first, second = put(offline, explore((WEIGHTS, SRC, TGT)), explore((OTHER, SRC, TGT)))
    first.locator("[role=option]").nth(4).click()
    assert (step(first), step(second)) == (TGT[4], TGT[0])
    assert table(second)[2] == written(OTHER)
    first.evaluate("e => { e.nextSibling.remove(); e.remove() }")
    offline.locator(TAG).locator("[role=option]").nth(2).click()
    assert step(offline.locator(TAG)) == TGT[2]
    offline.locator(TAG).evaluate("e => document.body.prepend(e)")  # as when a cell is moved
    assert offline.locator(TAG).locator("section").count() == 1 and step(offline.locator(TAG)) == TGT[2]


NASTY = ["<img src=https://x.example/a.png onerror=alert(1)>", "'\"&amp;", "</script><b>", "$x$", "&#39;"]


def test_tokens_are_text_whatever_they_hold(offline):
    (shown,) = put(offline, explore({"<i>'\"": (WEIGHTS[:5], NASTY, NASTY[::-1])}))
    assert table(shown)[:2] == ([*NASTY, "entropy"], [*NASTY[::-1], "coverage"])
    assert shown.locator(".name").text_content() == "<i>'\""
    assert shown.locator(".panels b").count() == 1


# Without scripts


def test_a_picture_and_the_largest_weights_stand_in_where_no_script_runs(browser):
    page = browser.new_context(java_script_enabled=False).new_page()
    put(page, explore(THREE, links={"trained": GOLD}, epochs="updates"))
    picture = page.get_by_role("img")
    assert picture.get_attribute("alt").startswith(
        "untrained, a map of 7 target by 5 source tokens; trained, a map"
    )
    assert picture.bounding_box()["height"] > 100
    page.locator("summary").last.click()
    rows = [row.inner_text().split("\t") for row in page.locator("table").last.locator("tr").all()]
    assert [row[0] for row in rows] == TGT
    entropy = attention_entropy(WEIGHTS[None])[0]
    for (_, text), row, spread in zip(rows, WEIGHTS, entropy, strict=True):
        best = [i for i in row.argsort(descending=True)[:3].tolist() if row[i] >= 0.005]
        assert text == ", ".join(f"{SRC[i]} {row[i]:.2f}" for i in best) + f"; entropy {spread:.2f} nats"
    assert "no attention: it has no weights to show" in page.locator("body").inner_text()
    page.context.close()


def test_the_picture_shows_the_weights_and_has_the_words_it_is_given():
    shown = explore((WEIGHTS, SRC, TGT), alt='"frais" looks at <fresh>')._repr_html_()
    assert 'alt="&quot;frais&quot; looks at &lt;fresh&gt;"' in shown
    png = base64.b64decode(re.search(r"base64,([^\"]+)", shown)[1])
    picture = np.array(Image.open(io.BytesIO(png)).convert("RGB")).astype(int).reshape(-1, 3)
    for colour in colours(WEIGHTS).reshape(-1, 3):
        assert abs(picture - colour).max(1).min() <= 8


def test_an_output_stays_under_100_kilobytes():
    maps = [random_map(40, 40, seed) for seed in range(4)]
    maps = [(weights, *maps[0][1:]) for weights, *_ in maps]
    for panels in ({"": maps}, {"a": maps[:2], "b": maps[2:]}):
        assert 34_000 < len(explore(panels)._repr_html_().encode()) < 100_000


# What does not fit


@pytest.mark.parametrize(
    ("panels", "options", "message"),
    [
        ({}, {}, "one to 3 panels"),
        ({str(i): (WEIGHTS, SRC, TGT) for i in range(4)}, {}, "one to 3 panels fit side by side, not 4"),
        ((WEIGHTS.T, SRC, TGT), {}, r"need \(7, 5\)"),
        ((WEIGHTS[0], SRC, TGT), {}, r"need \(7, 5\)"),
        ((SCORES, SRC, TGT), {}, "softmax over the source"),
        ((WEIGHTS * 1.1, SRC, TGT), {}, "softmax over the source"),
        ((WEIGHTS * float("nan"), SRC, TGT), {}, "softmax over the source"),
        ((WEIGHTS, [], TGT), {}, "no tokens"),
        ((torch.zeros(0, 5), SRC, []), {}, "no rows"),
        (Translation(SRC, [], None), {}, "no tokens"),
        (([[1.0] * 201], ["a"] * 201, ["b"]), {}, "no more than 200"),
        (WEIGHTS, {}, "Tensor"),
        ({"a": []}, {}, "'a' is empty"),
        ({"a": [(WEIGHTS, SRC, TGT), (WEIGHTS, SRC, TGT[::-1])]}, {}, "'a' has other tokens at 2"),
        ({"a": [(WEIGHTS, SRC, TGT), (None, SRC, TGT)]}, {}, "weights at some moments only"),
        ({"a": (WEIGHTS, SRC, TGT), "b": (WEIGHTS, SRC[::-1], TGT)}, {}, "'b' and 'a' read different"),
        ({"a": [(WEIGHTS, SRC, TGT)] * 2, "b": [(WEIGHTS, SRC, TGT)] * 3}, {}, "the same epochs"),
        ((WEIGHTS, SRC, TGT), {"links": {(5, 0)}}, r"link \(5, 0\) leaves"),
        ((WEIGHTS, SRC, TGT), {"links": {"trained": GOLD}}, "no such panel"),
        ({"a": (WEIGHTS, SRC, TGT), "b": (WEIGHTS, SRC, TGT[::-1])}, {"links": GOLD}, "give them by name"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_advice(panels, options, message):
    with pytest.raises(ValueError, match=message):
        explore(panels, **options)


# Live


@pytest.fixture(scope="module")
def letters():
    from tests.utils.conftest import make_copy_corpus

    encoded = EncodedCorpus(make_copy_corpus())
    torch.manual_seed(0)
    kinds = ("dot", "none")
    return encoded, {
        kind: Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), kind, embed_dim=6, hidden_dim=8)
        for kind in kinds
    }


def test_live_translates_what_is_typed_and_tells_what_is_wrong(letters):
    encoded, models = letters
    sentence, message, shown = explore((WEIGHTS, SRC, TGT)).live(models, encoded).children
    assert sentence.value == " ".join(SRC)

    def html():
        return shown.outputs[0]["data"]["text/html"]

    assert ">frais<" in html()
    sentence.value = "b a zebra d zebra yak"
    assert "unknown words: zebra, yak<" in message.value
    assert "&quot;" not in html() and '"src":["b","a","zebra","d","zebra","yak","(end)"]' in html()
    assert '"name":"none"' in html() and "no attention" in html()
    sentence.value = "a b"
    assert '"src":["a","b","(end)"]' in html() and not re.sub("<.*?>", "", message.value)
    before = html()
    sentence.value = "   "
    assert "nothing to translate" in message.value and html() == before
    sentence.value = "a " * 201
    assert "could not be translated" in message.value and "shorter" in message.value and html() == before
    assert sentence.value == "a " * 201


def test_live_shows_pieces_as_words(copy_corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("ATTENTION_DATA", str(tmp_path))
    train = copy_corpus["train"]
    train = replace(train, src=[text.replace("a", "apple") for text in train.src])
    encoded = EncodedCorpus(replace(copy_corpus, splits={"train": train}), subwords=20)
    model = Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), "dot", embed_dim=6, hidden_dim=8)
    pieces = encoded.tokenize("apple elppa")
    sentence, _, shown = explore(Translation(pieces, ["A"], None)).live(model, encoded).children
    assert sentence.value == "apple elppa"
    assert len(encoded.tokenize("apple b elppa")) > 3
    sentence.value = "apple b elppa"
    assert '"src":["apple","b","elppa","(end)"]' in shown.outputs[0]["data"]["text/html"]


# Where it lives


def notebook(*cells):
    """A notebook of code cells: a text, or a text and what it shows."""
    found = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    for source, *shown in cells:
        data = {"text/html": "".join(s._repr_html_() for s in shown), "text/plain": "explorer"}
        outputs = [nbformat.v4.new_output("execute_result", data, execution_count=1)] if shown else []
        found.cells.append(nbformat.v4.new_code_cell(source, outputs=outputs))
    return found


def feedback(found):
    exporter = HTMLExporter(config=GenerateFeedback().config, **NO_SCRIPTS_OF_OTHERS)
    grades = {
        "score": 0,
        "max_score": 0,
        "notebook": "n",
        "student": "s",
        "last_name": None,
        "first_name": None,
        "late_penalty": 0,
    }
    text = exporter.from_notebook_node(found, resources={"nbgrader": grades})[0]
    return re.sub(r'<script src="https://cdnjs[^>]*mathjax[^>]*>', "<script>", text)  # the template's own


NO_SCRIPTS_OF_OTHERS = {f"{name}_url": "" for name in ("mathjax", "require_js", "jquery", "mermaid_js")}


@pytest.mark.parametrize("kind", ["export", "feedback"])
def test_exported_notebooks_show_it_offline(offline, tmp_path, kind):
    found = notebook(["a", explore((WEIGHTS, SRC, TGT))], ["b", explore((OTHER, SRC, TGT))])
    text = (
        feedback(found)
        if kind == "feedback"
        else HTMLExporter(**NO_SCRIPTS_OF_OTHERS).from_notebook_node(found)[0]
    )
    (tmp_path / "page.html").write_text(text, "utf-8")
    offline.goto((tmp_path / "page.html").as_uri())
    for place, weights in enumerate((WEIGHTS, OTHER)):
        shown = offline.locator(TAG).nth(place)
        shown.locator("[role=option]").nth(3).click()
        assert step(shown) == TGT[3] and table(shown)[2] == written(weights)
        assert not shown.locator("figure").is_visible()


LIVE = """from utils.explorer import explore
from utils.models import Seq2Seq
from utils.data import Corpus, Split
from utils.text import EncodedCorpus
split = Split(["she loves cats", "he sees dogs"], ["elle aime les chats", "il voit des chiens"])
encoded = EncodedCorpus(Corpus("tiny", "en", "fr", {"train": split}, "words", "none", "none"))
model = Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), "dot", embed_dim=6, hidden_dim=8)"""
SHOW = "explore(([[0.25, 0.75], [0.5, 0.5], [1, 0]], ['she', 'sings'], ['elle', 'a', 'chanté']))"


@pytest.mark.timeout(240)
def test_jupyterlab_shows_it_untrusted_live_and_again(lab, page):
    path = "explorer.ipynb"
    found = notebook([LIVE], [SHOW, explore((WEIGHTS, SRC, TGT))], [f"{SHOW}.live(model, encoded)"])
    nbformat.write(found, lab.course / path)
    page.goto(f"{lab.url}lab/tree/{path}?token=token")

    picture = page.get_by_role(
        "img", name="a map of 7 target by 5 source tokens"
    )  # not trusted: no script ran
    picture.wait_for()
    assert picture.bounding_box()["height"] > 100 and page.locator(TAG).count() == 0
    page.get_by_text("largest weights of each row").click()
    assert page.get_by_text(f"{SRC[WEIGHTS[6].argmax()]} {WEIGHTS[6].max():.2f}").first.is_visible()

    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    page.get_by_role("button", name="Restart the kernel and run all cells").click()
    page.get_by_role("button", name="Confirm Kernel Restart").click()
    page.get_by_label("Sentence").wait_for(timeout=60_000)
    shown = page.locator(TAG).first
    shown.locator("[role=option]").first.click()
    for key, token in (("ArrowDown", "a"), ("d", "a"), ("d", "a"), ("ArrowDown", "chanté")):
        page.keyboard.press(key)
        assert step(shown) == token
    assert page.locator(".jp-CodeCell").count() == 3, "d d deleted nothing"
    assert table(shown)[2][0] == ["0.250", "0.750", "0.562"]

    page.get_by_label("Sentence").fill("she loves zebras")
    page.get_by_label("Sentence").press("Enter")
    page.get_by_text("read as unknown words: zebras").wait_for()
    live = page.locator(TAG).last
    live.locator(".src span", has_text="zebras").wait_for()
    live.locator("[role=option]").first.click()
    page.keyboard.press("End")
    assert live.locator("[role=option]").last.get_attribute("aria-selected") == "true"

    page.get_by_role("button", name="Save and create checkpoint").click()
    page.wait_for_timeout(1_000)
    assert "of attention" in nbformat.read(lab.course / path, 4).cells[1].outputs[0].data["text/plain"]
    page.get_by_role("menuitem", name="Kernel").click()
    page.get_by_role("menuitem", name="Shut Down Kernel", exact=True).click()
    page.reload()
    shown = page.locator(TAG).first
    shown.locator("[role=option]").nth(1).click()
    assert step(shown) == "a"
    page.keyboard.press("Escape")
    page.locator(".jp-CodeCell .jp-InputPrompt").first.click()
    page.keyboard.press("d")
    page.keyboard.press("d")
    page.wait_for_function("document.querySelectorAll('.jp-CodeCell').length == 2")


def test_script_and_style_are_part_of_the_package():
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert set(project["tool"]["setuptools"]["package-data"]["utils.explorer"]) == {"*.css", "*.js"}
