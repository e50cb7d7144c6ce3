import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from demo.api import batching
from demo.api.batching import BatchingEncoder, MicroBatcher


class Gate:
    """Squares numbers; blocks until it is opened, so that other calls queue up."""

    def __init__(self):
        self.calls, self.entered, self.open = [], threading.Event(), threading.Event()

    def __call__(self, items):
        self.calls.append(list(items))
        self.entered.set()
        assert self.open.wait(20)
        if -1 in items:
            raise ValueError("minus one")
        return [item * item for item in items]


def queue_behind(batcher, gate, first, others):
    """Compute one item, and queue the others while it is computed."""
    with ThreadPoolExecutor(len(others) + 1) as threads:
        leader = threads.submit(batcher, first)
        assert gate.entered.wait(20)
        futures = [threads.submit(batcher, other) for other in others]
        while len(batcher._queue) < len(others):
            pass
        gate.open.set()
        return leader, futures


def test_queued_items_are_computed_in_one_batch_and_each_caller_gets_its_result():
    gate = Gate()
    leader, futures = queue_behind(MicroBatcher(gate), gate, 0, list(range(1, 9)))
    assert leader.result() == 0
    assert [future.result() for future in futures] == [n * n for n in range(1, 9)]
    assert sorted(map(len, gate.calls)) == [1, 8]


def test_batches_respect_the_maximum_but_a_larger_item_is_still_computed():
    gate = Gate()
    batcher = MicroBatcher(gate, size=lambda item: item, max_size=10)
    _, futures = queue_behind(batcher, gate, 1, [4, 4, 4, 25, 4])
    assert sorted(future.result() for future in futures) == [16, 16, 16, 16, 625]
    assert all(sum(call) <= 10 or len(call) == 1 for call in gate.calls)
    assert len(gate.calls) < 6


def test_a_caller_waits_for_others_who_are_present(monkeypatch):
    monkeypatch.setattr(batching, "WAIT_S", 60.0)
    gate = Gate()
    gate.open.set()
    batcher = MicroBatcher(gate, callers=lambda: 3)
    with ThreadPoolExecutor(3) as threads:
        assert sorted(threads.map(batcher, [1, 2, 3])) == [1, 4, 9]
    assert [len(call) for call in gate.calls] == [3]
    assert MicroBatcher(gate, callers=lambda: 1)(5) == 25, "who is alone waits for nobody"
    full = MicroBatcher(gate, size=lambda item: 4, max_size=4, callers=lambda: 9)
    assert full(6) == 36, "nor does a full batch"


def test_an_error_reaches_every_caller_of_the_batch_and_the_next_call_works():
    gate = Gate()
    batcher = MicroBatcher(gate)
    leader, futures = queue_behind(batcher, gate, 3, [5, -1])
    assert leader.result() == 9
    for future in futures:
        with pytest.raises(ValueError, match="minus one"):
            future.result()
    assert batcher(7) == 49


def test_embeddings_of_many_threads_equal_those_of_one():
    class Encoder:
        spec = "spec"
        calls = 0

        def embed(self, pixels):
            self.calls += 1
            return pixels.reshape(len(pixels), -1)[:, :2] * 2

    inner = Encoder()
    encoder = BatchingEncoder(inner, max_photos=16)
    inputs = [np.full((1 + n % 3, 3, 4, 4), n, np.float32) for n in range(200)]
    with ThreadPoolExecutor(16) as threads:
        for pixels, embedded in zip(inputs, threads.map(encoder.embed, inputs), strict=True):
            np.testing.assert_array_equal(embedded, inner.embed(pixels))
    assert encoder.spec == "spec"
