"""The scripts for a GPU run whole on a CPU, with tiny sizes."""

import math

import pytest

pytest.importorskip("torch")
pytest.importorskip("open_clip")

from tests.benchmarks import gpu_inference, gpu_training


def test_losses_are_those_of_float64():
    results = {}
    gpu_training.losses(results, gpu_training.TINY)
    assert results["loss_error"] < 1e-5
    assert results["label_error"] == 0
    assert results["label_cutoff_error"] < 1e-3


def check(results, keys):
    assert keys <= results.keys()
    assert all(math.isfinite(value) for value in results.values())


@pytest.mark.slow
def test_training_script_runs_all_stages(capsys):
    results = gpu_training.main(gpu_training.TINY)
    assert "failed" not in capsys.readouterr().out
    check(results, {
        "head_photos_per_s", "faiss_cpu_queries_per_s", "compile_s", "pretrain_photos_per_s",
        "embed_photos_per_s", "embed_ratio",
    })  # fmt: skip


@pytest.mark.slow
def test_inference_script_runs_all_stages(capsys):
    results = gpu_inference.main(gpu_inference.TINY)
    assert "failed" not in capsys.readouterr().out
    check(results, {
        "starter_per_s", "vit_l_per_s", "vit_l_batch_ratio", "vit_l_service_ratio",
    })  # fmt: skip


def test_stage_that_fails_is_named_and_the_others_run(capsys):
    def broken(results):
        raise RuntimeError("out of memory\nsecond line")

    def fine(results):
        results["figure"] = 1.5

    results = gpu_training.run_stages({"broken": broken, "fine": fine})
    assert results == {"figure": 1.5}
    assert "| broken failed: out of memory | |" in capsys.readouterr().out


def test_stages_that_are_not_begun_in_time_are_named(capsys):
    assert gpu_training.run_stages({"late": lambda results: None}, limit_s=-1.0) == {}
    assert "| late: no time left | |" in capsys.readouterr().out
