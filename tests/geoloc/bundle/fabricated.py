"""Files of the catalogue's entries in the published layout, small and with random numbers."""

import io
import itertools
import zipfile

import numpy as np
from safetensors.numpy import save_file

WIDTH, BLOCKS = 128, 2
PLACES = [(48.86, 2.35), (40.71, -74.01), (-33.87, 151.21), (35.68, 139.69), (-22.91, -43.17)]


class Tensors(dict):
    """Random tensors, drawn by name and shape."""

    def __init__(self, seed=0):
        self._rng = np.random.default_rng(seed)

    def draw(self, name, *shape):
        self[name] = (0.2 * self._rng.standard_normal(shape)).astype(np.float32)

    def linear(self, name, into, out, bias=True):
        self.draw(f"{name}.weight", out, into)
        if bias:
            self.draw(f"{name}.bias", out)

    def norm(self, name, width):
        self[f"{name}.weight"] = np.ones(width, np.float32)
        self[f"{name}.bias"] = np.zeros(width, np.float32)


def hub_tower(prefix, size, patch, width=WIDTH, siglip=False, projection=None):
    """CLIP's or SigLIP's vision model in Hugging Face's names."""
    made, inner = Tensors(), f"{prefix}vision_model."
    positions = (size // patch) ** 2 + (not siglip)
    made.draw(f"{inner}embeddings.patch_embedding.weight", width, 3, patch, patch)
    made.draw(f"{inner}embeddings.position_embedding.weight", positions, width)
    if siglip:
        made.draw(f"{inner}embeddings.patch_embedding.bias", width)
    else:
        made.draw(f"{inner}embeddings.class_embedding", width)
        made.norm(f"{inner}pre_layrnorm", width)
    for block in range(BLOCKS):
        name = f"{inner}encoder.layers.{block}."
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            made.linear(f"{name}self_attn.{part}", width, width)
        made.linear(f"{name}mlp.fc1", width, 2 * width)
        made.linear(f"{name}mlp.fc2", 2 * width, width)
        made.norm(f"{name}layer_norm1", width)
        made.norm(f"{name}layer_norm2", width)
    made.norm(f"{inner}post_layernorm", width)
    if siglip:
        made.draw(f"{inner}head.probe", 1, 1, width)
        made.draw(f"{inner}head.attention.in_proj_weight", 3 * width, width)
        made.draw(f"{inner}head.attention.in_proj_bias", 3 * width)
        made.linear(f"{inner}head.attention.out_proj", width, width)
        made.norm(f"{inner}head.layernorm", width)
        made.linear(f"{inner}head.mlp.fc1", width, 2 * width)
        made.linear(f"{inner}head.mlp.fc2", 2 * width, width)
    if projection:
        made.linear(f"{prefix}visual_projection", width, projection, bias=False)
    return made


def hub_dino(version, patch, side, width=WIDTH, registers=4):
    """DINOv2 with registers, or DINOv3, in Hugging Face's names."""
    made, second = Tensors(), version == 2
    made.draw("embeddings.cls_token", 1, 1, width)
    made.draw("embeddings.mask_token", 1, 1, width)
    made.draw("embeddings.register_tokens", 1, registers, width)
    patches = "embeddings.patch_embeddings" + (".projection" if second else "")
    made.draw(f"{patches}.weight", width, 3, patch, patch)
    made.draw(f"{patches}.bias", width)
    if second:
        made.draw("embeddings.position_embeddings", 1, side * side + 1, width)
    for block in range(BLOCKS):
        name = f"encoder.layer.{block}." if second else f"layer.{block}."
        for part in ("query", "key", "value"):
            own = f"attention.attention.{part}" if second else f"attention.{part[0]}_proj"
            made.linear(f"{name}{own}", width, width, bias=second or part != "key")
        out = "attention.output.dense" if second else "attention.o_proj"
        made.linear(f"{name}{out}", width, width)
        for number in (1, 2):
            made.norm(f"{name}norm{number}", width)
            made.draw(f"{name}layer_scale{number}.lambda1", width)
        first, last = ("fc1", "fc2") if second else ("up_proj", "down_proj")
        made.linear(f"{name}mlp.{first}", width, 2 * width)
        made.linear(f"{name}mlp.{last}", 2 * width, width)
    made.norm("layernorm" if second else "norm", width)
    return made


def timm_tower(patch, positions, width=WIDTH, *, prefix="", pool=False, head=None, **parts):
    """A vision transformer in timm's names, which are those of DINOv2's authors too."""
    made = Tensors()
    made.linear(f"{prefix}patch_embed.proj", 1, width, bias=parts.get("patch_bias", True))
    made.draw(f"{prefix}patch_embed.proj.weight", width, 3, patch, patch)
    made.draw(f"{prefix}pos_embed", 1, positions, width)
    if parts.get("class_token", True):
        made.draw(f"{prefix}cls_token", 1, 1, width)
    if parts.get("pre_norm"):
        made.norm(f"{prefix}norm_pre", width)
    for block in range(BLOCKS):
        name = f"{prefix}blocks.{block}."
        made.linear(f"{name}attn.qkv", width, 3 * width)
        made.linear(f"{name}attn.proj", width, width)
        made.linear(f"{name}mlp.fc1", width, 2 * width)
        made.linear(f"{name}mlp.fc2", 2 * width, width)
        for number in (1, 2):
            made.norm(f"{name}norm{number}", width)
            if parts.get("scale"):
                made.draw(f"{name}ls{number}.gamma", width)
    made.norm(f"{prefix}norm", width)
    if pool:
        made.draw("attn_pool.latent", 1, 1, width)
        made.linear("attn_pool.q", width, width)
        made.linear("attn_pool.kv", width, 2 * width)
        made.linear("attn_pool.proj", width, width)
        made.norm("attn_pool.norm", width)
        made.linear("attn_pool.mlp.fc1", width, 2 * width)
        made.linear("attn_pool.mlp.fc2", 2 * width, width)
    if head:
        made.linear("head", width, head)
    return made


def megaloc(width=WIDTH, clusters=8, out=96):
    """DINOv2 with SALAD, in the names of MegaLoc's code."""
    made = timm_tower(14, 37 * 37 + 1, width, prefix="backbone.model.", scale=True)
    made.draw("backbone.model.mask_token", 1, width)
    for name, last in (("cluster_features", 16), ("score", clusters)):
        for number, shape in (("0", (32, width, 1, 1)), ("3", (last, 32, 1, 1))):
            made.draw(f"aggregator.agg.{name}.{number}.weight", *shape)
            made.draw(f"aggregator.agg.{name}.{number}.bias", shape[0])
    made.linear("aggregator.agg.token_features.0", width, 32)
    made.linear("aggregator.agg.token_features.2", 32, 16)
    made["aggregator.agg.dust_bin"] = np.array(1.0, np.float32)
    made.linear("aggregator.linear", 16 * clusters + 16, out)
    return made


def location_encoder(prefix="", dim=512):
    """GeoCLIP's location encoder, narrow."""
    made = Tensors(1)
    for scale in range(3):
        name = f"{prefix}LocEnc{scale}."
        made[f"{name}capsule.0.b"] = np.float32(
            2.0 ** (4 * scale) * np.random.default_rng(scale).standard_normal((32, 2))
        )
        for number, into in ((1, 64), (3, 48), (5, 48)):
            made.linear(f"{name}capsule.{number}", into, 48)
        made.linear(f"{name}head.0", 48, dim)
    return made


def image_head(prefix, width, hidden, dim=512):
    """The two layers that GeoCLIP puts on a tower."""
    made = Tensors(2)
    made.linear(f"{prefix}0", width, hidden)
    made.linear(f"{prefix}2", hidden, dim)
    return made


def gallery_csv():
    rows = [f"{lat + 0.02 * n},{lon + 0.02 * n}" for lat, lon in PLACES for n in range(40)]
    return "\n".join(["LAT,LON", *rows]).encode()


def onnx_network(path, names, into, dim=512, hidden=0):
    """A network of one linear layer on the mean of the input, with a second output before it.

    With `hidden` it has two layers of that width and 6,000 before it, to be as large as a tower.
    """
    import onnx
    from onnx import helper, numpy_helper

    rng, pictures = np.random.default_rng(dim), into == 3
    widths = [into, hidden, 6000, dim] if hidden else [into, dim]
    layers = [
        rng.standard_normal(pair, dtype=np.float32) / np.float32(np.sqrt(pair[0]))
        for pair in itertools.pairwise(widths)
    ]
    shape = ["n", 3, 224, 224] if pictures else ["n", into]
    values = ["last_hidden_state", "h0", "h1"][: len(layers)]
    nodes = [
        helper.make_node("GlobalAveragePool" if pictures else "Identity", [names[0]], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["last_hidden_state"]),
        *(
            helper.make_node("MatMul", [before, f"w{at}"], [after])
            for at, (before, after) in enumerate(zip(values, [*values[1:], names[1]], strict=True))
        ),
    ]
    value = helper.make_tensor_value_info
    float32 = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes, "fabricated", [value(names[0], float32, shape)],
        [value("last_hidden_state", float32, ["n", into]), value(names[1], float32, ["n", dim])],
        initializer=[numpy_helper.from_array(w, f"w{at}") for at, w in enumerate(layers)],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)


def checkpoint(tensors):
    """A checkpoint as torch.save writes it."""
    import torch

    buffer = io.BytesIO()
    torch.save({name: torch.from_numpy(np.array(each)) for name, each in tensors.items()}, buffer)
    return buffer.getvalue()


def wheel(path):
    """GeoCLIP's wheel with the files that are read from it; returns them by name."""
    scale = io.BytesIO()
    import torch

    torch.save(torch.tensor(3.68), scale)
    files = {
        "weights/image_encoder_mlp_weights.pth": checkpoint(image_head("", 96, 96)),
        "weights/location_encoder_weights.pth": checkpoint(location_encoder()),
        "weights/logit_scale_weights.pth": scale.getvalue(),
        "gps_gallery/coordinates_100K.csv": gallery_csv(),
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"geoclip/model/{name}", content)
    return files


def fabricate(entry, folder):
    """Write the files of an entry; return their paths in its order."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / file.local(file.name) for file in entry.files]
    tensors = {
        "geoclip-original": lambda: hub_tower("", 224, 14, projection=96),
        "geospot": lambda: (
            hub_tower("image_encoder.CLIP.", 512, 16, 144, siglip=True)
            | image_head("image_encoder.mlp.", 144, 96)
            | location_encoder("location_encoder.")
        ),
        "megaloc": megaloc,
        "pe-core": lambda: timm_tower(
            14, 24 * 24 + 1, pool=True, head=64, pre_norm=True, patch_bias=False
        ),
        "siglip2": lambda: timm_tower(14, 27 * 27, 144, pool=True, class_token=False),
        "dinov3": lambda: hub_dino(3, 16, 14),
        "osv5m": lambda: hub_tower("backbone.clip.", 224, 14),
        "plonk": lambda: hub_dino(2, 14, 37),
        "streetclip": lambda: hub_tower("", 336, 14, projection=64),
    }
    if entry.family == "onnx":
        onnx_network(paths[0], ("pixel_values", "image_embeds"), 3)
        onnx_network(paths[1], ("location", "location_embeds"), 2)
        paths[2].write_bytes(gallery_csv())
        return paths
    save_file(dict(tensors[entry.name]()), paths[0])
    if entry.name == "geoclip-original":
        wheel(paths[1])
    if entry.name == "plonk":
        made = Tensors(3)
        made.linear("model.cond_mapper", WIDTH, 64)
        save_file(dict(made), paths[1])
    return paths
