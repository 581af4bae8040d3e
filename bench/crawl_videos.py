"""Video files a second, by the wall clock, from a loopback nginx to shards, beside video2dataset 1.3.

Both read the same list of short MP4s (H.264, 4 s at 426x240, about 100 KB, no two equal) from the same server, one
after the other, each in processes of its own, start-up included, and keep the bytes as they come. Ours opens each one,
reads its index, decodes its first frame and records it in SQL; video2dataset writes what it gets. Ours runs with 32,
64 and 128 requests at once, video2dataset with 2 processes of 16, 32 and 64 threads, in turn, and the best of each
counts. It has an environment of its own: OMNISRC_VIDEO2DATASET names its python, else build/video2dataset is made with
pip.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from bench.crawling import crawl, rival_python, run_rival, successes
from bench.nginx import nginx
from tests.media_files import video_bytes

NUMBER = int(os.environ.get("BENCH_VIDEOS", "6000"))
DIFFERENT = 40
THREADS = (16, 32, 64)
AT_ONCE = (32, 64, 128)

RIVAL = """
import sys, yaml
from video2dataset import video2dataset
config = {
    "subsampling": {},
    "reading": {"yt_args": {"download_size": 360, "download_audio_rate": 44100, "yt_metadata_args": None},
                "timeout": 60, "sampler": None},
    "storage": {"number_sample_per_shard": 500, "oom_shard_count": 5, "captions_are_subtitles": False},
    "distribution": {"processes_count": 2, "thread_count": int(sys.argv[3]), "subjob_size": 100000,
                     "distributor": "multiprocessing"},
}
with open(sys.argv[4], "w") as file:
    yaml.safe_dump(config, file)
video2dataset(url_list=sys.argv[1], output_folder=sys.argv[2], output_format="webdataset", input_format="csv",
              url_col="url", encode_formats={"video": "mp4"}, config=sys.argv[4])
"""


def run() -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="omnisrc-bench-") as place:
        folder = Path(place)
        videos = make_videos(Path(tempfile.gettempdir()) / "omnisrc-bench-videos", NUMBER)
        size = sum(len(path.read_bytes()) for path in videos) / len(videos)  # and all are in the system's cache
        with nginx(videos[0].parent, folder) as port:
            urls = [f"http://127.0.0.1:{port}/{path.name}" for path in videos]
            ours, rivals = {}, {}
            for at_once, threads in zip(AT_ONCE, THREADS, strict=True):
                ours[at_once] = crawl(urls, port, folder / f"study-{at_once}", at_once)
                rivals[threads] = video2dataset(urls, folder, threads)
    best, rate = max(rivals.values()), max(crawled.rate for crawled in ours.values())
    return {
        "videos": NUMBER,
        "mean size, KB": size / 1000,
        "omnisrc crawl, files/s by requests at once": ", ".join(f"{n}: {run.rate:.0f}" for n, run in ours.items()),
        "video2dataset, files/s by threads": ", ".join(f"{threads}: {rate:.0f}" for threads, rate in rivals.items()),
        "ratio of the best to video2dataset's best": rate / best,
        "resident memory of the whole crawl, MB (peak)": max(max(run.memory) for run in ours.values()),
    }


def make_videos(folder: Path, number: int) -> list[Path]:
    """`number` MP4s in `folder`; they differ in a box that players skip, and `DIFFERENT` of them in their pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{at:06d}.mp4" for at in range(number)]
    pictures: dict[int, bytes] = {}
    for at, path in enumerate(paths):
        if path.exists():
            continue
        if at % DIFFERENT not in pictures:
            pictures[at % DIFFERENT] = video_bytes(100, width=426, height=240, seed=at % DIFFERENT)
        path.write_bytes(pictures[at % DIFFERENT] + (16).to_bytes(4, "big") + b"free" + at.to_bytes(8, "big"))
    return paths


def video2dataset(urls: list[str], folder: Path, threads: int) -> float:
    """Files/s of video2dataset."""
    listing, output = folder / "urls.csv", folder / f"video2dataset-{threads}"
    listing.write_text("\n".join(["url", *urls]) + "\n")
    python = rival_python("video2dataset", "video2dataset==1.3.0", "pyarrow<22", "setuptools<80")
    seconds = run_rival(python, RIVAL, str(listing), str(output), str(threads), str(folder / f"rival-{threads}.yaml"))
    return successes(output) / seconds
