"""The same batch on a Ray cluster of one machine: workers may die."""

import os
import signal
import sys

import pytest

from geoloc.batch import distributed
from geoloc.batch.plan import Plan
from geoloc.batch.run import Options, run
from geoloc.errors import GeolocError
from tests.geoloc.batch.library import DAMAGED, Silent, answer, draw


class DiesOnce(distributed.OnRay):
    """Is killed after its first part, the first time."""

    def __call__(self, rows):
        for number, told in enumerate(super().__call__(rows)):
            yield told
            mark = f"{self._worker.parts}.died"
            if number == 0 and not os.path.exists(mark):
                open(mark, "x").close()
                os.kill(os.getpid(), signal.SIGKILL)


def started():
    """A cluster; on a busy machine Ray does not always start in the 30 s that it gives itself."""
    for _ in range(3):
        try:
            return distributed.on_ray("local")
        except GeolocError as error:
            reason = error
    raise reason


@pytest.fixture(scope="module")
def ray():
    ray = pytest.importorskip("ray")
    answers = started()
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield answers
    ray.shutdown()


@pytest.mark.slow
def test_a_worker_that_is_killed_loses_nothing(ray, tmp_path, monkeypatch):
    for number in range(12):
        draw(tmp_path / "in" / f"{number:02}.jpg", number)
    (tmp_path / "in" / "05.jpg").write_bytes(DAMAGED)
    (tmp_path / "here").mkdir()
    calm = answer([tmp_path / "in"], tmp_path / "here" / "out.jsonl")
    monkeypatch.setattr(distributed, "OnRay", DiesOnce)
    report = Silent()
    options = Options(cache=tmp_path / "cache", part=4)
    done = run([str(tmp_path / "in")], tmp_path / "out.jsonl", options, report, ray)
    assert (tmp_path / "out.jsonl.work" / "parts.died").exists()
    assert done == calm
    assert "05.jpg" in "".join(report.lines)
    there = (tmp_path / "out.jsonl").read_bytes()
    assert there == (tmp_path / "here" / "out.jsonl").read_bytes()


@pytest.mark.slow
def test_what_a_machine_cannot_write_is_said(ray, tmp_path):
    draw(tmp_path / "in" / "1.jpg", 1)
    options = Options(cache=tmp_path / "in" / "1.jpg")
    with pytest.raises(GeolocError, match=r"a machine of the cluster gave up: .*1\.jpg") as said:
        run([str(tmp_path / "in")], tmp_path / "out.jsonl", options, Silent(), ray)
    assert len(str(said.value).splitlines()) == 1


def test_actors_are_as_many_as_gpus_or_machines():
    def node(**resources):
        return {"Alive": True, "Resources": resources}

    lost = {"Alive": False, "Resources": {"CPU": 64}}
    assert distributed._actors([node(CPU=16), node(CPU=8), lost]) == ({"num_cpus": 7}, 2)
    assert distributed._actors([node(CPU=2)]) == ({"num_cpus": 1}, 1)
    assert distributed._actors([node(CPU=4, GPU=8), node(CPU=64)]) == ({"num_gpus": 0.25}, 32)


def test_no_cluster_is_one_line():
    pytest.importorskip("ray")
    with pytest.raises(GeolocError, match="no cluster there"):
        distributed.on_ray("127.0.0.1:1")


def test_plans_say_where_parts_stand(tmp_path):
    file = tmp_path / "plan"
    file.write_text("k1 2 [[],null,null]\nk2 3 [[],null,null]\n")
    heads = list(Plan(file, 5, "").heads())
    assert heads == [("k1", 2, 0, 20), ("k2", 3, 20, 20)]
