"""Images a second, by the wall clock, from a loopback nginx to shards of short side 256, beside img2dataset 1.47.

Both read the same list of 30,000 JPEGs of about 70 KB from the same server, one after the other, each in processes of
its own, start-up included. img2dataset runs with its best settings (2 processes; 16, 32 and 64 threads are tried) in an
environment of its own: OMNISRC_IMG2DATASET names its python, else build/img2dataset is made with pip. With the best of
them the pair is run twice more, for the machine's speed changes; the median of the three counts. The limit is what
the cores could do if they only decoded, resized, encoded and hashed; it is measured in one process and multiplied.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from bench.crawling import crawl, rival_python, run_rival, successes
from bench.images import make_images
from bench.nginx import nginx
from omnisrc.media.image import land_image

NUMBER = int(os.environ.get("BENCH_IMAGES", "30000"))
THREADS = (16, 32, 64)

RIVAL = """
import sys
from img2dataset import download
download(url_list=sys.argv[1], output_folder=sys.argv[2], processes_count=2, thread_count=int(sys.argv[3]),
         image_size=256, resize_mode="keep_ratio", resize_only_if_bigger=True, output_format="webdataset",
         number_sample_per_shard=500, retries=0, disallowed_header_directives=[])
"""


def run() -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="omnisrc-bench-") as place:
        folder = Path(place)
        images = make_images(Path(tempfile.gettempdir()) / "omnisrc-bench-images", NUMBER)
        size = sum(len(path.read_bytes()) for path in images) / len(images)  # and all are in the system's cache
        limit = pure_limit(images[:: max(1, NUMBER // 500)])
        with nginx(images[0].parent, folder) as port:
            urls = [f"http://127.0.0.1:{port}/{path.name}" for path in images]
            ours = crawl(urls, port, folder / "study", 64)
            rivals = {threads: img2dataset(urls, folder, threads) for threads in THREADS}
            best = max(rivals, key=lambda threads: rivals[threads])
            pairs = [(ours.rate, rivals[best])]
            for turn in ("second", "third"):
                pairs.append((crawl(urls, port, folder / turn, 64).rate, img2dataset(urls, folder, best)))
            wide = crawl(urls, port, folder / "wide", 256)
    ratios = [rate / rival for rate, rival in pairs]
    return {
        "images": NUMBER,
        "mean size, KB": size / 1000,
        "omnisrc crawl, images/s, 64 requests at once": f"{ours.rate:.0f}",
        "omnisrc crawl, images/s, 256 requests at once": f"{wide.rate:.0f}",
        "img2dataset, images/s by threads": ", ".join(f"{threads}: {rate:.0f}" for threads, rate in rivals.items()),
        f"pairs with img2dataset's best ({best} threads), images/s": "; ".join(f"{a:.0f}, {b:.0f}" for a, b in pairs),
        "ratios of the pairs": ", ".join(f"{ratio:.2f}" for ratio in ratios),
        "ratio to img2dataset's best, median": statistics.median(ratios),
        "limit of the cores, images/s": limit,
        "share of the limit": ours.rate / limit,
        "resident memory of the whole crawl, MB, 64 at once: peak in each third": _thirds(ours.memory),
        "resident memory of the whole crawl, MB, 256 at once: peak in each third": _thirds(wide.memory),
        "in shards, KB an image": ours.stored_bytes / 1000,
        "in SQLite, KB an image": ours.catalogue_bytes / 1000,
    }


def pure_limit(images: list[Path]) -> float:
    """Images/s of all cores if they did nothing but scaled decoding, resizing, encoding and hashing."""
    bodies = [path.read_bytes() for path in images]
    rates = []
    for _ in range(3):
        began = time.process_time()
        for body in bodies:
            land_image(body, short_side=256)
        rates.append(len(bodies) / (time.process_time() - began))
    return max(rates) * len(os.sched_getaffinity(0))


def _thirds(memory: list[float]) -> str:
    cut = max(1, len(memory) // 3)
    return ", ".join(f"{max(memory[start : start + cut]):.0f}" for start in (0, cut, len(memory) - cut))


def img2dataset(urls: list[str], folder: Path, threads: int) -> float:
    """Images/s of img2dataset with the same output size."""
    listing, output = folder / "urls.txt", folder / f"img2dataset-{threads}"
    listing.write_text("\n".join(urls) + "\n")
    shutil.rmtree(output, ignore_errors=True)
    python = rival_python("img2dataset", "img2dataset==1.47.0")
    seconds = run_rival(python, RIVAL, str(listing), str(output), str(threads))
    return successes(output) / seconds
