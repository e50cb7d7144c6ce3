"""The first visit on a phone, with the starter: a photo, where it may be and why, Italy, a link."""

import pytest

pytest.importorskip("gradio", reason="the demo extra is not installed")
pytest.importorskip("faiss", reason="the cpu extra is not installed")

from demo.page.game import photos
from geoloc.geolocator import Geolocator
from tests.browser import Watch

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect

PHONE = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 2,
    "reduced_motion": "reduce",
    "permissions": ["clipboard-read", "clipboard-write"],
}


def test_a_visitor_on_a_phone_corrects_the_answer_by_a_country_and_shares_it(serve, browser):
    address = serve(Geolocator.from_bundle("starter"))
    watch = Watch(address)
    context = browser.new_context(**PHONE)
    page = context.new_page()
    watch.add(page, console=False)
    page.goto(address)
    expect(page.get_by_role("button", name="Take a photo")).to_be_in_viewport()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose photos").tap()
    chooser.value.set_files(photos.examples()[0])
    answer = page.locator(".answer-part h2")
    expect(answer).to_be_in_viewport()  # at once, without scrolling
    before = answer.inner_text()
    for why in ("Similar photos", "What the photo suggests"):
        expect(page.get_by_role("heading", name=why)).to_be_visible()
    field = page.get_by_label("What do you know about the place?").locator("visible=true")
    field.tap()
    field.press_sequentially("Ital")
    page.get_by_role("option", name="Italy").first.tap()
    expect(page.get_by_text("In Italy, as given.")).to_be_visible()
    expect(answer).to_be_in_viewport()
    italian = answer.inner_text()
    assert italian != before
    expect(page.locator("table.places tbody tr").first).to_contain_text("Italy")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Copy a link to this answer").tap()
    expect(page.get_by_text("Link copied.")).to_be_visible()
    link = page.evaluate("navigator.clipboard.readText()")
    context.close()
    other = browser.new_context(**PHONE)
    page = other.new_page()
    watch.add(page, console=False)
    page.goto(link)
    shared = page.get_by_role("region", name="Answer of a link")
    expect(shared.get_by_role("heading", name=italian)).to_be_visible()
    expect(shared.locator(".map-pin.answer")).to_be_visible()
    other.close()
    watch.check()
