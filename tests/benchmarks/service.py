"""Benchmark of the service: throughput relative to the encoder, and time to the first answer.

    python tests/benchmarks/service.py [--seconds 20] [--rounds 3]

1, 8 and 32 concurrent clients send requests of one photo. The throughput is compared with that of
the encoder alone on the same files (decoding included), and with its limit: the sum of the times of
decoding, network and ranking, each alone on all cores. The time of one request is compared with
that of `locate` in one process. Then a browser opens the page of a server that has just started,
and uploads two photos; and visitors without a browser come by the hundred, while the memory of the
server is watched. Run it on an idle machine.
Needs the development data beside the repository, and chromium for the page. Prints a table and one
JSON line.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from geoloc.encoders.base import ImageEncoder
from geoloc.encoders.pipeline import BATCH, encode
from geoloc.geolocator import Geolocator
from geoloc.photos.decode import load

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("SHARED", ROOT.parent / "shared"))
CLIENTS = (1, 8, 32)
BOUNDARY = "boundary"
WARM_VISITS = 30
"""Visits before the memory is measured: caches and pools of threads fill up."""
MAP_IS_IDLE = """() => {
  const map = document.querySelector("#world .planet")?.planet?.map;
  return map && map.loaded() && !map.isMoving();
}"""
ANSWERED = "8 of 10 photos like this"
"""Text that the page shows with every answer."""
WEBGL = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


@contextmanager
def server(*options: str) -> Iterator[tuple[str, int, subprocess.Popen]]:
    """Start the server in another process; yield its host, its port and the process."""
    command = [sys.executable, "-m", "demo.server", "--port", "0", *options]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        found = re.search(r"http://([\d.]+):(\d+)", process.stdout.readline())
        try:
            yield found[1], int(found[2]), process
        finally:
            process.terminate()


def form(content: bytes) -> bytes:
    """Return a multipart form with one photo."""
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="photos"; filename="x.jpg"\r\n\r\n'
    )
    return head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()


def client(host: str, port: int, forms: list[bytes], first: int, until: float) -> list[float]:
    """Send one photo after the other; return the seconds of each request."""
    connection = http.client.HTTPConnection(host, port)
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    times = []
    for body in islice(cycle(forms), first, None):
        began = time.perf_counter()
        if began >= until:
            return times
        connection.request("POST", "/v1/locate", body, headers)
        reply = connection.getresponse()
        if reply.status != 200:
            raise RuntimeError(reply.read().decode())
        reply.read()
        times.append(time.perf_counter() - began)
    return times


def load_test(
    host: str, port: int, forms: list[bytes], clients: int, seconds: float
) -> list[float]:
    """Return requests per second, and the 50th and 95th percentile of milliseconds."""
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as threads:
        until = began + seconds
        futures = [
            threads.submit(client, host, port, forms, 7 * number, until)
            for number in range(clients)
        ]
        times = np.concatenate([future.result() for future in futures])
    rate = len(times) / (time.perf_counter() - began)
    return [rate, *(1000.0 * np.percentile(times, (50, 95)))]


def encoder_rate(encoder: ImageEncoder, contents: list[bytes], seconds: float) -> float:
    """Return photos per second of the encoder, decoding included."""
    began, done = time.perf_counter(), 0
    for encoded in encode(encoder, cycle(contents)):
        done += len(encoded.results)
        if time.perf_counter() - began > seconds:
            break
    return done / (time.perf_counter() - began)


def network_rate(encoder: ImageEncoder, contents: list[bytes], seconds: float) -> float:
    """Return photos per second of the network alone."""
    pixels = encoder.spec.preprocessing
    batch = np.stack([pixels(load(content).image) for content in contents[:BATCH]])
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        encoder.embed(batch)
        done += len(batch)
    return done / (time.perf_counter() - began)


def rank_rate(geolocator: Geolocator, contents: list[bytes], seconds: float) -> float:
    """Return answers per second of the stages after the network alone."""
    embeddings = geolocator.embed(contents[:BATCH])
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        done += len(geolocator.guess(embeddings))
    return done / (time.perf_counter() - began)


def decode_rate(encoder: ImageEncoder, contents: list[bytes], seconds: float) -> float:
    """Return photos per second that all cores decode and resize."""
    pixels = encoder.spec.preprocessing

    def decode(content: bytes) -> int:
        return len(pixels(load(content, min_side=pixels.min_side).image))

    began, done = time.perf_counter(), 0
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        while time.perf_counter() - began < seconds:
            done += len(list(threads.map(decode, contents[:BATCH])))
    return done / (time.perf_counter() - began)


def locate_ms(geolocator: Geolocator, contents: list[bytes]) -> float:
    """Return the median time in which one photo is located in this process."""
    times = []
    for content in contents[:BATCH]:
        began = time.perf_counter()
        geolocator.locate(content)
        times.append(time.perf_counter() - began)
    return 1000.0 * float(np.median(times))


def throughput(results: dict[str, float], seconds: float, rounds: int) -> None:
    """Measure the stages alone and the service in turns; keep the medians of the rounds."""
    files = sorted((SHARED / "data" / "photos").rglob("*.jpg"))[::16][:256]
    contents = [path.read_bytes() for path in files]
    forms = [form(content) for content in contents]
    geolocator = Geolocator.from_bundle("starter")
    encoder = geolocator.encoder
    stages, service, alone = [], [], []
    with server("--no-page") as (host, port, _):
        load_test(host, port, forms, 8, 2.0)
        geolocator.locate(contents[0])
        for _ in range(rounds):
            stages.append(
                [
                    decode_rate(encoder, contents, seconds / 4),
                    network_rate(encoder, contents, seconds / 4),
                    rank_rate(geolocator, contents, seconds / 4),
                    encoder_rate(encoder, contents, seconds / 4),
                ]
            )
            alone.append(locate_ms(geolocator, contents))
            service.append([load_test(host, port, forms, clients, seconds) for clients in CLIENTS])
    decoded, network, ranked, bare = np.median(stages, axis=0).tolist()
    results |= {"decode_per_s": decoded, "network_per_s": network, "rank_per_s": ranked}
    results["encoder_per_s"] = bare
    for clients, (rate, p50, p95) in zip(CLIENTS, np.median(service, axis=0).tolist(), strict=True):
        results[f"per_s_{clients}"] = rate
        results[f"ratio_{clients}"] = rate / bare
        results[f"p50_ms_{clients}"], results[f"p95_ms_{clients}"] = p50, p95
    results["limit_32"] = results["per_s_32"] * (1 / decoded + 1 / network + 1 / ranked)
    results["locate_ms"] = float(np.median(alone))
    results["latency_1"] = results["p50_ms_1"] / results["locate_ms"]


def page(results: dict[str, float]) -> None:
    """Measure bytes and times of a first visit: the page with an answer, and another answer."""
    from playwright.sync_api import sync_playwright

    photos = sorted((SHARED / "data" / "photos").rglob("*.jpg"))[::50][:8]
    began = time.perf_counter()
    with server() as (host, port, _), sync_playwright() as browsers:
        results["start_s"] = time.perf_counter() - began
        chromium = shutil.which("chromium")
        browser = browsers.chromium.launch(executable_path=chromium, args=WEBGL)
        context = browser.new_context(viewport={"width": 1280, "height": 1000})
        tab = context.new_page()
        requested: list[str] = []
        finished: list[object] = []
        tab.on("request", lambda request: requested.append(request.url))
        context.on("requestfinished", lambda request: finished.append(request))
        opened = time.perf_counter()
        tab.goto(f"http://{host}:{port}")
        tab.get_by_role("button", name="Choose photos").wait_for()
        results["page_s"] = time.perf_counter() - opened
        began = time.perf_counter()
        answer(tab, photos[0])
        results["first_answer_s"] = time.perf_counter() - began
        tab.wait_for_function(MAP_IS_IDLE, timeout=120_000)
        first = len(finished)
        answer(tab, photos[-1])  # scripts and the map of the world are there already
        tab.wait_for_function(MAP_IS_IDLE, timeout=120_000)
        results["page_kb"] = kilobytes(finished[:first])
        results["answer_kb"] = kilobytes(finished[first:])
        results["map_kb"] = kilobytes([each for each in finished if "/map/" in each.url])
        context.close()
        browser.close()
    foreign = {url for url in requested if not url.startswith((f"http://{host}", "data:", "blob:"))}
    if foreign:
        raise RuntimeError(f"the page loads from other servers: {foreign}")


def memory(results: dict[str, float], visits: int) -> None:
    """Measure the memory that visits leave behind, after `WARM_VISITS` others.

    The visitors send what a browser sends, four of them at once.
    """
    from _visiting import Visitor  # beside this script; others import the script as a module

    photos = sorted((SHARED / "data" / "photos").rglob("*.jpg"))[::50][:8]
    with server() as (host, port, process), ThreadPoolExecutor(4) as threads:

        def visit(number: int) -> None:
            Visitor(host, port).answer([photos[number % len(photos)]])

        list(threads.map(visit, range(WARM_VISITS)))
        before = resident_mb(process)
        list(threads.map(visit, range(visits)))
        after = resident_mb(process)
    results["mb_after_30_visits"], results["mb_per_100_visits"] = (
        before,
        100 * (after - before) / visits,
    )


def answer(tab: object, photo: Path) -> None:
    """Upload a photo and wait for the answer with its explanation."""
    tab.get_by_label("Photos", exact=True).set_input_files(photo)
    tab.get_by_text(ANSWERED).first.wait_for(timeout=120_000)
    tab.locator(".preview").wait_for(state="hidden", timeout=120_000)


def resident_mb(process: subprocess.Popen) -> float:
    """Return the memory of a process that is not swapped out."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def kilobytes(requests: list) -> float:
    """Return the transferred kilobytes of finished requests, with headers.

    Playwright counts no bytes of workers, which load the tiles of the map: their declared length
    counts.
    """
    total = 0
    for request in requests:
        if request.url.startswith("http"):
            sizes = request.sizes()
            total += sizes["responseHeadersSize"] + (
                sizes["responseBodySize"]
                or int(request.response().headers.get("content-length", 0))
            )
    return total / 1e3


def main() -> None:
    """Run all measurements and print the results."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--visits", type=int, default=270)
    options = parser.parse_args()
    results: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["TMPDIR"] = scratch
        if options.rounds:
            throughput(results, options.seconds, options.rounds)
        if shutil.which("chromium"):
            page(results)
        if options.visits:
            memory(results, options.visits)
    print("| figure | value |\n|---|---:|")
    for name, value in results.items():
        print(f"| {name} | {value:.3g} |")
    print(json.dumps({name: round(value, 4) for name, value in results.items()}))


if __name__ == "__main__":
    main()
