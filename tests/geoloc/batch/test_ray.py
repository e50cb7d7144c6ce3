"""A batch on a Ray cluster of one machine, whose workers may die."""

import os
import signal
import sys

import pytest

from geoloc.batch import distributed
from geoloc.batch.plan import Plan
from geoloc.batch.run import Options, run
from geoloc.errors import GeolocError
from tests.geoloc.batch.library import DAMAGED, RecordingReporter, answer, draw


class DiesOnce(distributed.PartActor):
    """An actor that kills itself once, after its first batch of photos."""

    def __call__(self, rows):
        for number, progress in enumerate(super().__call__(rows)):
            yield progress
            mark = f"{self._worker.parts}.died"
            if number == 0 and not os.path.exists(mark):
                open(mark, "x").close()
                os.kill(os.getpid(), signal.SIGKILL)


def connect():
    """Start a cluster; on a loaded machine Ray does not always start within its own 30 s."""
    for _ in range(3):
        try:
            return distributed.connect("local")
        except GeolocError as error:
            reason = error
    raise reason


@pytest.fixture(scope="module")
def ray():
    ray = pytest.importorskip("ray")
    answer_parts = connect()
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield answer_parts
    ray.shutdown()


@pytest.mark.slow
def test_killed_worker_loses_no_answer(ray, tmp_path, monkeypatch):
    for number in range(12):
        draw(tmp_path / "in" / f"{number:02}.jpg", number)
    (tmp_path / "in" / "05.jpg").write_bytes(DAMAGED)
    (tmp_path / "local").mkdir()
    expected = answer([tmp_path / "in"], tmp_path / "local" / "out.jsonl")
    monkeypatch.setattr(distributed, "PartActor", DiesOnce)
    report = RecordingReporter()
    options = Options(cache=tmp_path / "cache", part_size=4, keep_work=True)
    done = run([str(tmp_path / "in")], tmp_path / "out.jsonl", options, report, ray)
    assert (tmp_path / "out.jsonl.work" / "parts.died").exists()
    assert done == expected
    assert "05.jpg" in "".join(report.lines)
    answers = (tmp_path / "out.jsonl").read_bytes()
    assert answers == (tmp_path / "local" / "out.jsonl").read_bytes()


@pytest.mark.slow
def test_error_of_a_machine_is_reported_in_one_line(ray, tmp_path):
    draw(tmp_path / "in" / "1.jpg", 1)
    options = Options(cache=tmp_path / "in" / "1.jpg")
    with pytest.raises(
        GeolocError, match=r"a machine of the Ray cluster failed: .*1\.jpg"
    ) as error:
        run([str(tmp_path / "in")], tmp_path / "out.jsonl", options, RecordingReporter(), ray)
    assert len(str(error.value).splitlines()) == 1


def test_number_of_actors_follows_gpus_or_machines():
    def node(**resources):
        return {"Alive": True, "Resources": resources}

    lost = {"Alive": False, "Resources": {"CPU": 64}}
    assert distributed._actors([node(CPU=16), node(CPU=8), lost]) == ({"num_cpus": 7}, 2)
    assert distributed._actors([node(CPU=2)]) == ({"num_cpus": 1}, 1)
    assert distributed._actors([node(CPU=4, GPU=8), node(CPU=64)]) == ({"num_gpus": 0.25}, 32)


def test_missing_cluster_is_reported_in_one_line():
    pytest.importorskip("ray")
    with pytest.raises(GeolocError, match="no cluster there"):
        distributed.connect("127.0.0.1:1")


def test_plan_gives_the_position_of_parts(tmp_path):
    file = tmp_path / "plan"
    file.write_text("k1 2 [[],null,null]\nk2 3 [[],null,null]\n")
    entries = list(Plan(file, 5, "").entries())
    assert entries == [("k1", 2, 0, 20), ("k2", 3, 20, 20)]
