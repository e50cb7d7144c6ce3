"""Copies of photos are found in a gallery, other photos are not."""

import numpy as np
import pytest
from PIL import Image

from geoloc.encoders.base import Preprocessing
from geoloc.encoders.borders import without_borders
from geoloc.encoders.signatures import SIDE, signature
from geoloc.retrieval.copies import Copies
from geoloc.retrieval.windows import correlations
from tests.scenes import draw_photo
from training.calibrate.recognition.distortions import DISTORTIONS

pytest.importorskip("faiss")

PIXELS = Preprocessing(96, (0.5,) * 3, (0.5,) * 3)


def signature_of(image):
    return signature(PIXELS(without_borders(image)))


@pytest.fixture(scope="module")
def scenes():
    rng = np.random.default_rng(3)
    return [draw_photo(number % 3, rng) for number in range(30)]


class OneList:
    """A gallery that returns its members in a fixed order, as if all were equally similar."""

    def __init__(self, count, similarity=0.9):
        self.count, self.similarity = count, similarity

    def most_similar(self, features, k):
        rows = np.tile(np.arange(k), (len(features), 1))
        return np.full(rows.shape, self.similarity, np.float32), rows


def copies_of(scenes):
    signatures = np.stack([signature_of(each) for each in scenes])
    count = len(scenes)
    return Copies(signatures, np.zeros(count, np.float32), np.array([0.75], np.float32))


@pytest.mark.parametrize("distort", DISTORTIONS, ids=lambda each: each.__name__)
def test_distorted_copies_are_found(scenes, distort):
    known = scenes[:20]
    rng = np.random.default_rng(0)
    shown = [signature_of(distort(image, rng)) for image in known]
    found = copies_of(known).find(np.zeros((20, 4), np.float32), shown, OneList(20))
    assert (found == np.arange(20)).mean() >= 0.95


def test_other_photos_are_no_copies(scenes):
    shown = [signature_of(image) for image in scenes[20:]]
    found = copies_of(scenes[:20]).find(np.zeros((10, 4), np.float32), shown, OneList(20))
    assert (found == -1).all()


def test_a_photo_is_no_copy_without_signature_or_similar_features(scenes):
    copies, features = copies_of(scenes[:20]), np.zeros((1, 4), np.float32)
    own = signature_of(scenes[0])
    assert copies.find(features, [own], OneList(20)).tolist() == [0]
    assert copies.find(features, [None], OneList(20)).tolist() == [-1]
    assert copies.find(features, [own], OneList(20, similarity=0.1)).tolist() == [-1]


def test_signatures_do_not_depend_on_brightness_contrast_or_resolution(scenes):
    values = PIXELS(scenes[0])
    own = signature(values)
    assert np.abs(signature(0.5 * values - 0.3).astype(int) - own).max() <= 2
    larger = Preprocessing(192, (0.5,) * 3, (0.5,) * 3)(scenes[0])
    assert correlations(signature(larger)[None], own[None])[0] > 0.97


def test_flat_photos_resemble_nothing(scenes):
    flat = signature_of(Image.new("RGB", (160, 120), "blue"))
    others = np.stack([signature_of(each) for each in scenes])
    assert np.abs(correlations(np.repeat(flat[None], 30, axis=0), others)).max() < 0.1
    assert correlations(flat[None], flat[None])[0] < 0.1
    assert len(correlations(flat[None][:0], others[:0])) == 0


def test_pairs_are_compared_alike_alone_and_together(scenes):
    signatures = np.stack([signature_of(each) for each in scenes])
    photo = np.repeat(np.arange(30), 5)
    others = signatures[(photo + np.tile(np.arange(5), 30)) % 30]
    together = correlations(signatures, others, photo)
    alone = [correlations(signatures[[p]], others[[row]])[0] for row, p in enumerate(photo)]
    np.testing.assert_allclose(alone, together, atol=1e-5)
    np.testing.assert_allclose(together[::5], 1.0, atol=0.01)


def test_correlation_is_that_of_the_window_that_is_shown(scenes):
    whole = signature_of(scenes[0])
    lines = np.linspace(0.1, 0.9, SIDE + 1)[:-1] + 0.4 / SIDE
    nearest = np.clip((lines * SIDE).astype(int), 0, SIDE - 1)
    window = whole[np.ix_(nearest, nearest)]
    flat = np.corrcoef(window[1:-1, 1:-1].ravel(), window[1:-1, 1:-1].ravel())[0, 1]
    assert correlations(window[None], whole[None])[0] == pytest.approx(flat, abs=0.15)
