"""Draw the pictures of README, and the card that messengers show beside a link to the web edition.

    make grade && .venv/bin/python web/picture.py [CLASS]

takes screenshots of the real pages with Chromium. In web/_static, playground.webp shows the playground step
by step, then with another spotlight, and card.png its beginning under the title of the course. feedback.webp
and report.webp show pages of a graded CLASS, by default the one of `make grade`.
"""

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "web" / "_static" / "playground.webp"
CARD = FILE.with_name("card.png")
TITLE = "Attention, taught so that it can be seen"
WIDTH, MARGIN = 800, 12  # pixels
STEP, LAST = 800, 2500  # milliseconds
HIDDEN = "details, .plain { display: none !important } .round { visibility: hidden }"


def frames(page):
    """Return the screenshots, cropped to the same size, and how long each is shown."""
    found = []

    def shot(duration):
        box = page.locator("section").bounding_box()
        image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        found.append((image, duration, box["y"] + box["height"] + MARGIN))

    steps = page.locator(".tgt [role=option]")
    for step in range(steps.count() - 1):
        steps.nth(step).click()
        shot(STEP)
    steps.nth(3).click()
    page.locator("[role=slider]").nth(8).focus()
    page.get_by_role("button", name="only “slow”").click()
    shot(LAST)
    page.get_by_role("button", name="Continue").click()
    shot(LAST)
    images, durations, ends = zip(*found, strict=True)
    return [image.crop((0, 0, WIDTH, round(max(ends)))) for image in images], durations


def card(path, browser):
    """Return the card, 1200 by 630 pixels."""
    page = browser.new_page(viewport={"width": 1200, "height": 630}, reduced_motion="reduce")
    page.goto(path.as_uri())
    page.add_style_tag(content="h1 { font-size: 48px !important }")
    page.locator("h1").evaluate("(heading, title) => heading.textContent = title", TITLE)
    page.locator(".tgt [role=option]").nth(3).click()
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(128)


def graded(folder, browser):
    """Save the beginning of a feedback page, and the class report from its first matrix on."""
    feedback = "feedback/emre/02_attention/02_attention.html", "Exercise 02 · Build the spotlight", (740, 850)
    report = "graded/02_attention.html", "Students", (760, 550)
    for name, (place, start, size) in {"feedback": feedback, "report": report}.items():
        file = FILE.with_name(f"{name}.webp")
        page = browser.new_page(viewport=dict(zip(("width", "height"), size, strict=True)))
        page.goto((folder / place).as_uri())
        top = page.get_by_role("heading", name=start, exact=True).bounding_box()["y"] - MARGIN
        clip = {"x": 0, "y": max(0, top), "width": size[0], "height": size[1]}
        shot = Image.open(io.BytesIO(page.screenshot(clip=clip, full_page=True)))
        shot.convert("RGB").save(file, quality=80, method=6)
        yield file


def main():
    """Write all pictures and print their sizes."""
    from make_notebooks import chromium
    from utils.explorer import playground

    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        path = playground().save(Path(folder) / "page.html")
        page = browser.new_page(viewport={"width": WIDTH, "height": 900}, reduced_motion="reduce")
        page.goto(path.as_uri())
        page.locator(".tgt [role=option]").first.wait_for()
        page.locator("[data-explorer]").evaluate(
            "(e, css) => e.shadowRoot.append(Object.assign(document.createElement('style'), "
            "{ textContent: css }))",
            HIDDEN,
        )
        pictures, durations = frames(page)
        shot = card(path, browser)
        others = list(graded(Path(*sys.argv[1:2] or [ROOT / "build" / "class"]).resolve(), browser))
    options = {"save_all": True, "append_images": pictures[1:], "duration": durations, "loop": 0}
    pictures[0].save(FILE, quality=70, method=6, **options)
    shot.save(CARD, optimize=True)
    for file in (FILE, CARD, *others):
        print(f"{file.relative_to(ROOT)}  {file.stat().st_size:,} bytes")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
