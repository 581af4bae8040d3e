"""Images a second, by the wall clock, from a loopback nginx to shards of short side 256, beside img2dataset 1.47.

Both read the same list of 30,000 JPEGs of about 70 KB from the same server, one after the other, each in processes of
its own, start-up included. img2dataset runs with its best settings (2 processes; 16, 32 and 64 threads are tried) in an
environment of its own: OMNISRC_IMG2DATASET names its python, else build/img2dataset is made with pip. The limit is what
the cores could do if they only decoded, resized, encoded and hashed; it is measured in one process and multiplied.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.images import make_images
from omnisrc.media.image import land_image
from tests.services import free_port, until

ROOT = Path(__file__).resolve().parents[1]
NUMBER = int(os.environ.get("BENCH_IMAGES", "30000"))
THREADS = (16, 32, 64)


def run() -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="omnisrc-bench-") as place:
        folder = Path(place)
        images = make_images(Path(tempfile.gettempdir()) / "omnisrc-bench-images", NUMBER)
        size = sum(path.stat().st_size for path in images) / len(images)
        limit = pure_limit(images[:: max(1, NUMBER // 500)])
        with nginx(images[0].parent, folder) as port:
            urls = [f"http://127.0.0.1:{port}/{path.name}" for path in images]
            ours, memory = crawl(urls, port, folder / "study", 64)
            rivals = {threads: img2dataset(urls, folder, threads) for threads in THREADS}
            wide, wide_memory = crawl(urls, port, folder / "wide", 256)
    best = max(rivals, key=lambda threads: rivals[threads])
    return {
        "images": NUMBER,
        "mean size, KB": size / 1000,
        "omnisrc crawl, images/s, 64 requests at once": f"{ours:.0f}",
        "omnisrc crawl, images/s, 256 requests at once": f"{wide:.0f}",
        "img2dataset, images/s by threads": ", ".join(f"{threads}: {rate:.0f}" for threads, rate in rivals.items()),
        "ratio to img2dataset's best": ours / rivals[best],
        "limit of the cores, images/s": limit,
        "share of the limit": ours / limit,
        "resident memory of the whole crawl, MB, 64 at once: peak in each third": _thirds(memory),
        "resident memory of the whole crawl, MB, 256 at once: peak in each third": _thirds(wide_memory),
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


@contextmanager
def nginx(root: Path, folder: Path) -> Iterator[int]:
    binary = shutil.which("nginx") or "/usr/sbin/nginx"
    port = free_port()
    settings = folder / "nginx.conf"
    settings.write_text(
        f"worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; user root;\n"
        "events { worker_connections 4096; }\n"
        f"http {{ access_log off; sendfile on; keepalive_requests 100000; types {{ image/jpeg jpg; }}\n"
        f"server {{ listen 127.0.0.1:{port}; root {root}; }} }}\n"
    )
    server = subprocess.Popen([binary, "-c", str(settings), "-p", str(folder)])
    try:
        until(lambda: (folder / "nginx.pid").exists(), 10)
        yield port
    finally:
        server.terminate()
        server.wait()


def crawl(urls: list[str], port: int, workspace: Path, at_once: int) -> tuple[float, list[float]]:
    """(images/s, MB four times a second) of `omnisrc crawl --provider table`."""
    table = workspace.with_suffix(".csv")
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["url", "class"])
        rows.writerows([url, "anything"] for url in urls)
    classes = workspace.with_suffix(".txt")
    classes.write_text("anything\n")
    command = [sys.executable, "-m", "omnisrc", "crawl", "--workspace", str(workspace), "--classes", str(classes)]
    command += ["--provider", "table", "--per-class", str(len(urls)), "--json"]
    for setting in (
        f"providers.table.path={table}", f"crawl.allow_hosts=['127.0.0.1:{port}']", "crawl.host_rate=0",
        f"crawl.host_concurrency={at_once}", f"crawl.concurrency={at_once}", "media.image_short_side=256",
        "crawl.drain_bytes=268435456",
    ):  # fmt: skip
        command += ["--set", setting]
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    memory = Memory(process.pid)
    output, _ = process.communicate()
    seconds, series = time.monotonic() - began, memory.stop()
    assert process.returncode == 0, output
    export = [sys.executable, "-m", "omnisrc", "export", "assets", "--workspace", str(workspace)]
    lines = subprocess.run(export, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    stored = sum(json.loads(line)["state"] == "stored" for line in lines)
    assert stored == len(urls), f"{stored} of {len(urls)} stored"
    return stored / seconds, series


def img2dataset(urls: list[str], folder: Path, threads: int) -> float:
    """Images/s of img2dataset with the same output size."""
    listing, output = folder / "urls.txt", folder / f"img2dataset-{threads}"
    listing.write_text("\n".join(urls) + "\n")
    code = (
        "import sys; from img2dataset import download\n"
        "if __name__ == '__main__':\n"
        "    download(url_list=sys.argv[1], output_folder=sys.argv[2], processes_count=2,"
        " thread_count=int(sys.argv[3]), image_size=256, resize_mode='keep_ratio', resize_only_if_bigger=True,"
        " output_format='webdataset', number_sample_per_shard=500, retries=0, disallowed_header_directives=[])\n"
    )
    script = folder / "rival.py"
    script.write_text(code)
    began = time.monotonic()
    done = subprocess.run(
        [str(rival_python()), str(script), str(listing), str(output), str(threads)], capture_output=True, text=True
    )
    seconds = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    stats = [json.loads(path.read_text()) for path in output.glob("*_stats.json")]
    return sum(stat["successes"] for stat in stats) / seconds


def rival_python() -> Path:
    named = os.environ.get("OMNISRC_IMG2DATASET")
    if named:
        return Path(named)
    place = ROOT / "build" / "img2dataset"
    if not (place / "bin" / "img2dataset").exists():
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        subprocess.run([str(place / "bin" / "pip"), "install", "-q", "img2dataset==1.47.0"], check=True)
    return place / "bin" / "python"


class Memory:
    """Four times a second the sum of proportional resident memory over a process and its descendants, in MB."""

    def __init__(self, pid: int) -> None:
        self.pid, self.series, self.over = pid, [0.0], threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self) -> None:
        while not self.over.wait(0.25):
            self.series.append(sum(map(_memory, _family(self.pid))))

    def stop(self) -> list[float]:
        self.over.set()
        self.thread.join()
        return self.series


def _family(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(child) for child in task.read_text().split()]
            except OSError:
                continue
    return found


def _memory(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
