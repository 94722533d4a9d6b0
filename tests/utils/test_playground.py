"""The playground in a real browser, with the pretrained models, as the site has it: from files, offline."""

import json
from urllib.parse import parse_qs

import numpy as np
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe

from utils import pretrained
from utils.explorer import TAG, export, playground
from utils.models import translate
from utils.text import BOS_ID, EOS_ID, encoded_reviews

OPENING = "the restaurant was amazing but the service was slow"
FRENCH = ["le", "restaurant", "était", "incroyable", "mais", "le", "service", "était", "lent"]
UPDATES = (*export.SNAPSHOTS, None)
SNAPSHOTS = [{"update": update, "loss": 5 - i, "error": 0.9} for i, update in enumerate(UPDATES)]


@pytest.fixture(scope="module")
def site(scripts):
    """A page beside the models that it loads."""
    data = {"files": "models/", "share": True, "play": False, "snapshots": SNAPSHOTS}
    return playground(pretrained.MODELS, **data).save(scripts.parent / "page.html")


@pytest.fixture
def opened(offline, site):
    """The page after its first translation."""
    offline.emulate_media(reduced_motion="reduce")
    offline.goto(site.as_uri())
    offline.locator(".tgt [role=option]").first.wait_for()
    return offline


def written(page, place=0):
    """Return the tokens of a panel, without the end token."""
    tokens = page.locator("section").nth(place).locator(".tgt [role=option]").all_text_contents()
    return [token for token in tokens if token != "(end)"]


def at(page, step):
    page.locator(".tgt [role=option]").nth(step).click()


def weights(page):
    """Return the weights of the current step."""
    return [int(word.get_attribute("aria-valuenow")) / 100 for word in page.locator("[role=slider]").all()]


def probabilities(page):
    return {
        button.locator(".token").text_content(): float(button.locator(".value").text_content())
        for button in page.locator(".next button").all()
    }


def say(page, sentence):
    page.get_by_label("Sentence").fill(sentence)
    page.get_by_label("Sentence").press("Enter")


def in_python(sentence, context="additive"):
    encoded = encoded_reviews()
    return translate(pretrained.load(context), encoded, [sentence.split()])[0]


def test_page_opens_on_a_translated_sentence_with_its_score(opened):
    assert written(opened) == FRENCH
    assert opened.locator(".right").text_content() == "9 of 9 words right"
    assert opened.get_by_label("Sentence").input_value() == OPENING
    at(opened, 3)
    expected = in_python(OPENING).weights[3].tolist()
    assert weights(opened) == pytest.approx(expected, abs=0.0051)
    assert opened.locator(".lines .lit").count() == sum(weight >= 0.01 for weight in expected)


def test_page_plays_until_somebody_takes_over(page, site):
    page.goto(site.as_uri())
    page.locator(".tgt [role=option]").first.wait_for()
    page.get_by_role("button", name="Play").click()
    page.get_by_text("step 3 of 10").first.wait_for()
    page.get_by_role("button", name="Pause").click()
    assert page.get_by_role("button", name="Play").is_visible()


def test_typed_sentences_are_cleaned_and_unknown_words_get_a_neighbor(opened):
    say(opened, "The SOUP wasn't cold, and the winne was good!")
    opened.locator(".word.unknown").wait_for()
    assert opened.locator(".word .text").all_text_contents()[:6] == ["the", "soup", "was", "not", "cold", ","]
    assert "winne is not in the vocabulary" in opened.locator(".message").inner_text()
    opened.locator(".message").get_by_role("button", name="wine").click()
    opened.locator(".word", has_text="wine").wait_for()
    assert opened.locator(".word.unknown").count() == 0
    assert written(opened) == in_python("the soup was not cold , and the wine was good").tokens


def test_forcing_a_word_goes_on_from_it(opened):
    at(opened, 3)
    other = next(word for word in probabilities(opened) if word != "incroyable")
    opened.locator(".next button", has_text=other).first.click()
    assert written(opened)[3] == other
    assert written(opened)[:3] == FRENCH[:3]
    opened.get_by_role("button", name="Reset").click()
    opened.locator(".tgt [role=option]", has_text="incroyable").wait_for()
    assert written(opened) == FRENCH


def test_dragged_weights_move_the_next_words_and_continue_decodes_on(opened):
    at(opened, 3)
    track = opened.locator(".word .track").nth(8).bounding_box()  # of "slow"
    x = track["x"] + track["width"] / 2
    opened.mouse.move(x, track["y"] + track["height"] - 1)
    opened.mouse.down()
    opened.mouse.move(x, track["y"] + 1)
    opened.mouse.up()
    assert weights(opened)[8] > 0.95
    assert sum(weights(opened)) == pytest.approx(1, abs=0.05)
    assert written(opened) == FRENCH, "the translation waits"
    assert max(probabilities(opened), key=probabilities(opened).get) == "lent"
    assert opened.locator(".changed").text_content().startswith("probability of “incroyable”: 1.00 → 0.")
    opened.get_by_role("button", name="Continue").click()
    assert written(opened)[3] == "lent"


def test_presets_set_the_weights(opened):
    at(opened, 3)
    count = opened.locator("[role=slider]").count()
    own = weights(opened)
    opened.get_by_role("button", name="even").click()
    assert weights(opened) == pytest.approx([1 / count] * count, abs=0.006)
    opened.locator("[role=slider]").nth(2).focus()
    opened.get_by_role("button", name="only “was”").click()
    assert weights(opened) == [float(i == 2) for i in range(count)]
    opened.get_by_role("button", name="gold").click()
    assert weights(opened) == [float(i == 3) for i in range(count)]
    opened.get_by_role("button", name="Reset").click()
    assert weights(opened) == own
    opened.get_by_role("button", name="shuffled").click()
    assert sorted(weights(opened)) == pytest.approx(sorted(own), abs=0.006)


def test_keyboard_alone_edits_and_continues(opened):
    opened.locator(".tgt [tabindex='0']").focus()
    for _ in range(3):
        opened.keyboard.press("ArrowRight")
    opened.locator(".src [tabindex='0']").focus()
    for _ in range(8):
        opened.keyboard.press("ArrowRight")
    before = weights(opened)[8]
    for _ in range(10):
        opened.keyboard.press("+")
    assert before < 0.5 < 0.95 < weights(opened)[8]
    opened.get_by_role("button", name="Continue").press("Enter")
    assert written(opened)[3] == "lent"


def test_clauses_keep_the_reference_and_the_gold_links(opened):
    opened.get_by_role("button", name="Another review").click()
    opened.locator(".word", has_text="waiters").first.wait_for()
    opened.get_by_role("button", name="+ clause").click()
    opened.locator(".word", has_text="slow").first.wait_for()
    review = export.reviews(1)[0]
    sentence = f"{review[0]} but the service was slow"
    reference = [*review[1].split(), "mais", "le", "service", "était", "lent"]
    assert opened.get_by_label("Sentence").input_value() == sentence
    assert opened.locator(".right").text_content() == f"{len(reference)} of {len(reference)} words right"
    assert written(opened) == reference
    opened.get_by_role("button", name="Heat map").click()
    links = opened.locator(".link").evaluate_all("all => all.map(link => link.getAttribute('style'))")
    last = f"--row: {len(reference) - 1}; --column: {len(sentence.split()) - 1}"
    assert last in links and len(links) == len(review[2].split()) + 5
    opened.get_by_role("button", name="− clause").click()
    opened.locator(".word", has_text="slow").wait_for(state="detached")
    assert opened.get_by_label("Sentence").input_value() == review[0]


def test_models_are_compared_side_by_side_on_one_grid(opened):
    for name in ("fixed context", "Transformer"):
        opened.get_by_role("group", name="Models").get_by_role("button", name=name).click()
    opened.locator("section").nth(2).wait_for()
    opened.get_by_role("button", name="+ clause").click()
    opened.locator(".word", has_text="soup").first.wait_for()
    sentence = OPENING + " and besides the soup was cold"
    names = ("fixed", "additive", "transformer")
    for place, context in enumerate(names):
        assert written(opened, place) == in_python(sentence, context).tokens, context
    opened.get_by_role("button", name="Heat map").click()
    cells = {box.bounding_box()["width"] for box in opened.locator(".map canvas").all()}
    assert len(cells) == 1
    steps = opened.locator(".tgt [aria-selected=true]").all_text_contents()
    assert len(steps) == 3
    assert "no attention" in opened.locator("section").first.inner_text()
    opened.set_viewport_size({"width": 390, "height": 900})
    assert [panel.is_visible() for panel in opened.locator("section").all()] == [False, False, True]
    opened.locator(".tabs button").first.click()
    assert [panel.is_visible() for panel in opened.locator("section").all()] == [True, False, False]
    assert opened.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_training_slider_shows_snapshots(opened):
    opened.locator(".more summary").click()
    slider = opened.get_by_label("training of the additive model")
    slider.press("Home")
    opened.get_by_text("loss 5.00 nats per token").wait_for()
    model = pretrained.restore(*export.read("additive", export.SNAPSHOTS[0]))
    early = translate(model, encoded_reviews(), [OPENING.split()])[0]
    opened.wait_for_function(
        f"document.querySelector('{TAG}').shadowRoot.querySelectorAll('.tgt [role=option]').length"
        f" == {len(early.weights)}"
    )
    assert written(opened) == early.tokens
    slider.press("End")
    opened.get_by_text("loss 2.00 nats per token").wait_for()
    opened.locator(".tgt [role=option]", has_text="incroyable").wait_for()
    assert written(opened) == FRENCH


def test_temperatures_divide_the_scores_of_attention_and_the_logits(opened):
    opened.locator(".more summary").click()
    opened.get_by_label("temperature of the output").press("End")
    model, encoded = pretrained.load("additive"), encoded_reviews()
    src = torch.tensor([[*encoded.src_vocab.encode(OPENING.split()), EOS_ID]])
    with torch.no_grad():
        logits, own = model(src, torch.tensor([src.shape[1]]), torch.tensor([[BOS_ID]]))
    expected = (logits[0, 0, EOS_ID:] / 4).softmax(-1)
    found = probabilities(opened)
    assert found["le"] == pytest.approx(expected[encoded.tgt_vocab.ids["le"] - EOS_ID].item(), abs=0.006)
    opened.get_by_label("temperature", exact=True).press("End")
    flat = own[0, 0] ** (1 / 4)
    assert weights(opened) == pytest.approx((flat / flat.sum()).tolist(), abs=0.006)


def test_a_link_holds_sentence_models_step_view_and_edits(opened, site):
    opened.get_by_role("group", name="Models").get_by_role("button", name="dot").first.click()
    say(opened, "the soup was cold")
    opened.locator("section").nth(1).wait_for()
    opened.locator(".word", has_text="soup").first.wait_for()
    at(opened, 3)
    opened.locator("section").first.get_by_role("button", name="even").click()
    opened.locator("section").first.get_by_role("button", name="Continue").click()
    opened.locator(".more summary").click()
    opened.get_by_role("button", name="Copy a link").click()
    seen = [written(opened, 0), written(opened, 1), weights(opened)]
    fragment = opened.evaluate("location.hash")
    assert parse_qs(fragment[1:])["s"] == ["the soup was cold"]
    opened.goto("about:blank")
    opened.goto(site.as_uri() + fragment)
    opened.locator("section").nth(1).wait_for()
    assert [written(opened, 0), written(opened, 1), weights(opened)] == seen
    opened.goto("about:blank")
    opened.goto(site.as_uri() + "#s=the+soup&m=nothing&t=x&e={]&f=[1]&T=99&v=<b>&u=7")
    opened.locator(".tgt [role=option]").first.wait_for()


def test_pictures_and_numbers_can_be_saved(opened, tmp_path):
    opened.locator(".more summary").click()
    for kind in ("csv", "svg", "png"):
        with opened.expect_download() as download:
            opened.get_by_role("button", name=kind.upper()).click()
        download.value.save_as(tmp_path / f"a.{kind}")
    caption, head, *rows = (tmp_path / "a.csv").read_text().splitlines()
    assert caption.startswith("# Attention weights of additive at temperature 1: the restaurant")
    assert head.split(",")[2:] == [*OPENING.split(), "(end)"]
    table = np.array([row.split(",")[2:] for row in rows], dtype=float)
    assert table == pytest.approx(in_python(OPENING).weights.numpy(), abs=1e-4)
    svg = (tmp_path / "a.svg").read_text()
    assert "incroyable" in svg and "Attention weights of additive" in svg
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_the_tour_has_six_steps_and_takes_the_spotlight_away(opened):
    opened.get_by_role("button", name="Take the tour").click()
    for step in range(1, 7):
        opened.get_by_text(f"{step} of 6").wait_for()
        if step == 1:
            opened.get_by_label("fixed context", exact=True).wait_for()
        if step == 4:
            opened.get_by_text("probability of “incroyable”").wait_for()
        opened.get_by_role("button", name="Done" if step == 6 else "Next").click()
    assert not opened.get_by_role("region", name="Guided tour").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violations(opened, scheme):
    opened.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    opened.get_by_role("group", name="Models").get_by_role("button", name="fixed context").click()
    opened.locator("section").nth(1).wait_for()
    opened.locator(".more summary").click()
    say(opened, "the sushi was cold")
    opened.locator(".word.unknown").first.wait_for()
    for view in ("Lines", "Heat map"):
        opened.get_by_role("button", name=view).click()
        found = Axe().run(opened).response["violations"]
        assert found == [], json.dumps(found, indent=1)[:3000]
    small = opened.locator(TAG).evaluate(
        """e => [...e.shadowRoot.querySelectorAll("button, input, summary, .track, [role=option]")]
            .filter(node => node.checkVisibility()).map(node => [node.outerHTML.slice(0, 90),
            node.getBoundingClientRect()]).filter(([, box]) => box.height < 18 || box.width < 18)
            .map(([text]) => text)"""
    )
    assert small == []
