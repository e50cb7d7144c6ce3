"""A shadow is measured by four clicks on the photo, in a real browser."""

from dataclasses import replace

import pytest

from geoloc.guess import Account
from tests.browser import Watch
from tests.demo.fakes import FakeGeolocator

pytest.importorskip("gradio", reason="the demo extra is not installed")
expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

TOP, FOOT, TIP = (0.5, 0.1), (0.5, 0.6), (0.9, 0.6)


class Telling(FakeGeolocator):
    """Tells what was observed."""

    def guess(self, embeddings, photos, **options):
        guesses = super().guess(embeddings, photos, **options)
        seen = [[Account(o.witness, o.findings, o.counted) for o in p.observations] for p in photos]
        return [
            replace(guess, witnesses=tuple(own)) for guess, own in zip(guesses, seen, strict=True)
        ]


@pytest.fixture(scope="module")
def address(serve):
    return serve(Telling())


@pytest.fixture
def page(browser, address):
    context = browser.new_context(reduced_motion="reduce")
    page, watch = context.new_page(), Watch(address)
    watch.add(page, console=False)
    page.set_viewport_size({"width": 1280, "height": 1200})
    page.goto(address)
    page.get_by_role("button", name="More clues").click()
    yield page
    context.close()
    watch.check(ignored=lambda report: "Failed to initialize WebGL" in report)


def measure(page):
    return page.get_by_role("button", name="Measure a shadow on the photo")


def click(page, at):
    page.locator(".shown").scroll_into_view_if_needed()
    box = page.locator(".shown").bounding_box()
    page.mouse.click(box["x"] + at[0] * box["width"], box["y"] + at[1] * box["height"])


def test_four_clicks_on_the_photo_become_a_ratio_that_is_evidence(page, plain):
    measure(page).click()
    expect(page.get_by_text("Choose a photo first.")).to_be_visible()
    page.get_by_label("Photos", exact=True).set_input_files(plain)
    expect(page.locator(".shown img")).to_be_visible()
    measure(page).click()
    for at, asked in ((TOP, "foot of the object"), (FOOT, "shadow begins"), (FOOT, "tip of its")):
        click(page, at)
        expect(page.get_by_text(asked)).to_be_visible()
    click(page, TIP)
    shadow = page.get_by_label("Object : shadow")
    expect(shadow).not_to_have_value("")
    ratio, _, error = shadow.input_value().partition("±")
    up, along = map(float, ratio.split(":"))
    assert up / along == pytest.approx(1.25, rel=0.03)  # the photo is square
    assert error.endswith("%")
    page.get_by_label("Taken at").fill("2024-06-01T10:30Z")
    page.get_by_role("button", name="Use this shadow").click()
    expect(page.get_by_text("Position of the sun")).to_be_visible()


def test_escape_ends_a_measurement_and_short_lines_are_refused(page, plain):
    page.get_by_label("Photos", exact=True).set_input_files(plain)
    expect(page.locator(".shown img")).to_be_visible()
    measure(page).click()
    click(page, TOP)
    page.keyboard.press("Escape")
    expect(measure(page)).to_have_attribute("aria-pressed", "false")
    measure(page).click()
    for _ in range(4):
        click(page, TOP)
    expect(page.get_by_text("Too short to measure")).to_be_visible()
    expect(page.get_by_label("Object : shadow")).to_have_value("")
