"""A test planet: tiny photos of four countries, each in its own colours, and a photo table."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

COUNTRIES = (
    ("France", "FR", 48.9, 2.3, "right", "Cfb"),
    ("Japan", "JP", 35.7, 139.7, "left", "Cfa"),
    ("Kenya", "KE", -1.3, 36.8, "left", "Cwb"),
    ("Chile", "CL", -33.4, -70.6, "right", "Csb"),
)
SIDE = 40

TOWERS = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {
        "context_length": 32, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1
    },
}  # fmt: skip


def write_towers(folder: Path) -> Path:
    """Write the description of a CLIP model that trains in milliseconds per step."""
    path = folder / "tiny_towers.json"
    path.write_text(json.dumps(TOWERS))
    return path


COLOURS = (((90, 160, 230), (60, 120, 40)), ((230, 170, 90), (170, 120, 60)),
         ((150, 150, 160), (70, 70, 80)), ((200, 220, 255), (240, 240, 240)))  # fmt: skip


def draw_photo(country: int, rng: np.random.Generator) -> bytes:
    """Draw a JPEG of sky and ground in the colours of a country."""
    sky, ground = COLOURS[country]
    pixels = np.empty((SIDE, SIDE + 8, 3))
    horizon = int(rng.integers(12, 28))
    pixels[:horizon], pixels[horizon:] = sky, ground
    pixels += rng.normal(0, 12, pixels.shape)
    out = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(out, "JPEG", quality=85)
    return out.getvalue()


def make_planet(folder: Path, count: int, *, shards: int = 2, seed: int = 0) -> pa.Table:
    """Write `count` photos into tar shards; return the enriched photo table."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, len(COUNTRIES), count)
    files, offsets, sizes = [], [], []
    for number, rows in enumerate(np.array_split(np.arange(count), shards)):
        path = folder / f"{number:06}.tar"
        with tarfile.open(path, "w") as shard:
            for row in rows.tolist():
                content = draw_photo(int(kind[row]), rng)
                member = tarfile.TarInfo(f"{row:06}.jpg")
                member.size = len(content)
                shard.addfile(member, io.BytesIO(content))
        with tarfile.open(path) as shard:
            for member in shard:
                files.append(path.name)
                offsets.append(member.offset_data)
                sizes.append(member.size)
    country, code, lat, lon, side, koppen = zip(*(COUNTRIES[k] for k in kind), strict=True)
    split = np.where(np.arange(count) % 5 == 4, "val", "train")
    return pa.table({
        "photo_id": [f"{row:06}" for row in range(count)],
        "file": files, "offset": offsets, "size": sizes,
        "lat": np.array(lat) + rng.normal(0, 0.2, count),
        "lon": np.array(lon) + rng.normal(0, 0.2, count),
        "heading": pa.array(rng.uniform(0, 360, count), pa.float32()),
        "country": country, "country_code": code, "region": [""] * count, "town": [""] * count,
        "koppen": koppen, "driving_side": side,
        "month": pa.array(rng.integers(1, 13, count), pa.int8()),
        "split": split,
    })  # fmt: skip
