"""Benchmark of the service: throughput relative to the encoder, and time to the first answer.

    python tests/benchmarks/service.py [--seconds 20] [--rounds 3]

1, 8 and 32 concurrent clients send requests of one photo. The throughput is compared with that of
the encoder alone on the same files (decoding included), and with its limit: that of cores which do
nothing but decode, run the network and rank, by the CPU seconds of each alone. The clients share
these cores, and nothing is subtracted for them. The time of one request is compared with that of
`locate` in one process. Then a browser opens the page of a server that has just started,
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
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from geoloc.encoders.borders import without_borders
from geoloc.encoders.pipeline import BATCH, batched, encode_all, encode_pixels
from geoloc.encoders.signatures import signature
from geoloc.geolocator import Geolocator
from geoloc.io import machine
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
    """Return requests per second, the 50th and 95th percentile of ms, and the requests."""
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as threads:
        until = began + seconds
        futures = [
            threads.submit(client, host, port, forms, 7 * number, until)
            for number in range(clients)
        ]
        times = np.concatenate([future.result() for future in futures])
    rate = len(times) / (time.perf_counter() - began)
    return [rate, *(1000.0 * np.percentile(times, (50, 95))), len(times)]


def stages(geolocator: Geolocator, contents: list[bytes]) -> dict[str, Callable[[], object]]:
    """Return the work of each stage alone for these photos, and of the encoder with decoding.

    Ranking is that of single photos in batches, with the search for copies.
    """
    encoder, pixels = geolocator.encoder, geolocator.encoder.spec.preprocessing
    encoded = encode_all(encoder, contents, load=geolocator.read)
    prepared = [pixels.square(without_borders(load(each).image)) for each in contents]

    def decode(content: bytes) -> object:
        photo = geolocator.read(content, min_side=pixels.min_side)
        return signature(pixels.square(without_borders(photo.image)), pixels.std)

    def decode_all() -> None:
        with ThreadPoolExecutor(machine.cores()) as threads:
            list(threads.map(decode, contents))

    def embed_all() -> None:
        for part in batched(prepared, BATCH):
            encode_pixels(encoder, np.stack(part))

    def rank_all() -> None:
        for rows in batched(range(len(contents)), BATCH):
            geolocator.guess(encoded.embeddings[rows], [encoded.photos[row] for row in rows])

    return {
        "decode": decode_all,
        "network": embed_all,
        "rank": rank_all,
        "encoder": lambda: encode_all(encoder, contents, load=geolocator.read),
    }


def locate_ms(geolocator: Geolocator, contents: list[bytes]) -> float:
    """Return the median time in which one photo is located in this process."""
    times = []
    for content in contents[:BATCH]:
        began = time.perf_counter()
        geolocator.locate(content)
        times.append(time.perf_counter() - began)
    return 1000.0 * float(np.median(times))


def throughput(results: dict[str, float], seconds: float, rounds: int) -> None:
    """Measure the stages alone and the service in turns; keep the medians of the rounds.

    The stages give decode_per_s, network_per_s, rank_per_s, encoder_per_s, and as many _cpu_ms.
    """
    from _machine import cpu_s, wall_and_cpu_s  # beside this script; others import it as a module

    files = sorted((SHARED / "data" / "photos").rglob("*.jpg"))[::16][:256]
    contents = [path.read_bytes() for path in files]
    forms = [form(content) for content in contents]
    geolocator = Geolocator.from_bundle("starter")
    work = stages(geolocator, contents)
    found: dict[str, list[float]] = {}

    def add(name: str, value: float) -> None:
        found.setdefault(name, []).append(value)

    with server("--no-page") as (host, port, process):
        load_test(host, port, forms, 8, 2.0)
        geolocator.locate(contents[0])
        for _ in range(rounds):
            for name, stage in work.items():
                wall, used = wall_and_cpu_s(stage)
                add(f"{name}_per_s", len(contents) / wall)
                add(f"{name}_cpu_ms", 1000.0 * used / len(contents))
            add("locate_ms", locate_ms(geolocator, contents))
            for clients in CLIENTS:
                own, served = cpu_s(), cpu_s_of(process)
                rate, p50, p95, count = load_test(host, port, forms, clients, seconds)
                add(f"per_s_{clients}", rate)
                add(f"p50_ms_{clients}", p50)
                add(f"p95_ms_{clients}", p95)
                add(f"client_cpu_ms_{clients}", 1000.0 * (cpu_s() - own) / count)
                add(f"server_cpu_ms_{clients}", 1000.0 * (cpu_s_of(process) - served) / count)
    results |= {name: float(np.median(values)) for name, values in found.items()}
    for clients in CLIENTS:
        results[f"ratio_{clients}"] = results[f"per_s_{clients}"] / results["encoder_per_s"]
    parts = sum(results[f"{name}_cpu_ms"] for name in ("decode", "network", "rank"))
    results["limit_32"] = results["per_s_32"] * parts / 1000.0 / machine.cores()
    results["latency_1"] = results["p50_ms_1"] / results["locate_ms"]


def cpu_s_of(process: subprocess.Popen) -> float:
    """Return the CPU seconds of another process, in all threads."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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
    from _machine import print_machine

    print_machine()
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
