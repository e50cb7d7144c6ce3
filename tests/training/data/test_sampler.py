import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.data.sampler import WINDOW, Batches, epoch_order

FEW = st.integers(1, 5)


@given(n_shards=st.integers(1, 300), per_shard=FEW, epoch=FEW, seed=FEW)
def test_epoch_order_holds_every_photo_once_in_windows_of_shards(n_shards, per_shard, epoch, seed):
    shard = np.repeat(np.arange(n_shards), per_shard)
    order = epoch_order(shard, seed, epoch)
    assert sorted(order.tolist()) == list(range(len(shard)))
    for start in range(0, n_shards, WINDOW):
        rows = order[start * per_shard : (start + WINDOW) * per_shard]
        assert len(np.unique(shard[rows])) <= WINDOW


def test_order_is_shuffled_and_differs_between_epochs():
    shard = np.repeat(np.arange(200), 10)
    first, second = epoch_order(shard, 0, 0), epoch_order(shard, 0, 1)
    assert (first != second).any()
    assert np.mean(np.diff(shard[first]) == 0) < 0.1
    assert (epoch_order(shard, 0, 1) == second).all()


@given(size=FEW, accumulate=FEW, world=FEW, seed=FEW, steps=st.integers(1, 9))
def test_processes_together_read_the_batches_of_one_process(size, accumulate, world, seed, steps):
    shard = np.arange(2 * size * accumulate * world + 1)
    alone = iter(Batches(shard, size * accumulate * world, seed=seed))
    together = [iter(Batches(shard, size, accumulate, rank, world, seed)) for rank in range(world)]
    for _ in range(steps):
        whole = sorted(next(alone))
        parts = [item for one in together for _ in range(accumulate) for item in next(one)]
        assert sorted(parts) == whole


@given(start=st.integers(0, 12), accumulate=FEW)
def test_resumed_batches_continue_at_their_step(start, accumulate):
    shard = np.arange(50) // 7
    whole = iter(Batches(shard, 3, accumulate, seed=1))
    for _ in range(start * accumulate):
        next(whole)
    resumed = iter(Batches(shard, 3, accumulate, seed=1, start=start))
    for _ in range(5):
        assert next(resumed) == next(whole)
