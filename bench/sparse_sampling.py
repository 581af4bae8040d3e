"""Milliseconds to open a clip's bytes and take frames from it: ours (PyAV) beside torchcodec, on the same bytes.

The clips are textured, moving, 340x256, 10 s. `curated` is what `cut_clip` makes; `download` has one keyframe every
250 frames. Runs are paired, ours and theirs in turn, one thread each; times are the processor's, which a busy machine
disturbs less. `ratio` is the median of theirs / ours: over 1, ours is faster.
Where torchcodec does not find an FFmpeg, both use the one in PyAV's wheel.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAIRS = 60
CHOICES = {
    "tsn8": [15, 46, 78, 109, 140, 171, 203, 234],
    "8x8": list(range(60, 124, 8)),
    "32x2": list(range(60, 124, 2)),
}
"""Eight segments; SlowOnly 8x8; 32 frames of every second."""


def run() -> dict[str, Any]:
    """Measure in a process of its own, which can load torchcodec."""
    sys.path.insert(0, str(ROOT))
    from tests.plain_ffmpeg import torchcodec_environment

    with tempfile.TemporaryDirectory() as folder:
        environment = torchcodec_environment(Path(folder))
        if environment is None:
            return {"torchcodec": "does not load here; install it and FFmpeg"}
        command = [sys.executable, str(Path(__file__).resolve()), "--measure"]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
        return dict(json.loads(done.stdout))


def measure() -> dict[str, Any]:
    """The figures, with both libraries in this process."""
    import torch

    from omnisrc.media.encode import cut_clip
    from tests.media_files import moving_frames, video_bytes

    torch.set_num_threads(1)
    download = video_bytes(moving_frames(250, 340, 256, speed=2), gop=250, options={"preset": "medium", "crf": "23"})
    clips = {"curated": cut_clip(download, 0, 10, short_side=256).data, "download": download}
    figures: dict[str, Any] = {f"{name} KB": len(data) // 1000 for name, data in clips.items()}
    for name, data in clips.items():
        for choice, frames in CHOICES.items():
            figures.update(compare(f"{name} {choice}", data, frames))
    return figures


def compare(label: str, data: bytes, frames: list[int]) -> dict[str, Any]:
    """Medians of one clip and one choice of frames, and whether the frames are equal."""
    from torchcodec.decoders import VideoDecoder

    from omnisrc.media.video import open_video

    def ours() -> Any:
        with open_video(data) as video:
            return video.frames(frames)

    def theirs() -> Any:
        return VideoDecoder(data, dimension_order="NHWC", num_ffmpeg_threads=1).get_frames_at(frames).data.numpy()

    equal = bool((ours() == theirs()).all())
    pairs = [
        (clock(ours), clock(theirs)) if number % 2 else (clock(theirs), clock(ours))[::-1] for number in range(PAIRS)
    ]
    return {
        f"{label} ours ms": statistics.median(a for a, _ in pairs),
        f"{label} torchcodec ms": statistics.median(b for _, b in pairs),
        f"{label} ratio": statistics.median(b / a for a, b in pairs),
        f"{label} equal": equal,
    }


def clock(call: Callable[[], Any]) -> float:
    """Milliseconds of processor time."""
    start = time.process_time()
    call()
    return (time.process_time() - start) * 1000


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    if sys.argv[1:] == ["--measure"]:
        print(json.dumps(measure()))
    else:
        print(json.dumps(run(), indent=1))
