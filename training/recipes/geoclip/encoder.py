"""GeoCLIP's image encoder as a bundle holds it: int8 or whole for a CPU, torch for a GPU."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from geoloc.encoders.base import EncoderSpec, ImageEncoder
from geoloc.encoders.clip import IMAGE_HEAD, GeoClipEncoder, geoclip_spec
from geoloc.encoders.onnx import OnnxEncoder
from geoloc.types import Float32Array
from training.config import GEOCLIP_TOWER, ClipForm
from training.embed.export import export_onnx
from training.embed.quantise import export_int8, sample_photos
from training.recipes.geoclip.published import GeoClip, Published


@dataclass(frozen=True, eq=False)
class WorldEncoder:
    """An image encoder to embed with, and the files of it that a bundle holds."""

    network: ImageEncoder
    spec: EncoderSpec
    files: tuple[Path, ...]
    note: str
    """In which form it is, and why."""


def load_world_encoder(
    published: Published, cache: Path, clip: str = GEOCLIP_TOWER, form: ClipForm | None = None
) -> WorldEncoder:
    """Load CLIP's tower, downloading it the first time, and put GeoCLIP's head on it.

    Args:
        published: GeoCLIP's files.
        cache: folder in which exported encoders are kept.
        clip: "ARCHITECTURE/WEIGHTS" of open_clip; weights are a tag or the path of a file.
        form: how the bundle holds it; by default torch where there is a GPU, else int8 where that
            answers alike, else whole.

    Raises:
        BundleError: the weights cannot be loaded, or the exported network differs.
        MissingExtraError: a library is not installed.
    """
    architecture, _, weights = clip.partition("/")
    wanted = form or ("torch" if _on_gpu() else "int8")
    spec = geoclip_spec(architecture, weights)
    folder = cache / "encoders" / f"geoclip-{spec.fingerprint}-{wanted}"
    if not (folder / "encoder.json").is_file():
        _make(spec, wanted, published, folder)
    made = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
    held = EncoderSpec.from_dict(made["encoder"])
    kind = GeoClipEncoder if held.kind == "geoclip" else OnnxEncoder
    return WorldEncoder(kind(held, folder), held, (folder / made["file"],), made["note"])


def _make(spec: EncoderSpec, form: ClipForm, published: Published, folder: Path) -> None:
    """Write the encoder's file and encoder.json; the folder appears whole or not at all."""
    from safetensors.torch import save_file

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        partial = Path(scratch)
        head = {name: part.contiguous() for name, part in published.image_head().items()}
        save_file(head, partial / IMAGE_HEAD)
        network = GeoClipEncoder(spec, partial)
        held, file, note = _in_form(network, form, published, partial)
        made = {"encoder": held.to_dict(), "file": file, "note": note}
        (partial / "encoder.json").write_text(json.dumps(made, indent=1), encoding="utf-8")
        folder.mkdir(exist_ok=True)
        for name in (file, "encoder.json"):  # the json last: it says all is there
            os.replace(partial / name, folder / name)


def _in_form(
    network: GeoClipEncoder, form: ClipForm, published: Published, folder: Path
) -> tuple[EncoderSpec, str, str]:
    """Spec, name of the file and a note."""
    if form == "torch":
        return network.spec, IMAGE_HEAD, "in torch, bf16 on a GPU"
    note = "whole, weights in half precision"
    if form == "int8":
        geoclip = GeoClip(network, published)

        def answer(embeddings: Float32Array) -> npt.NDArray[np.floating]:
            return geoclip.rank(embeddings, 1)[0][:, 0]

        spec, agreed = export_int8(network, folder, sample_photos(), answer)
        if agreed.enough:
            return spec, "encoder.onnx", f"int8: {agreed}"
        note += f", because int8 does not agree: {agreed}"
    return export_onnx(network, folder), "encoder.onnx", note


def _on_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())
