"""Pictures, EXIF and damaged files for tests."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image


def picture(width: int = 64, height: int = 48) -> Image.Image:
    """Return a picture that is red on the left, blue on the right, and brighter at the bottom."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2, 0] = pixels[:, width // 2 :, 2] = 200
    pixels[height // 2 :, :, 1] = 90
    return Image.fromarray(pixels)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """Return the bytes of a file of some format."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def gps_exif(lat: float, lon: float, taken: str = "2024:05:06 07:08:09") -> Image.Exif:
    """Return EXIF with a position, and with the times of taking and of editing."""

    def parts(value: float) -> tuple[float, float, float]:
        minutes, seconds = divmod(abs(value) * 3600, 60)
        return (minutes // 60, minutes % 60, seconds)

    exif = Image.Exif()
    exif[ExifTags.IFD.GPSInfo] = {
        ExifTags.GPS.GPSLatitudeRef: "S" if lat < 0 else "N",
        ExifTags.GPS.GPSLatitude: parts(lat),
        ExifTags.GPS.GPSLongitudeRef: "W" if lon < 0 else "E",
        ExifTags.GPS.GPSLongitude: parts(lon),
    }
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.DateTimeOriginal: taken}
    exif[ExifTags.Base.DateTime] = "2030:01:01 00:00:00"  # when it was edited
    return exif


def written_position(path: Path) -> tuple[float, float]:
    """Return the degrees in the EXIF of a file, also of an estimate, which is no known position."""
    with Image.open(path) as image:
        gps = image.getexif().get_ifd(ExifTags.IFD.GPSInfo)
    lat, lon = (
        sum(float(part) / 60**power for power, part in enumerate(gps[tag]))
        for tag in (ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLongitude)
    )
    south = gps[ExifTags.GPS.GPSLatitudeRef] == "S"
    west = gps[ExifTags.GPS.GPSLongitudeRef] == "W"
    return (-lat if south else lat), (-lon if west else lon)


def png_header(width: int, height: int) -> bytes:
    """Return a PNG whose header gives a size, and which holds no pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0"))


def bmp_header(width: int, height: int) -> bytes:
    """Return a BMP whose header gives a size, and which holds no pixels."""
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 2835, 2835, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + info


def write_bad_inputs(folder: Path) -> dict[str, str]:
    """Write files that are no photos; return a word of the expected error for each name."""
    jpeg = encoded(picture(640, 480), "JPEG")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("this is no picture")
    (folder / "cut.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    (folder / "bomb.png").write_bytes(png_header(60_000, 60_000))
    (folder / "dot.png").write_bytes(encoded(Image.new("RGB", (1, 1)), "PNG"))
    (folder / "folder.jpg").mkdir()
    return {
        "missing.jpg": "no such file", "empty.jpg": "empty", "text.jpg": "not a picture",
        "cut.jpg": "damaged", "bomb.png": "megapixels", "dot.png": "show nothing",
        "folder.jpg": "is a folder",
    }  # fmt: skip
