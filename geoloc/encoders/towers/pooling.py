"""From the last tokens of a tower to one vector: class token, attention, or SALAD."""

from __future__ import annotations

import math

import numpy as np

from geoloc.encoders.towers.graph import Graph
from geoloc.encoders.towers.vit import VisionTransformer, attend, split
from geoloc.io.tensors import Tensors

_SINKHORN_STEPS = 3


def class_token(graph: Graph, tokens: str) -> str:
    """Return the first token (N, D) of (N, T, D)."""
    return graph.op("Squeeze", graph.token(tokens, 0, 1), np.array([1], np.int64))


def attention_pool(graph: Graph, tower: VisionTransformer, tokens: str, heads: int) -> str:
    """Return the pooled vector (N, D) of one learned query over all tokens.

    It is the head of SigLIP and of the Perception Encoder, with the tensors pool.latent, pool.q,
    pool.k, pool.v, pool.proj, pool.norm and pool.mlp.
    """
    latent = tower.tensors["pool.latent"].reshape(1, 1, -1)
    query = tower.linear(graph, graph.constant(latent), "pool.q")
    key, content = (tower.linear(graph, tokens, f"pool.{part}") for part in "kv")
    mixed = attend(
        graph, split(graph, query, heads), split(graph, key, heads),
        split(graph, content, heads), tower.width,
    )  # fmt: skip
    mixed = tower.linear(graph, mixed, "pool.proj")
    inner = tower.mlp(graph, tower.normed(graph, mixed, "pool.norm."), "pool.mlp.")
    return class_token(graph, graph.op("Add", mixed, inner))


def salad(graph: Graph, tokens: str, patches: int, tensors: Tensors) -> str:
    """Return MegaLoc's descriptor (N, D): SALAD (Izquierdo and Civera, CVPR 2024) and a linear map.

    Patches are assigned to clusters by three steps of Sinkhorn's algorithm, with one more row for
    what belongs to none.

    Args:
        graph: to add to.
        tokens: (N, 1 + P, D) after the last norm.
        patches: P.
        tensors: of the aggregator, in its own names.
    """
    own = tensors
    local = graph.token(tokens, 1, 1 + patches)
    feature = _two_layers(graph, local, own, "agg.cluster_features.0", "agg.cluster_features.3")
    score = _two_layers(graph, local, own, "agg.score.0", "agg.score.3")
    scene = _two_layers(
        graph, class_token(graph, tokens), own, "agg.token_features.0", "agg.token_features.2"
    )
    share = _assignment(graph, score, own, patches)
    mixed = graph.op("MatMul", graph.op("Transpose", feature, perm=[0, 2, 1]), share)
    local = graph.reshape(_unit(graph, mixed, 1), 0, -1)
    joined = _unit(graph, graph.op("Concat", _unit(graph, scene, -1), local, axis=-1), -1)
    return graph.linear(joined, own["linear.weight"], own["linear.bias"])


def _assignment(graph: Graph, score: str, own: Tensors, patches: int) -> str:
    """Return the share (N, P, M) of each patch in each cluster, from scores (N, P, M)."""
    clusters = int(own["agg.score.3.weight"].shape[0])
    norm = math.log(patches + clusters)
    target = np.full((1, 1, clusters + 1), -norm, np.float32)
    target[0, 0, -1] += math.log(patches - clusters)
    bin_ = np.broadcast_to(own["agg.dust_bin"].reshape(1, 1, 1), (1, patches, 1)) * 1.0
    first = graph.token(score, 0, patches)
    column = graph.op("Mul", graph.op("Slice", first, *_columns(1)), np.array([0.0], np.float32))
    cost = graph.op("Concat", first, graph.op("Add", column, bin_), axis=2)
    row = graph.op("Mul", column, np.array([0.0], np.float32))  # (N, P, 1), log scale of each patch
    for _ in range(_SINKHORN_STEPS):
        total = graph.op("ReduceLogSumExp", graph.op("Add", cost, row), np.array([1], np.int64))
        scale = graph.op("Sub", target, total)
        total = graph.op("ReduceLogSumExp", graph.op("Add", cost, scale), np.array([2], np.int64))
        row = graph.op("Sub", np.array([-norm], np.float32), total)
    log = graph.op("Add", graph.op("Add", cost, scale), row)
    share = graph.op("Exp", graph.op("Add", log, np.array([norm], np.float32)))
    return graph.op("Slice", share, *_columns(clusters))


def _columns(count: int) -> list[np.ndarray]:
    """Return the inputs of Slice for the first columns of (N, P, M)."""
    return [np.array([number], np.int64) for number in (0, count, 2)]


def _two_layers(graph: Graph, value: str, own: Tensors, first: str, second: str) -> str:
    """Return a value after two linear layers, or convolutions of one pixel, with a ReLU between."""
    for name in (first, second):
        weight = own[f"{name}.weight"]
        value = graph.linear(value, weight.reshape(weight.shape[:2]), own[f"{name}.bias"])
        if name == first:
            value = graph.op("Relu", value)
    return value


def _unit(graph: Graph, value: str, axis: int) -> str:
    return graph.op("LpNormalization", value, axis=axis, p=2)
