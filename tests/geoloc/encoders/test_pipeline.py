"""The encoding pipeline: order, unreadable photos, cache, and bounded look-ahead."""

import os
import threading

import numpy as np
import pytest
from PIL import Image

from geoloc.encoders.base import EncoderSpec, Preprocessing, normalise
from geoloc.encoders.cache import EmbeddingCache
from geoloc.encoders.pipeline import (
    ENCODED_TOGETHER,
    QUEUED_BATCHES,
    encode,
    encode_all,
    encode_batches,
)
from geoloc.errors import PhotoError
from geoloc.guess import Exif
from geoloc.io import machine
from geoloc.photos.decode import NO_PIXELS, Photo


class MeanColour:
    """The mean colour of a photo; records the sizes of its batches."""

    spec = EncoderSpec("mean", "", "", 3, Preprocessing(16, (0.5,) * 3, (0.25,) * 3))

    def __init__(self):
        self.batches = []

    def embed(self, pixels):
        self.batches.append(len(pixels))
        return normalise(pixels.mean(axis=(2, 3)))


def read(number, /, *, min_side=None, skip_pixels=()):
    """Return a photo whose colour depends on its number; every fifth cannot be read."""
    if number % 5 == 4:
        raise PhotoError(f"{number}: unreadable")
    digest = f"{number:064x}"
    if digest in skip_pixels:
        return Photo(str(number), NO_PIXELS, Exif(), digest)
    image = Image.new("RGB", (16, 16), (number, 255 - number, 100))
    return Photo(str(number), image, Exif(), digest)


def test_batches_keep_the_order_and_skip_unreadable_photos():
    encoder = MeanColour()
    batches = list(encode(encoder, range(12), batch=5, load=read))
    assert [len(batch.results) for batch in batches] == [5, 5, 2]
    assert sorted(encoder.batches) == [2, 4, 4]
    for start, batch in zip((0, 5, 10), batches, strict=True):
        assert [start + row for row in batch.index] == [
            number for number in range(start, start + len(batch.results)) if number % 5 != 4
        ]
        assert [photo.name for photo in batch.photos] == [str(start + row) for row in batch.index]
        assert all(photo.image is NO_PIXELS for photo in batch.photos), "pixels are released"
        assert len(batch.errors) + len(batch.photos) == len(batch.results)
        alone = [encode_all(encoder, [start + row], load=read).embeddings[0] for row in batch.index]
        assert batch.embeddings == pytest.approx(np.array(alone), abs=1e-6)


def test_all_photos_are_joined_and_progress_sums_to_their_number():
    done = []
    encoded = encode_all(MeanColour(), range(70), load=read, progress=done.append)
    assert sum(done) == len(encoded.results) == 70
    assert len(done) == 3
    assert encoded.embeddings.shape == (56, 3)
    assert encoded.index.tolist() == [number for number in range(70) if number % 5 != 4]
    assert [str(error) for error in encoded.errors[:2]] == ["4: unreadable", "9: unreadable"]
    nothing = encode_all(MeanColour(), [], load=read)
    assert nothing.embeddings.shape == (0, 3)
    assert nothing.results == nothing.photos == nothing.errors == []


def test_a_strict_run_raises_the_first_error():
    with pytest.raises(PhotoError, match=r"^4: unreadable"):
        encode_all(MeanColour(), range(12), load=read, strict=True)
    assert len(encode_all(MeanColour(), range(4), load=read, strict=True).photos) == 4


def test_cached_photos_are_neither_decoded_nor_encoded(tmp_path):
    encoder = MeanColour()
    with EmbeddingCache(tmp_path, encoder.spec) as cache:
        first = encode_all(encoder, range(10), load=read, cache=cache)
    assert encoder.batches == [8]
    with EmbeddingCache(tmp_path, encoder.spec) as cache:
        again = encode_all(encoder, range(11), load=read, cache=cache)
    assert encoder.batches == [8, 1], "only the new photo"
    assert (again.embeddings[:8] == first.embeddings).all()
    for before, after in zip(first.photos, again.photos, strict=False):
        assert np.array_equal(before.signature, after.signature), "cached beside the embedding"
    assert again.index.tolist() == [*first.index, 10]


def test_sources_are_taken_only_as_far_ahead_as_batches_are_queued():
    taken = []

    def sources():
        for number in range(100):
            taken.append(number)
            yield [number]

    batches = encode_batches(MeanColour(), sources(), load=read)
    next(batches)
    assert len(taken) == QUEUED_BATCHES
    next(batches)
    assert len(taken) == QUEUED_BATCHES + 1
    batches.close()


def test_the_next_batches_are_encoded_while_the_caller_uses_one():
    encoder, together = MeanColour(), threading.Barrier(ENCODED_TOGETHER, timeout=60)
    embed = encoder.embed

    def embed_together(pixels):
        together.wait()  # breaks unless as many batches as that are encoded at once
        return embed(pixels)

    encoder.embed = embed_together
    batches = encode_batches(encoder, ([number] for number in range(4)), load=read)
    assert [batch.photos[0].name for batch in batches] == ["0", "1", "2", "3"]


def test_a_single_batch_is_encoded_by_its_caller():
    encoder, threads = MeanColour(), []
    embed = encoder.embed

    def recorded(pixels):
        threads.append(threading.get_ident())
        return embed(pixels)

    encoder.embed = recorded
    assert len(encode_all(encoder, range(3), load=read).photos) == 3
    assert threads == [threading.get_ident()], "a request of one photo waits for no other thread"


def test_errors_of_the_encoder_reach_the_caller():
    encoder = MeanColour()
    encoder.embed = lambda pixels: 1 / 0
    for count in (1, 3):
        with pytest.raises(ZeroDivisionError):
            list(encode_batches(encoder, [[0]] * count, load=read))


def test_all_requests_decode_on_the_same_threads():
    threads = set()

    def recorded(number, /, **options):
        threads.add(threading.get_ident())
        return read(number, **options)

    def request():
        encode_all(MeanColour(), range(40), load=recorded)

    requests = [threading.Thread(target=request) for _ in range(6)]
    for each in requests:
        each.start()
    for each in requests:
        each.join()
    assert len(threads) <= machine.cores()


def test_sources_are_not_read_after_the_end():
    reading, go_on = threading.Event(), threading.Event()
    read_ones = []

    def slow(number, /, **options):
        if number == 1:
            reading.set()
            go_on.wait(60)
        read_ones.append(number)
        return read(number, **options)

    batches = encode_batches(MeanColour(), [[0], [1], [2]], load=slow)
    next(batches)
    assert reading.wait(60)
    closing = threading.Thread(target=batches.close)
    closing.start()
    go_on.set()
    closing.join(60)
    count = len(read_ones)
    assert 1 in read_ones
    encode_all(MeanColour(), range(3), load=read)  # the threads go on with other requests
    assert len(read_ones) == count


def test_a_forked_process_has_threads_of_its_own():
    encode_all(MeanColour(), range(3), load=read)
    child = os.fork()
    if child == 0:
        os._exit(len(encode_all(MeanColour(), range(3), load=read).photos))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
