"""Every consumer of a bundle gives the same answer to the same photos."""

import json
from dataclasses import replace

import numpy as np
import pytest

from demo.api.inference import ConcurrentGeolocator
from geoloc.bundle import directory as bundles
from geoloc.evaluation.answering import answer
from geoloc.game.places import Places
from geoloc.game.players.bundle import BundleAnswers
from geoloc.geolocator import Geolocator
from tests.commands import in_process
from tests.geoloc.evaluation.samples import drawn_benchmark
from tests.scenes import draw_photo

SAME = ("lat", "lon", "probability", "radius_50_km", "radius_80_km", "radius_95_km", "chance_200km")


@pytest.fixture(scope="module")
def bundle():
    return bundles.load("starter")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two folders of two photos each, which are also two groups of `batch`."""
    root, rng = tmp_path_factory.mktemp("places"), np.random.default_rng(0)
    for place in range(2):
        (root / str(place)).mkdir()
        for number in range(2):
            draw_photo(place, rng).save(root / str(place) / f"{number}.jpg")
    return root


def numbers(guess) -> list[float]:
    return [guess[name] for name in SAME]


def assert_same(guesses, expected):
    for one, other in zip(guesses, expected, strict=True):
        # the last bits of embeddings depend on the batch; in int8 radii follow by a few thousandths
        assert numbers(one) == pytest.approx(numbers(other), rel=5e-3)
        assert one["confidence"] == other["confidence"]


def lines(done):
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("within", [None, "France"])
@pytest.mark.parametrize("together", [False, True])
def test_all_give_the_same_answer(bundle, folder, tmp_path, capsys, within, together):
    geolocator, service = Geolocator(bundle), ConcurrentGeolocator(bundle)
    paths = sorted(folder.glob("*/*.jpg"))
    groups = [paths[:2], paths[2:]]
    if together:
        expected = [geolocator.locate_together(each, within=within) for each in groups]
        served = [service.locate_together(each, within=within) for each in groups]
    else:
        expected = list(geolocator.locate_many(paths, within=within))
        served = list(service.locate_many(paths, within=within))
    expected = [guess.to_dict() for guess in expected]
    assert_same([guess.to_dict() for guess in served], expected)

    run = in_process(capsys)
    options = ["--within", within] if within else []
    grouped = ["--group-by", "folder"] if together else []
    out = tmp_path / "out.jsonl"
    done = run("batch", folder, "-o", out, "--bundle", "starter", *options, *grouped)
    assert done.returncode == 0, done.stderr
    batched = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert_same(sorted(batched, key=lambda guess: guess["photo"]), expected)
    shown = ["--together"] if together else []
    for files, guess in zip(groups if together else [[path] for path in paths], expected,
                            strict=True):  # fmt: skip
        done = run("locate", *files, "--json", "--bundle", "starter", *options, *shown)
        assert_same(lines(done), [guess])


def test_evaluation_and_game_are_asked_about_the_same_answers(bundle, folder):
    paths = sorted(folder.glob("*/*.jpg"))
    alone = [guess.to_dict() for guess in Geolocator(bundle).locate_many(paths)]
    benchmark = drawn_benchmark(np.zeros((4, 2)))
    benchmark = replace(benchmark, file=np.array(list(map(str, paths)), dtype=object))
    evaluated = answer(bundle, benchmark)
    assert evaluated.latlon == pytest.approx(np.array([[g["lat"], g["lon"]] for g in alone]))
    radii = [[g["radius_50_km"], g["radius_80_km"], g["radius_95_km"]] for g in alone]
    assert evaluated.radii_km == pytest.approx(np.array(radii), rel=1e-3)

    views = (tuple(paths[:2]), tuple(paths[2:]))
    together = [Geolocator(bundle).locate_together(each) for each in views]
    names = np.array(["a", "b"], dtype=object)
    played = BundleAnswers("starter").ask(Places(names, np.zeros((2, 2)), views, names))
    for guess, by_method in zip(together, played, strict=True):
        pin = by_method["full"]
        assert (pin.lat, pin.lon) == pytest.approx((guess.lat, guess.lon))
