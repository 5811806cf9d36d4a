"""The report in a real browser: nothing complains, nothing is fetched, what can be clicked answers, nothing sticks out.

Screenshots are kept where TOUCHSTONE_SCREENSHOTS names a folder, to be looked at.
"""

import os
from pathlib import Path

import pytest
from browser import Browser, find_browser
from made_runs import explain_run, make_run
from PIL import Image

from toolkit.report import rows_to_explain, write_report

pytestmark = pytest.mark.skipif(find_browser() is None, reason="there is no Chromium: .ci/install-browser installs one")

EVIL = '<img src="http://example.invalid/x.png" onerror="alert(1)">'
WIDTHS = {"wide": 1280, "phone": 390}


@pytest.fixture(scope="module")
def browser():
    with Browser() as found:
        yield found


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """A report of few classes, one of them called like a tag, one of a hundred, and one of both."""
    folder = tmp_path_factory.mktemp("reports")
    few = make_run(folder / "few", class_names=("daisy", EVIL, "rose"), rows=90, side=20, skill=3.5)
    many = make_run(folder / "many", classes=100, rows=2000, side=24)
    explain_run(few.folder, rows_to_explain(few.folder, 6))
    images = {"few": [few.images], "many": [many.images], "both": [few.images, many.images]}
    runs = {"few": [few.folder], "many": [many.folder], "both": [few.folder, many.folder]}
    return {name: write_report(runs[name], folder / f"{name}.html", images=images[name]) for name in runs}


@pytest.fixture(scope="module")
def screenshots(tmp_path_factory):
    wanted = os.environ.get("TOUCHSTONE_SCREENSHOTS")
    if wanted:
        Path(wanted).mkdir(parents=True, exist_ok=True)
    return Path(wanted) if wanted else tmp_path_factory.mktemp("screenshots")


def open_quietly(browser, path, **how):
    browser.open(path, **how)
    assert browser.complaints() == []
    assert browser.requests() == []


@pytest.mark.parametrize("name", ["few", "many", "both"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_opens_quietly_and_nothing_sticks_out(browser, reports, screenshots, name, width, dark):
    if dark and name == "both":
        pytest.skip("two runs are as dark as one")
    open_quietly(browser, reports[name], width=WIDTHS[width], dark=dark, phone=width == "phone")
    assert browser.run("document.documentElement.scrollWidth") <= WIDTHS[width]
    shot = browser.picture(screenshots / f"{name}_{width}_{'dark' if dark else 'light'}.png")
    with Image.open(shot) as picture:
        assert picture.width == WIDTHS[width]
        assert (sum(picture.getpixel((2, 100))[:3]) < 200) == dark
        assert len(picture.convert("L").resize((200, 400)).getcolors()) > 30  # something is drawn
    sizes = browser.run(
        "[...document.querySelectorAll('svg text')].filter(t => t.getBoundingClientRect().width)"
        ".map(t => parseFloat(getComputedStyle(t).fontSize) * Math.hypot(t.getScreenCTM().a, t.getScreenCTM().b))"
    )
    assert min(sizes) > 8.5  # pixels; smaller is not read on a phone
    heights = browser.run("[...document.querySelectorAll('.board tbody tr')].map(row => row.clientHeight)")
    assert max(heights) < 90  # no name is squeezed to a column of letters


def overlaps(browser, selector):
    """Pairs of texts of each drawing that lie over each other by more than two pixels both ways."""
    return browser.run(
        "(() => { const found = [];"
        f"for (const drawing of document.querySelectorAll({selector!r})) {{"
        "  const texts = [...drawing.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()])"
        "    .filter(([, b]) => b.width);"
        "  texts.forEach(([one, a], i) => texts.slice(0, i).forEach(([other, b]) => {"
        "    if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2"
        "      && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4)"
        "      found.push([one, other, drawing.ariaLabel]); })); }"
        "return found; })()"
    )


@pytest.mark.parametrize("name", ["few", "many"])
@pytest.mark.parametrize("width", WIDTHS)
def test_no_two_labels_cover_each_other(browser, reports, name, width):
    open_quietly(browser, reports[name], width=WIDTHS[width], phone=width == "phone")
    browser.run("document.querySelectorAll('[data-panel]').forEach(panel => { panel.hidden = false; })")
    assert overlaps(browser, "figure svg") == []


def column(browser, number):
    cells = f"document.querySelectorAll('#run0-leaderboard tbody tr td:nth-child({number})')"
    return browser.run(f"[...{cells}].map(cell => cell.dataset.order)")


def test_a_click_on_a_head_sorts(browser, reports):
    open_quietly(browser, reports["few"])
    accuracy = [float(value) for value in column(browser, 2)]
    assert accuracy == sorted(accuracy, reverse=True)
    names = column(browser, 1)
    browser.click_on("#run0-leaderboard th:nth-child(1) button")
    assert column(browser, 1) == sorted(names)
    browser.click_on("#run0-leaderboard th:nth-child(4) button")
    losses = [float(value) for value in column(browser, 4)]
    assert losses == sorted(losses)  # the first click puts the smallest loss first
    browser.click_on("#run0-leaderboard th:nth-child(4) button")
    assert [float(value) for value in column(browser, 4)] == losses[::-1]
    assert (
        browser.run("document.querySelector('#run0-leaderboard th:nth-child(4)').getAttribute('aria-sort')")
        == "descending"
    )
    assert browser.complaints() == []


@pytest.mark.parametrize("name", ["few", "many"])
@pytest.mark.parametrize("width", WIDTHS)
def test_a_cell_says_its_count_and_shows_its_images(browser, reports, name, width):
    open_quietly(browser, reports[name], width=WIDTHS[width], phone=width == "phone")
    place = browser.run(
        "(() => { const drawing = [...document.querySelectorAll('[data-who] svg.confusion')].find(d => d.clientWidth);"
        "drawing.scrollIntoView({block: 'center', behavior: 'instant'});"
        "const cells = drawing.querySelector('.cells').getScreenCTM();"
        "const p = new DOMPoint(1.5, 1.5).matrixTransform(cells); return [p.x, p.y]; })()"
    )
    browser.click(*place)
    name_of_class = browser.run("JSON.parse(document.querySelector('script[type]').textContent).classes[1]")
    tip = browser.run("document.getElementById('tip').textContent")
    assert tip.startswith(f"{name_of_class}, recognised")
    assert "% of the class" in tip
    said = browser.run("document.querySelector('.found p').textContent")
    tiles = browser.run("document.querySelectorAll('.found .tile').length")
    assert int(said.split()[0]) == tiles > 0
    loaded = "[...document.querySelectorAll('.found img')].every(image => image.complete && image.naturalWidth > 0)"
    browser.run("Promise.all([...document.querySelectorAll('.found img')].map(image => image.decode()))")
    assert browser.run(loaded)
    assert browser.run("document.querySelectorAll('.found img').length") == tiles
    browser.click_on(".matrix li button")
    assert " taken for " in browser.run("document.querySelector('.found h3').textContent")
    assert browser.complaints() == []
    assert browser.requests() == []


def test_the_arrow_keys_move_through_the_matrix(browser, reports):
    open_quietly(browser, reports["few"])
    browser.run("[...document.querySelectorAll('svg.confusion')].find(d => d.clientWidth).focus()")
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "Enter"):
        browser.call("Input.dispatchKeyEvent", type="keyDown", key=key)
    assert browser.run("document.querySelector('.found h3').textContent") == f"{EVIL}, recognised"
    assert browser.complaints() == []


def test_tabs_show_one_panel_each(browser, reports):
    open_quietly(browser, reports["few"])
    shown = "[...document.querySelectorAll('#run0-gallery [data-panel]')].map(panel => !panel.hidden)"
    assert browser.run(shown) == [True, False, False]
    browser.click_on("#run0-gallery .tabs button:nth-child(2)")
    assert browser.run(shown) == [False, True, False]
    assert browser.run("document.querySelectorAll('#run0-gallery-1 .card img').length") > 0
    assert browser.run("document.querySelectorAll('#run0-gallery-1 .explained .heat').length") >= 2 * 6  # for all alike
    pictures = "[...document.querySelectorAll('#run0-gallery-1 img')].every(image => image.naturalWidth > 0)"
    assert browser.run(pictures)
    browser.call("Input.dispatchKeyEvent", type="keyDown", key="ArrowRight")
    assert browser.run(shown) == [False, False, True]


def test_the_button_turns_it_dark_and_back(browser, reports):
    open_quietly(browser, reports["few"])
    paper = "getComputedStyle(document.body).backgroundColor"
    light = browser.run(paper)
    browser.click_on(".theme")
    assert browser.run(paper) != light
    browser.click_on(".theme")
    assert browser.run(paper) == light


def test_on_paper_all_panels_are_there(browser, reports):
    open_quietly(browser, reports["few"], dark=True)
    browser.call(
        "Emulation.setEmulatedMedia", media="print", features=[{"name": "prefers-color-scheme", "value": "dark"}]
    )
    hidden = "[...document.querySelectorAll('[data-panel]')].filter(panel => !panel.getClientRects().length).length"
    assert browser.run(hidden) == 0
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    paper = 696  # pixels between the margins of A4
    browser.call("Emulation.setDeviceMetricsOverride", width=paper, height=1000, deviceScaleFactor=1, mobile=False)
    reach = "Math.max(...[...document.querySelectorAll('.board td, svg')].map(e => e.getBoundingClientRect().right))"
    assert browser.run(reach) <= paper + 1  # no column is cut off
    browser.call("Emulation.setEmulatedMedia", media="")
