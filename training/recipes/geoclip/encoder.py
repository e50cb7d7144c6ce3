"""GeoCLIP's image encoder in three formats: ONNX in int8 or full precision, or torch for a GPU."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from geoloc.encoders.base import EncoderSpec, ImageEncoder
from geoloc.encoders.clip import IMAGE_HEAD, GeoClipEncoder, geoclip_spec
from geoloc.encoders.onnx import OnnxEncoder
from geoloc.io.atomic import atomic_directory
from geoloc.io.digests import content_digest
from geoloc.types import Float32Array
from training.config import GEOCLIP_TOWER, ClipForm
from training.embed.export import export_onnx
from training.embed.quantise import export_int8, sample_photos
from training.recipes.geoclip.published import IMAGE_HEAD as PUBLISHED_HEAD
from training.recipes.geoclip.published import GeoClip, Published


@dataclass(frozen=True, eq=False)
class WorldEncoder:
    """An image encoder, and its files for a bundle."""

    network: ImageEncoder
    spec: EncoderSpec
    files: tuple[Path, ...]
    note: str
    """The format, and the reason for it."""


def load_world_encoder(
    published: Published, cache: Path, clip: str = GEOCLIP_TOWER, form: ClipForm | None = None
) -> WorldEncoder:
    """Load CLIP's tower, downloaded once, with GeoCLIP's head.

    Args:
        published: GeoCLIP's files.
        cache: folder of exported encoders.
        clip: "ARCHITECTURE/WEIGHTS" of open_clip; the weights are a tag or the path of a file.
        form: format in the bundle; by default torch on a machine with a GPU, else int8 if it gives
            the same answers, else whole.

    Raises:
        BundleError: the weights cannot be loaded, or the exported network differs.
        MissingExtraError: a library is not installed.
    """
    architecture, _, weights = clip.partition("/")
    form = form or ("torch" if _on_gpu() else "int8")
    digest = hashlib.sha256(published.read(PUBLISHED_HEAD)).hexdigest()
    if Path(weights).is_file():
        digest = hashlib.sha256((digest + content_digest([Path(weights)])).encode()).hexdigest()
    spec = geoclip_spec(architecture, weights, digest=digest)
    folder = cache / "encoders" / f"geoclip-{spec.fingerprint}-{form}"
    if not (folder / "encoder.json").is_file():
        _make(spec, form, published, folder)
    description = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
    held_spec = EncoderSpec.from_dict(description["encoder"])
    kind = GeoClipEncoder if held_spec.kind == "geoclip" else OnnxEncoder
    return WorldEncoder(
        kind(held_spec, folder), held_spec, (folder / description["file"],), description["note"]
    )


def _make(spec: EncoderSpec, form: ClipForm, published: Published, folder: Path) -> None:
    """Write the encoder's file and encoder.json into a folder, atomically."""
    from safetensors.numpy import save_file

    with atomic_directory(folder, replace=True) as partial:
        save_file(published.image_head(), partial / IMAGE_HEAD)
        network = GeoClipEncoder(spec, partial)
        held_spec, file, note = _in_form(network, form, published, partial)
        description = {"encoder": held_spec.to_dict(), "file": file, "note": note}
        (partial / "encoder.json").write_text(json.dumps(description, indent=1), encoding="utf-8")
        for path in partial.iterdir():  # the export needs the head; the result may not
            if path.name not in (file, "encoder.json"):
                path.unlink()


def _in_form(
    network: GeoClipEncoder, form: ClipForm, published: Published, folder: Path
) -> tuple[EncoderSpec, str, str]:
    """Convert the encoder; return its spec, the name of its file and a note on the format."""
    if form == "torch":
        return network.spec, IMAGE_HEAD, "in torch, bf16 on a GPU"
    note = "not quantised, weights in half precision"
    if form == "int8":
        geoclip = GeoClip(network, published)

        def answer(embeddings: Float32Array) -> npt.NDArray[np.floating]:
            return geoclip.rank(embeddings, 1)[0][:, 0]

        spec, agreement = export_int8(network, folder, sample_photos(), answer)
        if agreement.sufficient:
            return spec, "encoder.onnx", f"int8: {agreement}"
        note += f", because int8 gives other answers: {agreement}"
    return export_onnx(network, folder), "encoder.onnx", note


def _on_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())
