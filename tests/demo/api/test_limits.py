import threading

from hypothesis import given
from hypothesis import strategies as st

from demo.api.jobs import Job, Jobs
from demo.api.limits import RateLimit
from geoloc.errors import GeolocError


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@given(st.integers(1, 60), st.lists(st.floats(0, 90), max_size=200))
def test_no_minute_grants_more_than_twice_the_rate(per_minute, waits):
    clock = Clock()
    limit = RateLimit(per_minute, clock)
    granted = []
    for wait in waits:
        clock.now += wait
        left_s = limit.wait_s("a")
        if left_s:
            assert 0 < left_s <= 60 / per_minute + 1e-6
        else:
            granted.append(clock.now)
    for begin in granted:
        assert sum(begin <= at < begin + 60 for at in granted) <= 2 * per_minute


def test_clients_are_limited_separately_and_the_announced_wait_suffices():
    clock = Clock()
    limit = RateLimit(2, clock)
    assert [limit.wait_s("a") > 0 for _ in range(3)] == [False, False, True]
    assert limit.wait_s("b") == 0
    clock.now += limit.wait_s("a")
    assert limit.wait_s("a") == 0
    assert RateLimit(0).wait_s("a") == 0


def test_the_number_of_remembered_clients_is_bounded():
    limit = RateLimit(5)
    for number in range(limit.MAX_CLIENTS + 500):
        limit.wait_s(str(number))
    assert len(limit._buckets) == limit.MAX_CLIENTS


def wait_for(jobs):
    while jobs.unfinished:
        threading.Event().wait(0.005)


def job(work, client="a", size=0):
    return Job(work, 1, client=client, size=size)


def test_results_expire_and_only_fetched_results_make_room_earlier():
    clock = Clock()
    jobs = Jobs(2, 1000, 60.0, clock)
    first, second = job(lambda: iter([1, 2])), job(lambda: iter([3]))
    assert [jobs.add(first), jobs.add(second)] == ["", ""]
    wait_for(jobs)
    assert first.results == [1, 2]
    assert first.work is None  # releases the photos
    third = job(lambda: iter([4]))
    assert "fetch or delete" in jobs.add(third)  # no result has been fetched yet
    assert jobs.add(job(lambda: iter([5]), client="b")) == ""  # another client
    first.fetched = True
    assert jobs.add(third) == ""
    assert jobs.get(first.id) is None
    wait_for(jobs)
    assert (jobs.get(second.id), jobs.get(third.id)) == (second, third)
    assert jobs.unfetched == 3
    clock.now += 60.0
    assert jobs.get(second.id) is None
    assert jobs.unfetched == 0
    jobs.close()


def test_the_photos_of_waiting_jobs_are_limited_by_their_bytes():
    may_end = threading.Event()

    def slow():
        may_end.wait()
        yield 1

    jobs = Jobs(10, 1000, 60.0)
    large = job(slow, size=5000)  # alone it is accepted: the upload limit bounds it
    assert jobs.add(large) == ""
    assert "too many photos" in jobs.add(job(slow, client="b", size=1))
    may_end.set()
    wait_for(jobs)
    assert jobs.add(job(slow, client="b", size=1)) == ""
    jobs.close()


def test_a_deleted_job_is_forgotten_and_does_not_run_on():
    started, may_go_on, done = threading.Event(), threading.Event(), []

    def slow():
        for number in range(100):
            started.set()
            may_go_on.wait()
            done.append(number)
            yield number

    jobs = Jobs(10, 1000, 60.0)
    running, waiting = job(slow), job(lambda: iter(done.append("waiting") or [1]))
    jobs.add(running)
    jobs.add(waiting)
    started.wait()
    assert jobs.delete(running.id)
    assert jobs.delete(waiting.id)
    assert not jobs.delete(waiting.id)
    assert jobs.get(running.id) is None
    may_go_on.set()
    jobs.close()
    assert done == [0]


def test_failed_jobs_report_user_errors_but_not_internal_ones():
    def refuse():
        yield 1
        raise GeolocError("photo.jpg: damaged")

    def break_down():
        raise RuntimeError("secret.jpg")
        yield

    jobs = Jobs(4, 1000, 60.0)
    refused, broken = job(refuse), job(break_down)
    jobs.add(refused)
    jobs.add(broken)
    jobs.close()
    assert (refused.state, refused.error, refused.results) == ("failed", "photo.jpg: damaged", [1])
    assert (broken.state, broken.error) == ("failed", "internal error")
    assert refused.id != broken.id
    assert len(refused.id) >= 20
