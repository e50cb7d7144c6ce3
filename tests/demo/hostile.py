# ruff: noqa: E501 - one line for each trick
"""Hostile uploads as complete HTTP requests."""

import io
import json
import pickle
import random
import struct
import zipfile
import zlib

from tests.demo.fake_service import photo_of
from tests.demo.services import jpeg

BOUNDARY = "xxBOUNDARYxx"
KINDS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")


def request(body: bytes, *headers: str, target="/v1/locate", line=None, length=True) -> bytes:
    lines = [line or f"POST {target} HTTP/1.1", "Host: localhost", "Connection: close"]
    if not any(header.lower().startswith("content-type") for header in headers):
        lines.append(f"Content-Type: multipart/form-data; boundary={BOUNDARY}")
    lines += [*headers, *([f"Content-Length: {len(body)}"] if length else [])]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def part(content: bytes, disposition: str, *headers: str) -> bytes:
    lines = [f"Content-Disposition: form-data; {disposition}", *headers]
    return (
        f"--{BOUNDARY}\r\n".encode() + "\r\n".join(lines).encode() + b"\r\n\r\n" + content + b"\r\n"
    )


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def photo(content: bytes, name: str = "x.jpg", *headers: str) -> bytes:
    return request(form(part(content, f'name="photos"; filename="{name}"', *headers)))


def truncated():
    image = photo_of(90).resize((300, 200))
    for kind in KINDS:
        whole = jpeg(image.rotate(3), kind)
        for tenth in (0.01, 0.1, 0.25, 0.4, 0.5, 0.6):
            yield f"{kind} cut at {tenth}", photo(whole[: int(len(whole) * tenth)])


def damaged():
    """Valid file headers followed by noise."""
    starts = {
        "JPEG": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", "PNG": b"\x89PNG\r\n\x1a\n",
        "GIF": b"GIF89a", "WEBP": b"RIFF\xff\xff\x00\x00WEBPVP8 ", "BMP": b"BM",
        "TIFF": b"II*\x00", "HEIC": b"\x00\x00\x00\x18ftypheic", "AVIF": b"\x00\x00\x00\x18ftypavif",
        "PSD": b"8BPS\x00\x01", "ICO": b"\x00\x00\x01\x00",
    }  # fmt: skip
    rng = random.Random(0)
    for kind, start in starts.items():
        for size in (0, 20, 500, 50_000):
            yield f"{kind} and {size} bytes of noise", photo(start + rng.randbytes(size))


def png(width: int, height: int, data: bytes = b"", *chunks: tuple[bytes, bytes]) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    middle = b"".join(chunk(*each) for each in chunks) + chunk(b"IDAT", data)
    return b"\x89PNG\r\n\x1a\n" + header + middle + chunk(b"IEND", b"")


def bombs():
    zeros = zlib.compress(bytes(60_000_000), 9)
    for side in (9_000, 30_000, 60_000, 2**31 - 1):
        yield f"PNG of {side} x {side}", photo(png(side, side, zeros))
    yield "PNG of one endless row", photo(png(2**31 - 1, 1, zeros))
    yield "PNG with less in it than it says", photo(png(7_000, 7_000, zlib.compress(b"\0" * 99)))
    yield "PNG with a bomb as text", photo(png(64, 64, b"", (b"zTXt", b"a\0\0" + zeros)))
    yield "PNG with a bomb as profile", photo(png(64, 64, b"", (b"iCCP", b"a\0\0" + zeros)))
    yield "GIF of 65535 x 65535", photo(b"GIF89a" + b"\xff" * 4 + b"\x00\x00\x00,")
    yield (
        "BMP of 99999 x 99999",
        photo(b"BM" + struct.pack("<IIIIiiHHIIIIII", 99, 0, 54, 40, 99999, 99999, 1, 24, *[0] * 6)),
    )
    yield (
        "WebP of 16384 x 16384",
        photo(b"RIFF\x1e\0\0\0WEBPVP8X\n\0\0\0\0\0\0\0\xff\x3f\0\xff\x3f\0" + bytes(8)),
    )
    yield (
        "JPEG that says 65535 x 65535",
        photo(jpeg(photo_of(1)).replace(struct.pack(">HH", 40, 48), b"\xff\xff\xff\xff", 1)),
    )
    yield "gzip bomb", photo(b"\x1f\x8b\x08" + bytes(7) + zeros)


def other_things():
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("x.jpg", jpeg(photo_of(1)))
    inside = jpeg(photo_of(2))
    things = {
        "nothing": b"", "a space": b" ", "text": b"hello", "a JSON bomb": b"[" * 100_000,
        "a picture in a ZIP": archive.getvalue(), "a ZIP": archive.getvalue()[:30],
        "a PDF with a picture": b"%PDF-1.7\n1 0 obj<</Filter/DCTDecode>>stream\n" + inside,
        "a page": b"<html><img src=http://127.0.0.1:9/x.jpg></html>",
        "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='http://127.0.0.1:9/'/></svg>",
        "SVG with an entity": b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><svg>&b;</svg>",
        "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%id)(r)file",
        "EPS in binary": b"\xc5\xd0\xd3\xc6" + bytes(40), "MVG": b"push graphic-context\nimage over",
        "a program": b"\x7fELF" + bytes(200), "Windows": b"MZ" + bytes(200), "a shell": b"#!/bin/sh\nid",
        "a pickle": pickle.dumps({"a": 1}), "an address": b"http://169.254.169.254/latest/meta-data",
        "a path": b"/etc/passwd", "MP4": b"\0\0\0\x20ftypisom" + bytes(99), "DICOM": bytes(128) + b"DICM",
        "a playlist": b"#EXTM3U\nfile:///etc/passwd", "FITS": b"SIMPLE  =", "PPM": b"P6 9 9 255\n" + bytes(243),
        "ICNS": b"icns" + bytes(99), "PCX": b"\x0a\x05\x01\x08" + bytes(200), "WMF": b"\xd7\xcd\xc6\x9a" + bytes(99),
        "JPEG in text": b"GIF-no" + inside, "JPEG in HEIC": b"\0\0\0\x18ftypheic" + inside,
        "base64": b"data:image/png;base64,iVBORw0KGgo=", "UTF-16": "picture".encode("utf-16"),
    }  # fmt: skip
    for name, content in things.items():
        yield name, photo(content)
    for size in ((1, 1), (15, 400), (4000, 2)):
        yield f"{size} pixels", photo(jpeg(photo_of(1).resize(size), "PNG"))


def names():
    tricks = (
        "../../../etc/passwd", "/etc/passwd", "..\\..\\windows\\win.ini", "C:\\boot.ini", ".",
        "..", "....//....//x", "%2e%2e%2fx", "x.jpg\\x00.php", "con", "a" * 3000, "&#47;etc", "~root",
        "$(id)", "`id`", ";id", "|id", "<script>alert(1)</script>", "x\u202egpj.exe", "\U0001f600" * 50,
        "file:///etc/passwd", "http://127.0.0.1:9/x.jpg", "\\\\server\\share", "-rf", "x\\r\\ny",
        "nul:", "{{7*7}}", "%n%n%n", "' OR 1=1 --", "\u0000", "\u2028",
    )  # fmt: skip
    for trick in tricks:
        yield f"a file called {trick[:20]!r}", photo(b"no picture", trick)


def forms():
    one = part(jpeg(photo_of(1)), 'name="photos"; filename="x"')
    text = part(b"5", 'name="top"')
    yield "17 photos", request(form(*[one] * 17))
    yield "1,500 photos", request(form(*[one] * 1500))
    yield "3,000 fields", request(form(*[text] * 3000, one))
    yield "a field of a megabyte", request(form(part(b"x" * 2**20, 'name="within"'), one))
    yield "no photo", request(form(text))
    yield "photos as text", request(form(part(b"x", 'name="photos"')))
    yield "another name", request(form(part(b"x", 'name="image"; filename="x"')))
    yield "no name", request(form(part(b"x", 'filename="x"')))
    yield "nothing at all", request(b"")
    yield "no end", request(one)
    yield "no start", request(b"\r\n\r\n--")
    yield "only the end", request(form())
    yield "another boundary", request(form(one).replace(BOUNDARY.encode(), b"other"))
    yield "no boundary", request(form(one), "Content-Type: multipart/form-data")
    yield (
        "an endless boundary",
        request(form(one), "Content-Type: multipart/form-data; boundary=" + "x" * 999),
    )
    yield (
        "JSON",
        request(json.dumps({"photos": ["/etc/passwd"]}).encode(), "Content-Type: application/json"),
    )
    yield (
        "JSON with an address",
        request(b'{"url":"http://127.0.0.1:9"}', "Content-Type: application/json"),
    )
    yield (
        "a URL-encoded form",
        request(b"photos=x", "Content-Type: application/x-www-form-urlencoded"),
    )
    yield "a bare picture", request(jpeg(photo_of(1)), "Content-Type: image/jpeg")
    yield "a mixed form", request(form(one), f"Content-Type: multipart/mixed; boundary={BOUNDARY}")
    yield "many headers in a part", photo(b"x", "x", *[f"X-{n}: y" for n in range(99)])
    yield "a huge header in a part", photo(b"x", "x", "X-Y: " + "z" * 99_999)
    yield "a header without colon", photo(b"x", "x", "nonsense")
    for field, value in (("top", "-1"), ("top", "1e9"), ("top", "NaN"), ("together", "x"),
                         ("bundle", "../../etc"), ("bundle", "/etc"), ("within", "/etc/x.json"),
                         ("within", "{" * 3000), ("within", "POLYGON((nan nan,1 1,2 2,nan nan))"),
                         ("within", "1,2,-5km"), ("within", "http://127.0.0.1:9/x.geojson"),
                         ("within", "0,0,0,0"), ("within", "\x00")):  # fmt: skip
        yield f"{field}={value[:20]!r}", request(form(part(value.encode(), f'name="{field}"'), one))


def protocol():
    body = form(part(jpeg(photo_of(1)), 'name="photos"; filename="x"'))
    yield "a huge header", request(body, "X-Y: " + "z" * 200_000)
    yield "very many headers", request(body, *[f"X-{n}: {'y' * 99}" for n in range(2000)])
    yield "a huge target", request(body, target="/v1/locate?" + "x" * 200_000)
    yield "two lengths", request(body, "Content-Length: 3")
    yield "a negative length", request(body, "Content-Length: -1", length=False)
    yield "no number", request(body, "Content-Length: many", length=False)
    yield "a length of exabytes", request(body, f"Content-Length: {10**18}", length=False)
    yield "just too large", request(b"", "Content-Length: 8000001", length=False)
    yield "a bad chunk", request(b"zz\r\n", "Transfer-Encoding: chunked", length=False)
    chunk = b"40000\r\n" + bytes(0x40000) + b"\r\n"
    yield (
        "endless chunks",
        request(chunk * 40 + b"0\r\n\r\n", "Transfer-Encoding: chunked", length=False),
    )
    yield "unknown coding", request(body, "Transfer-Encoding: gzip", length=False)
    yield "no host", request(body).replace(b"Host: localhost\r\n", b"")
    yield "no method", request(body, line="/v1/locate")
    yield "no HTTP", b"\x16\x03\x01\x02\x00\x01\x00" * 9 + b"\r\n\r\n"
    for target in ("/v1/../v1/etc", "/v1/batch/../../etc/passwd", "/v1/batch/%2e%2e%2f", "/v1//locate",
                   "/v1/locate/x", "http://127.0.0.1:9/v1/locate", "/v1/batch/" + "x" * 5000):  # fmt: skip
        yield f"GET {target[:40]}", request(b"", line=f"GET {target} HTTP/1.1")


def everything() -> list[tuple[str, bytes]]:
    makers = (truncated, damaged, bombs, other_things, names, forms, protocol)
    return [sent for maker in makers for sent in maker()]
