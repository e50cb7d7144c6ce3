"""Evidence of witnesses moves belief, places and radii together, and is accounted for."""

import numpy as np
import pytest
from PIL import ExifTags, Image

from geoloc.belief.witnesses.options import WitnessOptions
from geoloc.belief.witnesses.weighing import Reliability, Weights
from geoloc.errors import BundleError
from geoloc.geolocator import Geolocator
from geoloc.guess import Finding, Guess
from geoloc.observation import Observation
from geoloc.output.text import render
from tests.scenes import draw_photo

SIGN = Finding("sign", "=서울", "Hangul, the script of Korea", (0.1, 0.2, 0.5, 0.4))


class OneCountry:
    """A witness that says one country for every photo."""

    name = "text"

    def __init__(self, geolocator: Geolocator, code: str, strength: float = 6.0) -> None:
        self.inside = np.asarray(geolocator.cells.country == code)
        self.row = np.where(self.inside, strength, 0.0).astype(np.float32)

    def evidence(self, photo):
        assert photo.content is not None or photo.image.size != (1, 1)
        return Observation(self.name, (SIGN,), self.row)


@pytest.fixture(scope="module")
def starter() -> Geolocator:
    return Geolocator.from_bundle("starter")


def test_a_witness_moves_the_answer_and_its_account_says_so(starter):
    photo = draw_photo(1, np.random.default_rng(0))
    alone = starter.locate(photo)
    told = starter.with_witnesses([OneCountry(starter, "KR", 12.0)]).locate(photo)
    (account,) = told.witnesses
    assert told.place.country_code == "KR"
    assert account.bits > 1.0
    assert account.place_without == alone.place
    assert Guess.from_dict(told.to_dict()) == told
    assert sum(each.probability for each in told.candidates) <= 1.0 + 1e-5


def test_without_observations_nothing_changes(starter):
    photo = draw_photo(1, np.random.default_rng(0))
    assert starter.with_witnesses([]).locate(photo) == starter.locate(photo)


def test_findings_that_are_only_shown_are_no_evidence(starter):
    class Shown:
        name = "file"

        def evidence(self, photo):
            return Observation("file", (SIGN,))

    photo = draw_photo(1, np.random.default_rng(0))
    told, alone = starter.with_witnesses([Shown()]).locate(photo), starter.locate(photo)
    assert (told.lat, told.radius_80_km) == (alone.lat, alone.radius_80_km)
    assert [each.counted for each in told.witnesses] == [False]
    assert render(told)


def test_one_sign_in_two_photos_of_a_place_counts_once(starter):
    witness = OneCountry(starter, "KR")
    row = witness.row
    weights, prior = Weights({}), starter.bundle.ranker.heads.prior
    once = Observation("text", (SIGN,), row)
    again = Observation("text", (SIGN,), row.copy())
    assert np.array_equal(weights.combine([once, again], prior), weights.combine([once], prior))


def test_a_witness_that_is_sometimes_wrong_cannot_veto():
    prior = np.full(100, 0.01, np.float32)
    certain = np.where(np.arange(100) == 7, 0.0, -np.inf).astype(np.float32)
    tempered = Reliability(1.0, 0.1).temper(certain, prior)
    assert tempered.min() == pytest.approx(np.log(0.1))
    assert tempered.max() == pytest.approx(np.log(0.9 * 100 + 0.1))
    impossible = np.full(100, -np.inf, np.float32)
    assert not Reliability(1.0, 0.1).temper(impossible, prior).any()


def test_weights_are_read_as_written_and_damage_is_one_line(tmp_path):
    file = tmp_path / "witnesses.json"
    weights = Weights({"text": Reliability(0.5, 0.03)})
    weights.write(file)
    assert Weights.read(file) == weights
    for damaged in ('{"text": {"wrong": 0}}', '{"text": {"other": 1}}', "[]"):
        file.write_text(f'{{"reliability": {damaged}, "judge": null}}')
        with pytest.raises(BundleError, match=r"witnesses\.json: .*; make the bundle again"):
            Weights.read(file)


def test_metadata_are_shown_by_default_and_evidence_if_asked(starter, tmp_path):
    file = tmp_path / "a.jpg"
    tags = Image.Exif()
    tags.get_ifd(ExifTags.IFD.Exif).update(
        {
            ExifTags.Base.DateTimeOriginal: "2024:06:01 10:30:00",
            ExifTags.Base.OffsetTimeOriginal: "+09:00",
        }
    )
    draw_photo(1, np.random.default_rng(0)).save(file, exif=tags)
    (shown,) = starter.locate(file).witnesses
    asked = starter.with_witnesses(WitnessOptions(use_metadata=True).witnesses(starter.cells))
    (used,) = asked.locate(file).witnesses
    assert (shown.counted, used.counted) == (False, True)
    assert shown.findings[0].reading == used.findings[0].reading == "+09:00"
    together = asked.locate_together([file, file])
    assert together.witnesses[0].counted
    assert len(together.witnesses[0].findings) == 1


@pytest.mark.parametrize("offset", ["-09:00", "+00:00", "+05:45", "+13:00"])
def test_no_clock_makes_a_photo_of_noise_sure(starter, tmp_path, offset):
    tags = Image.Exif()
    tags[ExifTags.Base.Make] = "Apple"
    tags.get_ifd(ExifTags.IFD.Exif).update(
        {
            ExifTags.Base.DateTimeOriginal: "2024:06:01 10:30:00",
            ExifTags.Base.OffsetTimeOriginal: offset,
        }
    )
    file = tmp_path / "noise.jpg"
    Image.effect_noise((320, 240), 60).convert("RGB").save(file, exif=tags)
    asked = starter.with_witnesses(WitnessOptions(use_metadata=True).witnesses(starter.cells))
    guess = asked.locate(file)
    assert guess.witnesses[0].counted
    assert guess.confidence in ("not sure", "country")
    assert guess.probability < 0.5
    assert guess.radius_95_km > 500.0
