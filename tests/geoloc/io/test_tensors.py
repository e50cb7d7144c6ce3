"""Tensors of others: read without torch, and never by running what a file contains."""

import io
import os
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from geoloc.errors import BundleError
from geoloc.io.tensors import read_checkpoint, read_tensors


def saved(value):
    torch = pytest.importorskip("torch")
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def test_a_checkpoint_is_read_as_torch_reads_it():
    torch = pytest.importorskip("torch")
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    tensors = {
        "whole": base,
        "turned": base.T,
        "part": base[1:, 2:5],
        "half": base.half(),
        "bfloat": (base / 7).bfloat16(),
        "count": torch.tensor(3),
        "parameter": torch.nn.Parameter(base),
        "empty": torch.empty(0, 3),
        "flags": base > 3,
    }
    for nested in (tensors, {"state_dict": tensors, "epoch": 3}):
        read = read_checkpoint(saved(nested), "x.pt")
        assert set(read) == set(tensors)
        for name, tensor in tensors.items():
            expected = tensor.detach().float().numpy() if name == "bfloat" else tensor.detach()
            assert (read[name] == np.asarray(expected)).all(), name
            assert read[name].shape == tuple(tensor.shape)


class Code:
    def __reduce__(self):
        return os.system, ("touch ran-the-code",)


@pytest.mark.parametrize("where", ["alone", "beside tensors"])
def test_a_pickle_with_code_is_refused_by_name_and_not_run(tmp_path, monkeypatch, where):
    monkeypatch.chdir(tmp_path)
    content = saved(Code() if where == "alone" else {"a": 1, "b": Code()})
    (tmp_path / "model.bin").write_bytes(content)
    with pytest.raises(
        BundleError, match=r"model\.bin: its pickle contains code \(posix\.system\)"
    ):
        read_tensors(tmp_path / "model.bin")
    assert not (tmp_path / "ran-the-code").exists()


@pytest.mark.parametrize("name", ["builtins.eval", "torch.load", "numpy.load", "geoloc.cli.run"])
def test_every_name_that_is_not_a_tensors_is_refused(name):
    module, _, function = name.rpartition(".")
    program = f"c{module}\n{function}\n(S'1'\ntR.".encode()
    with pytest.raises(BundleError, match=f"contains code \\({name}\\)"):
        read_checkpoint(zipped(program), "x.pt")


def zipped(program, **files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", program)
        for name, content in files.items():
            archive.writestr(f"archive/data/{name}", content)
    return buffer.getvalue()


def test_a_tensor_beyond_its_storage_is_refused():
    torch = pytest.importorskip("torch")
    content = saved({"a": torch.arange(6.0)})
    archive = zipfile.ZipFile(io.BytesIO(content))
    (pickled,) = [name for name in archive.namelist() if name.endswith("data.pkl")]
    storage = archive.read(pickled.replace("data.pkl", "data/0"))
    with pytest.raises(BundleError, match="not a readable"):
        read_checkpoint(zipped(archive.read(pickled), **{"0": storage[:8]}), "x.pt")


@pytest.mark.parametrize("content", [b"", b"PK", b"<!doctype html>", pickle.dumps({"a": 1})])
def test_other_files_are_refused_in_one_line(tmp_path, content):
    for name in ("model.bin", "model.pt", "model.safetensors"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BundleError, match="not a readable") as refused:
            read_tensors(tmp_path / name)
        assert name in str(refused.value)
        assert "\n" not in str(refused.value)
    with pytest.raises(BundleError, match=r"nowhere\.bin"):
        read_tensors(tmp_path / "nowhere.bin")


def test_half_a_safetensors_file_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"a": np.arange(1000.0)}, path)
    whole = path.read_bytes()
    for length in (4, 20, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(BundleError, match=r"cut off|not a readable"):
            read_tensors(path)


def test_safetensors_are_mapped_and_bfloat16_is_converted(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file as save_torch

    values = torch.randn(3, 5)
    path = tmp_path / "model.safetensors"
    save_torch({"b": values.bfloat16(), "f": values, "i": torch.arange(4)}, path)
    read = read_tensors(path)
    assert (read["b"] == values.bfloat16().float().numpy()).all()
    assert (read["f"] == values.numpy()).all()
    assert isinstance(read["f"].base, np.memmap | np.ndarray)
    assert read["i"].tolist() == [0, 1, 2, 3]


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([".safetensors", ".bin"]), st.booleans())
def test_arbitrary_bytes_never_end_in_a_traceback(tmp_path_factory, content, ending, inside):
    path = tmp_path_factory.getbasetemp() / f"arbitrary{ending}"
    path.write_bytes(zipped(content) if inside else content)
    with pytest.raises(BundleError):
        read_tensors(path)


def test_reading_needs_no_torch(tmp_path):
    (tmp_path / "model.pt").write_bytes(saved({"a": pytest.importorskip("torch").ones(3)}))
    code = (
        "import sys; from pathlib import Path; from geoloc.io.tensors import read_tensors;"
        " print(read_tensors(Path(sys.argv[1]))['a'], 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "model.pt"], capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["[1.", "1.", "1.]", "False"]
