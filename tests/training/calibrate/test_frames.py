"""Frames of known scenes are told from the same kind of view elsewhere."""

from types import SimpleNamespace

import numpy as np
import pytest

from geoloc.encoders.signatures import SIDE
from geoloc.retrieval.frames import Frames, describe_frames
from training.calibrate.recognition.frames import fit_frames
from training.data.manifest import Manifest

SCENES, FRAMES, DIM, KINDS = 150, 4, 48, 5


def walks(seed: int, spread: float):
    """Return photos of scenes of few kinds; the frames of a scene differ by `spread`."""
    rng = np.random.default_rng(seed)
    kind = rng.normal(size=(KINDS, DIM))[rng.integers(KINDS, size=SCENES)]
    scene = kind + 0.7 * rng.normal(size=(SCENES, DIM))
    view = np.repeat(scene, FRAMES, axis=0) + spread * rng.normal(size=(SCENES * FRAMES, DIM))
    embeddings = (view / np.linalg.norm(view, axis=1, keepdims=True)).astype(np.float32)
    where = np.column_stack([rng.uniform(-60, 60, SCENES), rng.uniform(-180, 180, SCENES)])
    latlon = np.repeat(where, FRAMES, axis=0) + rng.normal(0, 1e-3, (SCENES * FRAMES, 2))
    name = np.repeat(np.arange(SCENES), FRAMES).astype(str).astype(object)
    count = len(name)
    manifest = Manifest(
        np.array([f"{i}.jpg" for i in range(count)], object), latlon, name,
        np.full(count, 0.01), *([name] * 5),
    )  # fmt: skip
    signatures = rng.integers(0, 256, (count, SIDE, SIDE)).astype(np.uint8)
    return manifest, signatures, embeddings


def fitted(manifest, signatures, embeddings) -> Frames | None:
    same = SimpleNamespace(heads=SimpleNamespace(features=lambda vectors: vectors))
    fold = np.unique(manifest.group.astype(int) % 3, return_inverse=True)[1]
    copies = SimpleNamespace(threshold=np.array([0.81]))
    return fit_frames(manifest, signatures, embeddings, [same] * 3, fold, copies)


def asked(manifest, embeddings, apart):
    """Return similarities, correlations and places of the most similar photos that are apart."""
    found = embeddings @ embeddings.T
    found[apart[:, None] == apart] = -1.0
    top = np.argsort(-found, axis=1)[:, :20]
    similarity = np.take_along_axis(found, top, axis=1)
    return similarity, np.zeros(len(embeddings), np.float32), manifest.latlon[top]


def test_next_frames_are_recognised_and_other_views_of_the_kind_are_not():
    frames = fitted(*walks(0, 0.25))
    assert frames is not None
    assert frames.chance >= 0.94
    assert 0.0 < frames.radii_km[0] <= frames.radii_km[1] <= frames.radii_km[2] <= 200.0
    manifest, _, embeddings = walks(1, 0.25)
    scene = manifest.group.astype(int)
    known = frames.recognise(*asked(manifest, embeddings, np.arange(len(scene))))
    assert known.mean() > 0.5
    false = frames.recognise(*asked(manifest, embeddings, scene))
    assert false.mean() <= 0.02


def test_no_frames_are_recognised_where_they_cannot_be_told_from_other_views():
    assert fitted(*walks(0, 4.0)) is None


def test_what_stands_out_is_measured_against_other_places_only():
    similarity = np.float32([[0.9, 0.88, 0.6, 0.5]])
    latlon = np.array([[(10.0, 10.0), (10.01, 10.0), (50.0, 10.0), (10.0, 10.02)]])
    described = describe_frames(similarity, np.float32([0.3]), latlon)[0]
    assert described[1:4] == pytest.approx([4.5, 5 * 0.3, 5 * 0.4], abs=1e-5)
