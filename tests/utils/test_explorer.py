"""The explorer in a real browser: its numbers, keyboard, layout and host pages."""

import base64
import io
import json
import re
from dataclasses import replace

import matplotlib
import nbformat
import numpy as np
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from nbconvert import HTMLExporter
from PIL import Image

from utils import pretrained
from utils.explorer import TAG, explore
from utils.metrics import attention_entropy, coverage
from utils.models import Seq2Seq, Translation, translate
from utils.text import EncodedCorpus
from utils.transformer import Transformer

SRC, TGT = ["we", "liked", "the", "fresh", "bread"], ["nous", "avons", "aimé", "le", "pain", "frais", "(end)"]
SCORES = torch.tensor(np.random.default_rng(7).normal(size=(7, 5)) * 2, dtype=torch.float32)
WEIGHTS = SCORES.softmax(-1)
GOLD = {(0, 0), (1, 1), (1, 2), (2, 3), (4, 4), (3, 5)}
OTHER = (3 * SCORES.flip(0)).softmax(-1)
THREE = {
    "no attention": Translation(SRC, ["nous", "aimé"], None),
    "untrained": ((0 * SCORES).softmax(-1), SRC, TGT),
    "trained": {0: (OTHER, SRC, TGT), 50: (SCORES.abs().softmax(-1), SRC, TGT), 400: (WEIGHTS, SRC, TGT)},
}


def random_map(rows, columns, seed=0):
    weights = torch.tensor(np.random.default_rng(seed).normal(size=(rows, columns)) * 3).softmax(-1)
    return weights, [f"s{i}" for i in range(columns)], [f"t{i}" for i in range(rows)]


# In the browser


def put(page, *explorers, scheme="light", then=""):
    """Show a page with these explorers and return their elements."""
    shown = "".join(explorer._repr_html_() for explorer in explorers)
    page.set_content(
        f'<!doctype html><html lang="en"><title>Page</title><style>:root {{ color-scheme: {scheme} }} '
        f"body {{ color: CanvasText; background: Canvas }}</style><main><h1>A page</h1>{shown}</main>{then}"
    )
    return [page.locator(TAG).nth(i) for i in range(len(explorers))]


def table(explorer, place=0):
    """Return the column heads, the row heads and the cells, as text, of a panel's table of numbers."""
    details = explorer.locator("details").last
    if details.get_attribute("open") is None:
        details.locator("summary").click()
    cells = "table => [...table.rows].map(row => [...row.cells].map(cell => cell.textContent))"
    rows = details.locator("table").nth(place).evaluate(cells)
    return rows[0][1:], [row[0] for row in rows[1:]], [row[1:] for row in rows[1:]]


def expected_cells(weights):
    """Return the cells that the table should have for these weights."""
    entropy = attention_entropy(weights[None])[0]
    rows = [
        [f"{w:.3f}" for w in [*row, h]] for row, h in zip(weights.tolist(), entropy.tolist(), strict=True)
    ]
    return [*rows, [*(f"{total:.3f}" for total in coverage(weights[None])[0].tolist()), ""]]


def colors(weights):
    """Return the colors of weights, as bytes of red, green and blue."""
    levels = np.rint(255 * np.asarray(weights)).astype(int)
    return matplotlib.colormaps["viridis"](levels, bytes=True)[..., :3]


def step(explorer):
    """Return the token of the selected step."""
    return explorer.locator(".tgt [aria-selected=true]").first.text_content()


def test_table_and_labels_have_all_weights(offline):
    (shown,) = put(offline, explore((WEIGHTS, SRC, TGT)))
    heads, rows, cells = table(shown)
    assert (heads, rows) == ([*SRC, "entropy"], [*TGT, "coverage"])
    assert cells == expected_cells(WEIGHTS)
    assert shown.locator(".word .text").all_text_contents() == SRC
    assert shown.locator(".tgt [role=option]").all_text_contents() == TGT
    (shown,) = put(offline, explore(([[0.0, 1.0], [0.25, 0.75]], ["a", "b"], ["c", "d"])))
    assert [row[-1] for row in table(shown)[2]] == ["0.000", "0.562", ""]


def test_cells_are_drawn_at_their_labels(offline):
    (shown,) = put(offline, explore((WEIGHTS, SRC, TGT), links=GOLD))
    drawn = shown.locator(".map canvas").evaluate(
        "c => [c.width, c.height, ...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
    )
    assert drawn[:2] == [5, 7]
    assert (np.array(drawn[2:]).reshape(7, 5, 4)[..., :3] == colors(WEIGHTS)).all()

    picture = np.array(Image.open(io.BytesIO(offline.screenshot())).convert("RGB")).astype(int)
    rows = [option.bounding_box() for option in shown.locator(".tgt [role=option]").all()]
    across = shown.locator(".src").evaluate(
        "src => [...src.children].map(word => word.offsetLeft + src.getBoundingClientRect().left)"
    )
    for i, row in enumerate(rows):
        for j, x in enumerate(across):
            quarter = row["height"] / 4  # near the corner, to find cells that blend into each other
            seen = picture[round(row["y"] + quarter), round(x - quarter)]
            assert abs(seen - colors(WEIGHTS)[i, j]).max() <= 2, (i, j)

    boxes = [link.bounding_box() for link in shown.locator(".link").all()]
    cell = shown.locator(".map canvas").bounding_box()
    cells = {
        (int((b["x"] + b["width"] / 2 - cell["x"]) / (cell["width"] / 5)),
         int((b["y"] + b["height"] / 2 - cell["y"]) / (cell["height"] / 7)))
        for b in boxes
    }  # fmt: skip
    assert cells == GOLD
    assert len(boxes) == len(GOLD)
    style = "l => [getComputedStyle(l).borderColor, getComputedStyle(l).outlineColor]"
    assert shown.locator(".link").first.evaluate(style) == ["rgb(255, 255, 255)", "rgb(0, 0, 0)"]


def test_step_shows_its_row_and_the_coverage_so_far(offline):
    offline.emulate_media(reduced_motion="reduce")
    (shown,) = put(offline, explore((WEIGHTS, SRC, TGT)))
    for i, token in enumerate(TGT):
        shown.locator(".tgt [role=option]").nth(i).click()
        row, far = WEIGHTS[i], coverage(WEIGHTS[None, : i + 1])[0]
        reading = shown.locator(".reading span").all_text_contents()
        assert reading[0] == f"{token} · step {i + 1} of 7"
        for text, what, numbers in ((reading[1], "attention", row), (reading[2], "attention so far", far)):
            best = [j for j in numbers.argsort(descending=True)[:3] if numbers[j] >= 0.005]
            assert text == f"{what}: " + ", ".join(f"{SRC[j]} {numbers[j]:.2f}" for j in best)
        spread = attention_entropy(row[None, None]).item()
        assert reading[3] == f"entropy: {spread:.2f} of at most {np.log(5):.2f} nats"
        assert shown.locator(".word.top").text_content() == SRC[row.argmax()]
        shown.get_by_role("button", name="Lines").click()
        heights = shown.locator(".src").evaluate(
            "src => [...src.querySelectorAll('.track')].map(track => parseFloat(getComputedStyle("
            "track.firstChild).height) / track.getBoundingClientRect().height)"
        )
        assert heights == pytest.approx(row.tolist(), abs=0.05)
        shown.get_by_role("button", name="Heat map").click()
        frame, option = (shown.locator(what).bounding_box() for what in (".frame", "[aria-selected=true]"))
        assert frame["y"] == pytest.approx(option["y"], abs=0.1)
        assert frame["height"] == option["height"]


def test_epoch_slider_selects_the_maps_of_all_panels(offline):
    (shown,) = put(offline, explore(THREE, links={"trained": GOLD}, epochs="updates"))
    slider = shown.get_by_label("updates")
    for label, (weights, *_) in reversed(THREE["trained"].items()):
        assert slider.get_attribute("aria-valuetext") == str(label)
        assert shown.locator(".controls .value").first.text_content() == str(label)
        assert table(shown, 1)[2] == expected_cells(weights), label
        assert table(shown, 0)[2] == expected_cells(THREE["untrained"][0])
        slider.press("ArrowLeft")
    assert [panel.locator(".link").count() for panel in shown.locator("section").all()] == [0, 0, len(GOLD)]


def test_temperature_divides_the_scores_of_the_softmax(offline):
    (shown,) = put(offline, explore((WEIGHTS, SRC, TGT)))
    slider = shown.get_by_label("temperature")
    for key, temperature in (("Home", 0.25), ("End", 4.0)):
        slider.press(key)
        assert shown.locator(".controls .value").last.text_content() == f"{temperature:.2f}"
        cells = np.array([row[:-1] for row in table(shown)[2][:-1]], dtype=float)
        assert cells == pytest.approx((SCORES / temperature).softmax(-1).numpy(), abs=6e-4)
    incomplete = WEIGHTS[:, :-1]  # without the end token's column
    (shown,) = put(offline, explore((incomplete, SRC[:-1], TGT)))
    shown.get_by_label("temperature").press("End")
    cells = np.array([row[:-1] for row in table(shown)[2][:-1]], dtype=float)
    assert cells.sum(1) == pytest.approx(incomplete.sum(1).numpy(), abs=3e-3)


def test_translations_show_end_tokens_and_missing_attention(offline):
    translation = Translation(SRC[:-1], TGT[:-1], WEIGHTS)
    panels = {"without": THREE["no attention"], "with": (WEIGHTS, SRC, TGT)}
    (shown,) = put(offline, explore(panels, links=GOLD))
    without, attending = shown.locator("section").all()
    assert "no attention: it has no weights to show" in without.text_content()
    assert without.locator(".tgt [role=option]").all_text_contents() == ["nous", "aimé"]
    attending.locator(".tgt [role=option]").nth(4).click()
    assert "ended after 2 tokens" in without.text_content()
    assert "pain · step 5" in attending.text_content()
    (shown,) = put(offline, explore(translation))
    assert table(shown)[:2] == ([*SRC[:-1], "(end)", "entropy"], [*TGT[:-1], "(end)", "coverage"])


def test_keyboard_alone_is_enough(offline):
    (shown,) = put(offline, explore(THREE, epochs="updates"))
    key, seen = offline.keyboard.press, []

    def focused(what):
        return offline.evaluate(
            f"(() => {{ const at = document.activeElement.shadowRoot.activeElement; return {what} }})()"
        )

    spoken = shown.locator("[role=status]")
    offline.wait_for_timeout(400)
    assert spoken.text_content() == ""
    for _ in range(14):
        key("Tab")
        seen.append(focused("at.getAttribute('role') || at.type || at.localName"))
        ring = focused("getComputedStyle(at).outlineStyle + getComputedStyle(at).outlineWidth")
        assert ring in ("solid3px", "solid2px"), seen
    # Player: play, step, two views. Words and steps of three panels. Two sliders, the help, the numbers.
    assert " ".join(seen) == f"button range button button {'option ' * 6}range range summary summary"
    key("Enter")
    shown.locator(".wide table").nth(1).wait_for()

    for _ in range(4):
        key("Shift+Tab")
    option = "at.textContent"
    presses = {"ArrowDown": 1, "ArrowRight": 2, "End": 6, "ArrowUp": 5, "ArrowLeft": 4, "Home": 0}
    bounded = [("PageDown", 6), ("ArrowDown", 6), ("PageUp", 0), ("ArrowUp", 0)]
    for press, token in [*presses.items(), *bounded]:
        key(press)
        assert focused(option) == TGT[token], press
        trained = shown.locator("section").last
        assert trained.locator(".tgt [tabindex='0']").all_text_contents() == [TGT[token]]
        assert trained.locator("b").text_content() == f"{TGT[token]} · step {token + 1} of 7"
    key("ArrowDown")
    offline.wait_for_timeout(400)
    best = WEIGHTS[1].argmax()
    attention = f"attention: {SRC[best]} {WEIGHTS[1, best]:.2f}"
    assert f"trained, avons · step 2 of 7, {attention}" in spoken.text_content()
    key("Tab")
    key("Home")
    assert focused("at.getAttribute('aria-valuetext')") == "0"
    assert table(shown, 1)[2] == expected_cells(THREE["trained"][0][0])


def test_pointer_shows_a_row_for_as_long_as_it_is_there(offline):
    (shown,) = put(offline, explore((WEIGHTS, SRC, TGT)), then="<p style='height: 3000px'>")
    cell = shown.locator(".map").bounding_box()
    row = cell["height"] / 7

    def at(place):
        offline.mouse.move(cell["x"] + 0.5 * row, cell["y"] + (place + 0.5) * row)

    def read():
        return shown.locator(".reading b").text_content().split(" · ")[0]

    at(5)
    at(4)
    assert (read(), step(shown)) == (TGT[4], TGT[0])
    assert shown.locator(".map").get_attribute("title") == f"{TGT[4]} → we: {WEIGHTS[4, 0]:.3f}"
    at(2)
    assert read() == TGT[2]
    offline.mouse.wheel(0, row * 2)
    offline.wait_for_function("scrollY > 0")
    resting = """(explorer, moved) => {
        const map = explorer.shadowRoot.querySelector('.map'), [screenX, y] = explorer.pointer;
        const { left: clientX, top: clientY } = map.getBoundingClientRect();
        map.dispatchEvent(new PointerEvent('pointermove', { clientX, clientY, screenX, screenY: y + moved }));
    }"""
    before = read()
    shown.evaluate(resting, 0)
    assert read() == before
    shown.evaluate(resting, 1)
    assert read() == TGT[0]
    shown.locator(".map").click(position={"x": 5, "y": 3.5 * row})
    assert step(shown) == TGT[3]
    offline.mouse.move(2, 2)
    assert read() == TGT[3]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violations(offline, scheme):
    (shown,) = put(offline, explore(THREE, links={"trained": GOLD}, epochs="updates"), scheme=scheme)
    table(shown)
    assert (shown.get_attribute("dark") is not None) == (scheme == "dark")
    found = Axe().run(offline).response
    assert found["violations"] == [], json.dumps(found["violations"], indent=1)
    shown.evaluate("e => e.shadowRoot.querySelector('.reading').style.color = '#8886'")
    shown.evaluate("e => e.shadowRoot.querySelector('input').removeAttribute('aria-label')")
    found = Axe().run(offline).response["violations"]
    assert {"color-contrast", "label"} <= {problem["id"] for problem in found}, "axe looks inside"


def test_background_follows_the_text_color_of_the_page(offline):
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
    for scheme, color in (("dark", "rgb(22, 25, 29)"), ("light", "rgb(255, 255, 255)")):
        offline.emulate_media(color_scheme=scheme)
        offline.wait_for_timeout(50)
        assert shown.evaluate(paper) == color


def test_motion_can_be_reduced_and_print_shows_everything(offline):
    (shown,) = put(offline, explore(random_map(80, 80)))
    moves = """({ shadowRoot }) => [getComputedStyle(shadowRoot.querySelector('.picture')).scrollBehavior,
        getComputedStyle(shadowRoot.querySelector('.track i')).transitionDuration.split(',')[0]]"""
    assert shown.evaluate(moves) == ["smooth", "0.15s"]
    offline.emulate_media(reduced_motion="reduce")
    assert shown.evaluate(moves) == ["auto", "0s"]
    scroll = shown.locator(".picture")
    assert scroll.evaluate("s => s.clientHeight < s.scrollHeight")
    offline.emulate_media(media="print")
    assert scroll.evaluate("s => s.clientHeight == s.scrollHeight")


@pytest.mark.parametrize("width", [360, 1300])
def test_long_and_short_sentences_fit_and_the_step_stays_visible(offline, width):
    offline.emulate_media(reduced_motion="reduce")
    offline.set_viewport_size({"width": width, "height": 900})
    long, short = random_map(80, 79), random_map(3, 3)
    shown, small, _ = put(offline, explore(long), explore(short), explore(THREE, epochs="updates"))
    for each in (shown, small):
        table(each)
    assert offline.evaluate("document.documentElement.scrollWidth") <= width
    fits = "s => s.scrollWidth == s.clientWidth && s.scrollHeight == s.clientHeight"
    assert small.locator(".picture").evaluate(fits)
    visible = "all => all.map(l => getComputedStyle(l).visibility)"
    assert {*small.locator(".word").evaluate_all(visible)} == {"visible"}
    labels = shown.locator(".word").evaluate_all(visible)
    assert 79 // 2 <= labels.count("visible") <= 79 // 2 + 2, "labels are thinned out"

    shown.locator(".tgt [role=option]").first.focus()
    for key, row in (("End", 79), ("PageUp", 69), ("Home", 0)):
        offline.keyboard.press(key)
        top = int(long[0][row].argmax())
        view, option, label = (
            shown.locator(what).bounding_box()
            for what in (".picture", ".tgt [aria-selected=true]", ".word.top")
        )
        x = shown.locator(".map").bounding_box()["x"] + (top + 0.5) * 13
        assert view["y"] < option["y"] < view["y"] + view["height"] - option["height"], key
        assert option["x"] >= view["x"] - 1, "the words stay while the map goes sideways"
        assert option["x"] + option["width"] - 1 <= x <= view["x"] + view["width"], (key, top)
        assert label
        assert shown.locator(".word.top").evaluate("l => getComputedStyle(l).visibility") == "visible"
        assert offline.evaluate("scrollX") == 0


def test_explorers_on_one_page_are_independent(offline):
    first, second = put(offline, explore((WEIGHTS, SRC, TGT)), explore((OTHER, SRC, TGT)))
    first.locator(".tgt [role=option]").nth(4).click()
    assert (step(first), step(second)) == (TGT[4], TGT[0])
    assert table(second)[2] == expected_cells(OTHER)
    first.evaluate("e => { e.nextSibling.remove(); e.remove() }")
    offline.locator(TAG).locator(".tgt [role=option]").nth(2).click()
    assert step(offline.locator(TAG)) == TGT[2]
    offline.locator(TAG).evaluate("e => document.body.prepend(e)")  # as when a cell is moved
    assert offline.locator(TAG).locator("section").count() == 1
    assert step(offline.locator(TAG)) == TGT[2]


HOSTILE = ["<img src=https://x.example/a.png onerror=alert(1)>", "'\"&amp;", "</script><b>", "$x$", "&#39;"]


def test_tokens_are_escaped(offline):
    (shown,) = put(offline, explore({"<i>'\"": (WEIGHTS[:5], HOSTILE, HOSTILE[::-1])}))
    assert table(shown)[:2] == ([*HOSTILE, "entropy"], [*HOSTILE[::-1], "coverage"])
    assert shown.locator(".name").text_content() == "<i>'\""
    assert shown.locator(".panels b").count() == 1  # of the reading


# Without scripts


def test_page_without_scripts_shows_a_picture_and_the_largest_weights(browser):
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


def test_picture_shows_the_weights_and_the_alternative_text():
    shown = explore((WEIGHTS, SRC, TGT), alt='"frais" looks at <fresh>')._repr_html_()
    assert 'alt="&quot;frais&quot; looks at &lt;fresh&gt;"' in shown
    png = base64.b64decode(re.search(r"base64,([^\"]+)", shown)[1])
    picture = np.array(Image.open(io.BytesIO(png)).convert("RGB")).astype(int).reshape(-1, 3)
    for color in colors(WEIGHTS).reshape(-1, 3):
        assert abs(picture - color).max(1).min() <= 8


def test_output_stays_under_150_kilobytes():
    first, *others = (random_map(40, 40, seed) for seed in range(4))
    maps = [first, *((weights, *first[1:]) for weights, *_ in others)]
    assert 34_000 < len(explore({"a": maps[:2], "b": maps[2:]})._repr_html_().encode()) < 150_000


# Invalid arguments


@pytest.mark.parametrize(
    ("panels", "options", "message"),
    [
        ({}, {}, "expected 1 to 3 panels, got 0"),
        ({str(i): (WEIGHTS, SRC, TGT) for i in range(4)}, {}, "expected 1 to 3 panels, got 4"),
        ((WEIGHTS.T, SRC, TGT), {}, r"shape \(7, 5\) for .* got \(5, 7\)"),
        ((WEIGHTS[0], SRC, TGT), {}, r"shape \(7, 5\) for .* got \(5,\)"),
        ((SCORES, SRC, TGT), {}, "softmax over the source"),
        ((WEIGHTS * 1.1, SRC, TGT), {}, "softmax over the source"),
        ((WEIGHTS * float("nan"), SRC, TGT), {}, "softmax over the source"),
        ((WEIGHTS, [], TGT), {}, "one token or more"),
        ((torch.zeros(0, 5), SRC, []), {}, "one row or more"),
        (Translation(SRC, [], None), {}, "one token or more"),
        (([[1.0] * 201], ["a"] * 201, ["b"]), {}, "at most 200 tokens"),
        (WEIGHTS, {}, "got Tensor"),
        ({"a": []}, {}, "at least one map in 'a'"),
        ({"a": [(WEIGHTS, SRC, TGT), (WEIGHTS, SRC, TGT[::-1])]}, {}, "maps of 'a', got others at 2"),
        ({"a": [(WEIGHTS, SRC, TGT), (None, SRC, TGT)]}, {}, "weights in all maps of 'a'"),
        ({"a": (WEIGHTS, SRC, TGT), "b": (WEIGHTS, SRC[::-1], TGT)}, {}, "'a' and 'b' have different"),
        ({"a": [(WEIGHTS, SRC, TGT)] * 2, "b": [(WEIGHTS, SRC, TGT)] * 3}, {}, "the same epochs"),
        ((WEIGHTS, SRC, TGT), {"links": {(5, 0)}}, r"5 source and 7 .* got \(5, 0\)"),
        ((WEIGHTS, SRC, TGT), {"links": {"trained": GOLD}}, "panels with a map, got 'trained'"),
        ({"a": (WEIGHTS, SRC, TGT), "b": (WEIGHTS, SRC, TGT[::-1])}, {"links": GOLD}, "links by panel"),
    ],
)  # fmt: skip
def test_invalid_arguments_are_rejected(panels, options, message):
    with pytest.raises(ValueError, match=message):
        explore(panels, **options)


# Live


@pytest.fixture(scope="module")
def letters(encoded):
    torch.manual_seed(0)
    sizes = len(encoded.src_vocab), len(encoded.tgt_vocab)
    return encoded, {kind: Seq2Seq(*sizes, kind, embed_dim=6, hidden_dim=8) for kind in ("dot", "initial")}


def test_live_translates_in_the_page_what_the_models_write_in_python(letters, offline):
    encoded, models = letters
    (shown,) = put(offline, explore((WEIGHTS, SRC, TGT)).live(models, encoded))
    assert shown.get_by_label("Sentence").input_value() == " ".join(SRC)
    shown.get_by_label("Sentence").fill("b a zebra d zebra")
    shown.locator(".word", has_text="zebra").first.wait_for()
    assert "zebra is not in the vocabulary" in shown.locator(".message").inner_text()
    expected, sentence = {}, [["b", "a", "zebra", "d", "zebra"]]
    for name, model in models.items():
        rounded = pretrained.restore(model.config, pretrained.quantize(model))
        expected[name] = translate(rounded, encoded, sentence)[0]
    for panel, (name, translation) in zip(shown.locator("section").all(), expected.items(), strict=True):
        tokens, written = panel.locator(".tgt [role=option]").all_text_contents(), translation.tokens
        assert panel.get_attribute("aria-label") == name and tokens[: len(written)] == written
        assert tokens[len(written) :] in ([], ["(end)"])
    shown.get_by_role("button", name="Heat map").click()
    assert table(shown)[2][:-1] == expected_cells(expected["dot"].weights)[:-1]
    assert "no attention" in shown.locator("section").last.inner_text()
    shown.get_by_label("Sentence").fill("  ")
    shown.get_by_text("Type an English review").wait_for()


def test_saved_page_translates_without_a_network(letters, offline, tmp_path):
    encoded, models = letters
    path = explore((WEIGHTS, SRC, TGT)).save(tmp_path / "mine.html", model=models["dot"], encoded=encoded)
    offline.goto(path.as_uri())
    offline.get_by_label("Sentence").fill("a b")
    offline.locator(".word", has_text="b").wait_for()
    plain = explore((WEIGHTS, SRC, TGT)).save(tmp_path / "plain.html")
    offline.goto(plain.as_uri())
    assert offline.locator(".tgt [role=option]").all_text_contents() == TGT
    other = Seq2Seq(**models["dot"].config)
    other.decoder = torch.nn.Identity()
    with pytest.raises(ValueError, match="expected vocabularies of .* for 'model', got .205, 292."):
        explore((WEIGHTS, SRC, TGT)).save(tmp_path / "none.html", model=models["dot"])
    tied = Transformer(5, 5, hidden_dim=8, heads=2, ff_dim=8, tied=True)
    for model in (other, tied):
        with pytest.raises(ValueError, match="without tied embeddings, .* the page has no Python"):
            explore((WEIGHTS, SRC, TGT)).save(tmp_path / "none.html", model=model, encoded=encoded)


class Mine(Seq2Seq):
    """A model of which only Python knows what it computes."""


def test_live_translates_other_models_in_python_and_shows_errors(letters):
    encoded, models = letters
    model = Mine(**models["dot"].config)
    sentence, message, shown = explore((WEIGHTS, SRC, TGT)).live({"dot": model}, encoded).children
    assert sentence.value == " ".join(SRC)

    def html():
        return shown.outputs[0]["data"]["text/html"]

    assert ">frais<" in html()
    sentence.value = "b a zebra d zebra yak"
    assert "Not in the vocabulary: zebra, yak." in message.value
    assert '"src":["b","a","zebra","d","zebra","yak","(end)"]' in html()
    sentence.value = "a b"
    assert '"src":["a","b","(end)"]' in html()
    assert not re.sub("<.*?>", "", message.value)
    before = html()
    sentence.value = "   "
    assert "Type a sentence" in message.value
    sentence.value = "a " * 201
    assert "could not be translated" in message.value
    assert html() == before


def test_live_shows_subwords_as_words(copy_corpus, tmp_path, monkeypatch):
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


# Host pages


def notebook(*cells):
    """Build a notebook of code cells, each with a source and optionally an explorer as output."""
    found = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    for source, *shown in cells:
        data = {"text/html": "".join(s._repr_html_() for s in shown), "text/plain": "explorer"}
        outputs = [nbformat.v4.new_output("execute_result", data, execution_count=1)] if shown else []
        found.cells.append(nbformat.v4.new_code_cell(source, outputs=outputs))
    return found


NO_LIBRARIES = {f"{name}_url": "" for name in ("mathjax", "require_js", "jquery", "mermaid_js")}


def test_exported_notebooks_work_offline(offline, tmp_path):
    found = notebook(["a", explore((WEIGHTS, SRC, TGT))], ["b", explore((OTHER, SRC, TGT))])
    text, _ = HTMLExporter(**NO_LIBRARIES).from_notebook_node(found)
    (tmp_path / "page.html").write_text(text, "utf-8")
    offline.goto((tmp_path / "page.html").as_uri())
    for place, weights in enumerate((WEIGHTS, OTHER)):
        shown = offline.locator(TAG).nth(place)
        shown.locator(".tgt [role=option]").nth(3).click()
        assert step(shown) == TGT[3]
        assert table(shown)[2] == expected_cells(weights)
        assert not shown.locator("figure").is_visible()


LIVE = """from utils.explorer import explore
from utils.models import Seq2Seq
from utils.data import Corpus, Split
from utils.text import EncodedCorpus
from utils.transformer import Transformer
split = Split(["she loves cats", "he sees dogs"], ["elle aime les chats", "il voit des chiens"])
encoded = EncodedCorpus(Corpus("tiny", "en", "fr", {"train": split}, "words", "none", "none"))
model = Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), "dot", embed_dim=6, hidden_dim=8)"""
SHOW = "explore(([[0.25, 0.75], [0.5, 0.5], [1, 0]], ['she', 'sings'], ['elle', 'a', 'chanté']))"


@pytest.mark.slow
def test_explorer_works_in_jupyterlab(lab, page):
    path = "explorer.ipynb"
    found = notebook([LIVE], [SHOW, explore((WEIGHTS, SRC, TGT))], [f"{SHOW}.live(model, encoded)"])
    nbformat.write(found, lab.course / path)
    page.goto(f"{lab.url}lab/tree/{path}?token=token")

    # The notebook is not trusted yet, so no script runs.
    picture = page.get_by_role("img", name="a map of 7 target by 5 source tokens")
    picture.wait_for()
    assert picture.bounding_box()["height"] > 100
    assert page.locator(TAG).count() == 0
    page.get_by_text("largest weights of each row").click()
    assert page.get_by_text(f"{SRC[WEIGHTS[6].argmax()]} {WEIGHTS[6].max():.2f}").first.is_visible()

    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    page.get_by_role("button", name="Restart the kernel and run all cells").click()
    page.get_by_role("button", name="Confirm Kernel Restart").click()
    page.get_by_label("Sentence").wait_for(timeout=60_000)
    shown = page.locator(TAG).first
    shown.locator(".tgt [role=option]").first.click()
    for key, token in (("ArrowDown", "a"), ("d", "a"), ("d", "a"), ("ArrowDown", "chanté")):
        page.keyboard.press(key)
        assert step(shown) == token
    assert page.locator(".jp-CodeCell").count() == 3, "the shortcut d d deletes no cell"
    assert table(shown)[2][0] == ["0.250", "0.750", "0.562"]

    page.get_by_label("Sentence").fill("she loves zebras")
    page.get_by_label("Sentence").press("Enter")
    page.get_by_text("is not in the vocabulary").wait_for()
    live = page.locator(TAG).last
    live.locator(".word", has_text="zebras").wait_for()
    live.locator(".tgt [role=option]").first.click()
    page.keyboard.press("End")
    assert live.locator(".tgt [role=option]").last.get_attribute("aria-selected") == "true"

    page.get_by_role("button", name="Save and create checkpoint").click()
    page.wait_for_timeout(1_000)
    assert "of attention" in nbformat.read(lab.course / path, 4).cells[1].outputs[0].data["text/plain"]
    page.get_by_role("menuitem", name="Kernel").click()
    page.get_by_role("menuitem", name="Shut Down Kernel", exact=True).click()
    page.reload()
    shown = page.locator(TAG).first
    shown.locator(".tgt [role=option]").nth(1).click()
    assert step(shown) == "a"
    page.keyboard.press("Escape")
    page.locator(".jp-CodeCell .jp-InputPrompt").first.click()
    page.keyboard.press("d")
    page.keyboard.press("d")
    page.wait_for_function("document.querySelectorAll('.jp-CodeCell').length == 2")
