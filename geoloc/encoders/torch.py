"""Encoders in torch: all open_clip and timm models, in bfloat16 on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from geoloc.encoders.base import EncoderSpec, Preprocessing, normalise
from geoloc.encoders.compatibility import (
    check_open_clip,
    open_clip_architecture,
    open_clip_options,
    preprocessing,
    timm_architecture,
)
from geoloc.encoders.weight_files import LOCAL, local_digest
from geoloc.errors import BundleError, MissingExtraError
from geoloc.types import Float32Array


class TorchEncoder:
    """A torch image network behind the `ImageEncoder` protocol."""

    def __init__(self, spec: EncoderSpec, network: Callable[[Any], Any], module: Any) -> None:  # noqa: ANN401
        import torch

        self.spec = spec
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.module = module.eval().to(self.device)
        self._network = network

    def embed(self, pixels: Float32Array) -> Float32Array:
        """See `ImageEncoder.embed`."""
        import torch

        batch = torch.from_numpy(pixels).to(self.device, non_blocking=True)
        on_gpu = self.device.type == "cuda"
        with torch.inference_mode(), torch.autocast("cuda", torch.bfloat16, enabled=on_gpu):
            vectors = self._network(batch)
        return normalise(np.asarray(vectors.float().cpu()))


class OpenClipEncoder(TorchEncoder):
    """An open_clip image tower: `model` is its architecture, `weights` its pretrained tag.

    A model in a folder, "local-dir:FOLDER", has no tag.
    """

    def __init__(self, spec: EncoderSpec) -> None:
        tower = _open_clip_tower(spec)
        super().__init__(spec, tower, tower)


class OpenClipTokensEncoder(TorchEncoder):
    """The mean over all tokens of the tower's last layer, as in PIGEON (section 4.1).

    It is longer than the projection that is compared with captions, and locates photos better.
    """

    def __init__(self, spec: EncoderSpec) -> None:
        network = _mean_of_tokens(_open_clip_tower(spec))
        super().__init__(spec, network, network)


def _open_clip_tower(spec: EncoderSpec) -> Any:  # noqa: ANN401
    tag = "" if spec.model.startswith(LOCAL) else spec.weights  # older specs: the digest
    return load_open_clip(spec.model, tag).visual


def mean_of_tokens(tower: Any, pixels: Any) -> Any:  # noqa: ANN401
    """Return the mean (B, width) over all tokens of a tower's last layer, with the class token."""
    import torch

    out = tower.forward_intermediates(
        pixels, indices=1, output_fmt="NLC", output_extra_tokens=True, intermediates_only=True
    )
    parts = out.get("image_intermediates_prefix", []) + out["image_intermediates"]
    return torch.cat(parts, dim=1).mean(dim=1)


def _mean_of_tokens(tower: Any) -> Any:  # noqa: ANN401
    import torch

    class MeanOfTokens(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.tower = tower

        def forward(self, pixels: Any) -> Any:  # noqa: ANN401
            return mean_of_tokens(self.tower, pixels)

    return MeanOfTokens()


class TimmEncoder(TorchEncoder):
    """A timm backbone with global pooling; empty `weights` means random weights, for tests."""

    def __init__(self, spec: EncoderSpec) -> None:
        model = _timm_model(spec.model, spec.weights)
        super().__init__(spec, model, model)


def describe_open_clip(kind: str, architecture: str, tag: str) -> EncoderSpec:
    """Return the spec of an open_clip tower; `kind` is "open_clip" or "open_clip_tokens"."""
    import torch

    digest = local_digest(kind, architecture, tag)
    model = load_open_clip(architecture, tag)
    architecture = open_clip_architecture(architecture, tag)
    pixels = preprocessing_of(model)
    tower = model.visual.eval()
    network = _mean_of_tokens(tower) if kind == "open_clip_tokens" else tower
    with torch.inference_mode():  # open_clip does not give the output size of a timm tower
        dim = int(network(torch.zeros(1, 3, pixels.size, pixels.size)).shape[1])
    return EncoderSpec(kind, architecture, tag, dim, pixels, digest)


def preprocessing_of(model: Any) -> Preprocessing:  # noqa: ANN401
    """Return the preprocessing of an open_clip model's image tower."""
    size = model.visual.image_size
    side = int(size[0] if isinstance(size, tuple | list) else size)
    return preprocessing("open_clip", side, model.visual.preprocess_cfg)


def describe_timm(architecture: str, tag: str) -> EncoderSpec:
    """Return the spec of a timm backbone."""
    model = _timm_model(architecture, tag)
    import timm

    architecture = timm_architecture(architecture, tag)
    config = timm.data.resolve_model_data_config(model)
    pixels = preprocessing(f"timm:{architecture}", config["input_size"][-1], config, "crop_mode")
    return EncoderSpec("timm", architecture, tag, int(model.num_features), pixels)


def load_open_clip(architecture: str, tag: str, **options: Any) -> Any:  # noqa: ANN401
    """Load a CLIP model, with the activation and preprocessing of its weights.

    Args:
        architecture: open_clip's name, or "local-dir:FOLDER".
        tag: pretrained tag, path of a checkpoint, or "" for random weights.
        options: passed to `open_clip.create_model`.

    Raises:
        BundleError: the model cannot be loaded, or is not what its weights need.
        MissingExtraError: open_clip is not installed.
    """
    try:
        import open_clip
    except ImportError as error:
        raise MissingExtraError("open-clip-torch", "train") from error
    architecture = open_clip_architecture(architecture, tag)
    options |= open_clip_options(architecture, tag)
    try:
        model = open_clip.create_model(architecture, pretrained=tag or None, **options)
    except Exception as error:
        raise unavailable(f"open_clip:{architecture}/{tag}", error) from error
    check_open_clip(model, architecture, tag)
    return model


def _timm_model(architecture: str, tag: str) -> Any:  # noqa: ANN401
    try:
        import timm
    except ImportError as error:
        raise MissingExtraError("timm", "train") from error
    architecture = timm_architecture(architecture, tag)
    name = f"{architecture}.{tag}" if tag else architecture
    try:
        return timm.create_model(name, pretrained=bool(tag), num_classes=0)
    except Exception as error:
        raise unavailable(f"timm:{name}", error) from error


def unavailable(name: str, error: Exception) -> BundleError:
    """Return the error for weights that cannot be loaded."""
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return BundleError(
        f"{name}: the weights cannot be loaded ({reason}); connect to the internet once, or copy"
        " the Hugging Face cache of another machine and set HF_HUB_OFFLINE=1"
    )
