"""Folds that do not leak: what belongs together is held out together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from geoloc.encoder import FloatArray, normalise
from training.manifest import Manifest, ManifestError

FOLDS = 5

DUPLICATE = 0.93
"""Cosine of centred embeddings above which two photos show one scene from one spot."""

_NEIGHBOURS = 8


def assign_folds(manifest: Manifest, embeddings: FloatArray, seed: int = 0) -> npt.NDArray[np.intp]:
    """Fold of each photo.

    Groups are never split, and groups that share near-duplicates of a photo stay together. The
    largest go first, each to the fold that has least of its collection.

    Args:
        manifest: N photos.
        embeddings: (N, D) of them.
        seed: breaks ties among groups of the same size.

    Returns:
        (N,) 0..FOLDS-1, fewer folds if there are fewer groups.

    Raises:
        ManifestError: all photos belong together, so that nothing can be held out.
    """
    unit = _components(manifest, embeddings)
    names, first, size = np.unique(unit, return_index=True, return_counts=True)
    if len(names) < 2:
        raise ManifestError(
            f"all {len(manifest)} photos belong to one place or group, so nothing can be held out"
            " to measure on; add photos of another place"
        )
    folds = min(FOLDS, len(names))
    order = np.lexsort((np.random.default_rng(seed).random(len(names)), -size))
    load = {name: np.zeros(folds) for name in np.unique(manifest.collection)}
    fold_of = np.empty(len(names), np.intp)
    for unit_row in order:
        mine = load[manifest.collection[first[unit_row]]]
        fold_of[unit_row] = np.argmin(mine)
        mine[fold_of[unit_row]] += size[unit_row]
    return fold_of[np.searchsorted(names, unit)]


def _components(manifest: Manifest, embeddings: FloatArray) -> npt.NDArray[np.intp]:
    """Number (N,) of the set of linked groups that each photo is in."""
    import faiss

    group = np.unique(manifest.group.astype(str), return_inverse=True)[1]
    centred = normalise(embeddings - embeddings.mean(axis=0))
    index = faiss.IndexFlatIP(centred.shape[1])
    index.add(centred)
    similarity, row = index.search(centred, min(_NEIGHBOURS, len(centred)))
    alike = np.nonzero(similarity > DUPLICATE)
    links = group[alike[0]], group[row[alike]]
    n_groups = int(group.max()) + 1
    graph = coo_matrix((np.ones(len(links[0])), links), shape=(n_groups, n_groups))
    component: npt.NDArray[np.intp] = connected_components(graph, directed=False)[1]
    return component[group]


def group_weights(group: npt.NDArray[np.object_]) -> FloatArray:
    """Weight of each photo, (N,) of mean 1: a group of n photos counts as sqrt(n) photos."""
    member, size = np.unique(group.astype(str), return_inverse=True, return_counts=True)[1:]
    weight = 1.0 / np.sqrt(size[member])
    return np.asarray(weight / weight.mean(), np.float32)
