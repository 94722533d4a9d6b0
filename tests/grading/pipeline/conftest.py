import pytest
from axe_playwright_python.sync_playwright import Axe


@pytest.fixture(params=[(390, "dark"), (1000, "light")], ids=["telephone", "wide"])
def show(request, browser, tmp_path):
    """Show a page on a screen. It must fit, and axe must find nothing."""
    width, scheme = request.param
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)

    def show(text):
        (tmp_path / "page.html").write_text(text, "utf-8")
        page.goto((tmp_path / "page.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert [(v["id"], v["nodes"][0]["html"]) for v in Axe().run(page).response["violations"]] == []
        return page

    yield show
    page.close()
