"""GeoCLIP's image encoder: in ONNX, also in int8 where that agrees, or in torch for a GPU."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

from geoloc.encoders.base import EncoderSpec, ImageEncoder
from geoloc.encoders.clip import IMAGE_HEAD, GeoClipEncoder, geoclip_spec
from geoloc.encoders.forms import FILES, FP32
from geoloc.encoders.onnx import OnnxEncoder
from geoloc.io.atomic import atomic_directory
from geoloc.io.digests import content_digest
from training.config import GEOCLIP_TOWER, ClipForm
from training.embed.export import export_onnx
from training.embed.quantise import Answer, write_int8
from training.recipes.geoclip.published import IMAGE_HEAD as PUBLISHED_HEAD
from training.recipes.geoclip.published import Published

_EXPORT = 2
"""Version of the export, part of its cache key."""


@dataclass(frozen=True, eq=False)
class WorldEncoder:
    """An image encoder, and its files for a bundle."""

    network: ImageEncoder
    spec: EncoderSpec
    files: tuple[Path, ...]
    note: str
    """The format, and the reason for it."""
    int8: bool = True
    """Whether a bundle may get its int8 form as well."""

    def with_int8(self, folder: Path, answer: Answer) -> WorldEncoder:
        """Return the encoder with its int8 form, if it is in ONNX and the form's answers agree.

        Args:
            folder: to write the form to.
            answer: maps embeddings to the locations that the bundle answers.
        """
        if not self.int8 or not isinstance(self.network, OnnxEncoder):
            return self
        whole = next(file for file in self.files if file.name == FILES[FP32])
        file, found = write_int8(self.network, whole, folder, answer)
        files = self.files if file is None else (*self.files, file)
        return replace(self, files=files, note=f"{self.note}; {found}")


def load_world_encoder(
    published: Published, cache: Path, clip: str = GEOCLIP_TOWER, form: ClipForm | None = None
) -> WorldEncoder:
    """Load CLIP's tower, downloaded once, with GeoCLIP's head.

    Args:
        published: GeoCLIP's files.
        cache: folder of exported encoders.
        clip: "ARCHITECTURE/WEIGHTS" of open_clip; the weights are a tag or the path of a file.
        form: in the bundle: torch, the default on a machine with a GPU; "int8", otherwise the
            default, for ONNX that may get its int8 form; or "whole" for ONNX that may not.

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
    in_torch = form == "torch"
    folder = cache / "encoders" / f"geoclip-{_EXPORT}-{spec.fingerprint}{'-torch' * in_torch}"
    if not (folder / "encoder.json").is_file():
        _make(spec, published, folder, in_torch=in_torch)
    held_spec = EncoderSpec.from_dict(json.loads((folder / "encoder.json").read_text("utf-8")))
    if in_torch:
        network = GeoClipEncoder(held_spec, folder)
        return WorldEncoder(network, held_spec, (folder / IMAGE_HEAD,), "in torch, bf16 on a GPU")
    files, note = (folder / FILES[FP32],), "in ONNX, weights in half precision"
    return WorldEncoder(OnnxEncoder(held_spec, folder), held_spec, files, note, form == "int8")


def _make(spec: EncoderSpec, published: Published, folder: Path, *, in_torch: bool) -> None:
    """Write the encoder's file and encoder.json into a folder, atomically."""
    from safetensors.numpy import save_file

    with atomic_directory(folder, replace=True) as partial:
        save_file(published.image_head(), partial / IMAGE_HEAD)
        network = GeoClipEncoder(spec, partial)
        if not in_torch:
            spec = export_onnx(network, partial)
            (partial / IMAGE_HEAD).unlink()
        text = json.dumps(spec.to_dict(), indent=1)
        (partial / "encoder.json").write_text(text, encoding="utf-8")


def _on_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())
