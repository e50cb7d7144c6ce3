from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from demo.page import explanation, view
from demo.page.session import Session, UploadedPhoto
from geoloc.encoders.pipeline import unnamed_photos
from geoloc.errors import PhotoError
from geoloc.guess import Attribute, Exif, Neighbour
from tests.demo.guesses import make_guess


def headline(guess, has_circle=True):
    return view.headline(guess, *view.headline_texts(guess, has_circle))


@pytest.mark.parametrize(
    ("confidence", "title", "sentence", "steps"),
    [
        ("city", "Sydney, New South Wales, Australia", "8 of 10", 3),
        ("region", "New South Wales, Australia", "Best guess: Sydney", 2),
        ("country", "Australia", "Best guess: Sydney", 1),
        ("not sure", "Not sure where this is", "Best guess: Sydney", 0),
    ],
)
def test_the_headline_claims_no_more_than_the_calibration(confidence, title, sentence, steps):
    shown = headline(make_guess(confidence=confidence, radius_km=1234.4))
    assert f"<h2>{title}</h2>" in shown
    assert sentence in shown
    assert "within 1,200 km" in shown
    assert shown.count('<li class="on"') == steps


def test_the_headline_names_constraint_and_number_of_photos():
    guess = replace(
        make_guess(confidence="not sure"), photos=("1.jpg", "2.jpg", "3.jpg"), contradictory=True,
        within="Australia",
    )  # fmt: skip
    shown = headline(guess)
    assert "These 3 photos seem to show different places" in shown
    assert "One answer for 3 photos." in shown
    assert "<h2>In Australia</h2>" in shown
    assert "In Australia, as given." in shown
    agreeing = headline(replace(guess, contradictory=False))
    assert "different places" not in agreeing
    assert "In Australia, as given." in agreeing


def test_the_headline_names_a_best_guess_that_is_not_the_first_place():
    guess = replace(make_guess(confidence="not sure"), lat=-38.0, lon=149.0, probability=0.1)
    shown = headline(guess)
    assert "of the best guess" in shown
    assert shown.lower().count("not sure") == 1


def test_a_radius_is_given_only_where_a_circle_is_a_fair_summary():
    shown = headline(make_guess(confidence="not sure", radius_km=9000.0), has_circle=False)
    assert "9,000 km" not in shown
    assert "The map shades where 8 of 10 photos like this lie." in shown


def test_the_exif_position_is_compared_but_not_used():
    hobart = make_guess(exif=Exif(-42.88, 147.33, "2024-07-14T09:30:00"))
    panel = view.exif_panel(hobart.exif, hobart.exif_distance_km)
    assert "This file contains a GPS position." in panel
    assert "-42.88000, 147.33000" in panel
    assert "1,057 km" in panel
    assert "not used" in panel
    assert "2024-07-14 09:30:00" in panel
    assert "No GPS position in this file." in view.exif_panel(Exif(), None)


def test_candidates_are_ranked_and_link_to_other_maps():
    table = view.places(make_guess())
    first, second = table.partition("<tbody>")[2].split("<tr")[1:]
    assert "Sydney, New South Wales, Australia" in first
    for part in ("-33.8700, 151.2100", "62.0 %", "geo:-33.87000,151.21000"):
        assert part in first
    assert "https://www.openstreetmap.org/?mlat=-33.87000&amp;mlon=151.21000" in first
    assert "query=-42.88000,147.33000" in second
    assert "chance that the photo was taken within 25 km" in table


NASTY = "<img src=x onerror=alert(1)>\"'"


def test_text_from_files_and_bundles_is_escaped():
    place = replace(make_guess().place, town=NASTY)
    guess = make_guess()
    candidates = tuple(replace(candidate, place=place) for candidate in guess.candidates)
    neighbour = Neighbour(0.0, 0.0, 0.5, f"https://example.org/{NASTY}", NASTY, NASTY)
    evidence = replace(guess.evidence, attributes=(Attribute(NASTY, NASTY, 0.5),))
    guess = replace(
        guess, place=place, candidates=candidates, neighbours=(neighbour,), evidence=evidence,
        within=NASTY,
    )  # fmt: skip
    uploads = (
        UploadedPhoto(Path(NASTY), PhotoError(NASTY)),
        UploadedPhoto(Path(NASTY), unnamed_photos(1)[0], "data:image/jpeg;base64,"),
    )
    session = Session("fake", uploads, np.empty((0, 4)), (guess,), True, run=NASTY)
    for shown in (
        headline(guess), view.places(guess), view.strip(session), view.notice(NASTY),
        view.photo(replace(session, selected=1)), view.unreadable(PhotoError(NASTY)),
        explanation.attributes(guess), explanation.neighbours(guess),
    ):  # fmt: skip
        assert "<img src=x" not in shown
        assert NASTY not in shown


def test_gallery_photos_are_credited():
    guess = make_guess()
    shown = explanation.neighbours(guess)
    assert 'href="https://photos.example/A_quay.jpg"' in shown
    assert "A Known Author, CC BY 4.0" in shown
    repository = Neighbour(1.0, 2.0, 0.5, "github.com/me/walks@0a1b:photos/x_y.jpg", "CC0", "")
    script = Neighbour(1.0, 2.0, 0.5, "javascript:alert(1)", "", "")
    shown = explanation.neighbours(replace(guess, neighbours=(repository, script)))
    assert ">x y.jpg<" in shown
    assert "CC0, github.com/me/walks" in shown
    assert "<a " not in shown
    assert explanation.neighbours(replace(guess, neighbours=())) == ""


def test_facts_from_maps_are_separate_from_estimates_of_the_photo():
    guess = make_guess()
    shown = explanation.attributes(guess)
    assert "93.0 %" in shown
    assert "From map data, not from the photo." in shown
    assert "Australia/Sydney" in shown
    climate = (*guess.evidence.attributes, Attribute("climate", "Cfa", 0.6))
    climate += (Attribute("elevation", "120 m"),)
    shown = explanation.attributes(
        replace(guess, evidence=replace(guess.evidence, attributes=climate))
    )
    assert "From map data" not in shown
    assert "120 m" in shown
