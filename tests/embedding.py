"""Embed photos in one batch, without caches or pipelines."""

import numpy as np


def embed_images(encoder, images):
    """Embeddings (N, dim) of upright RGB photos."""
    return encoder.embed(np.stack([encoder.spec.preprocessing(image) for image in images]))
