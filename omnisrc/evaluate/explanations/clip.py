"""The clip of a video that is explained, and the files that show it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from omnisrc.errors import ErrorClass, ItemError, UserError
from omnisrc.evaluate.explanations.methods import Explanation, explain
from omnisrc.evaluate.explanations.overlay import coloured, enlarged, overlaid, pairs, sheet
from omnisrc.evaluate.whole_files import whole_file
from omnisrc.evaluate.windows.feed import in_views, middle
from omnisrc.evaluate.windows.network import Network
from omnisrc.evaluate.windows.plan import Windows
from omnisrc.evaluate.windows.reading import PartReader
from omnisrc.media.film import open_film
from omnisrc.media.guard import GuardPool
from omnisrc.media.sniff import sniff
from omnisrc.media.source import Source, read_head

STILL_FPS = 2.0


@dataclass(frozen=True)
class Clip:
    """Views (V, T, S, S, C) of one window, when each of their frames is shown (V*T,), in seconds, and what a person
    sees there: `pictures` (V*T, S, S, 3)."""

    views: NDArray[np.uint8]
    seconds: NDArray[np.float64]
    pictures: NDArray[np.uint8]


def clip_of(source: Source, plan: Windows, pool: GuardPool, reader: PartReader, start: float | None = None) -> Clip:
    """One window of a video, from `start` seconds on (by default in its middle), or a still.

    Raises:
        ItemError: the source cannot be decoded.
        UserError: there is nothing at `start`.
    """
    sampler = plan.sampler
    if (sniff(read_head(source)) or "").startswith("image/"):
        view = middle(reader.still(source, plan), plan)
        count = sampler.num_clips * sampler.clip_len
        views = np.broadcast_to(view, (plan.views, plan.view_len, *view.shape[1:]))
        return Clip(views, np.zeros(count), views.reshape(-1, *view.shape[1:]))
    peek = pool.call("peek_video", source)[0]
    plan = plan.at_rate(peek["fps"])
    first = max(0.0, (peek["duration"] - plan.length) / 2) if start is None else start
    shown = reader(source, plan, [(first, first + plan.length)], peek["origin"], pictures=True)
    if not shown.counts[0]:
        if start is not None:
            length = f"{shown.end or peek['duration']:g}"
            raise UserError(
                f"There is no {reader.unit} from --start {start:g} on: the video has {length} s; choose another."
            )
        raise ItemError(ErrorClass.DECODE, f"no {reader.unit} between {first:g} and {first + plan.length:g} s")
    return Clip(in_views(shown.views, plan), shown.seconds, middle(shown.pictures, plan))


@dataclass(frozen=True)
class Shown:
    """What was written: a sheet of frames, a video, and the map's numbers."""

    sheet: Path
    video: Path
    numbers: Path
    explanation: Explanation


def show(
    network: Network, clip: Clip, target: int, name: str, folder: Path, stem: str, method: str, stage: str = ""
) -> Shown:
    """Explains the class `target`, called `name`, and writes STEM-METHOD.png, .mp4 and .npz into the folder.

    Heat lies on the video's frames; beside it is what the network sees. The .npz has `raw` and `heat` of the
    explanation, `seconds` of the frames, and `frames` (V, T, S, S, C), as the network was shown them.

    Raises:
        UserError: the method is not defined for this network.
        WorldError: the files cannot be written.
    """
    found = explain(network.model, network.views(clip.views[None]), target, method, stage)
    flat = clip.views.reshape(-1, *clip.views.shape[2:])
    heat = found.heat.cpu().numpy().astype(np.float32).reshape(-1, *flat.shape[1:3])
    heat = heat.repeat(len(flat) // len(heat), axis=0)  # stacked fields have one map
    frames = enlarged(flat if network.model.input.modality == "rgb" else coloured(flat))
    covered = overlaid(enlarged(clip.pictures), heat)
    where = f", {stage or network.model.trunk.stages[-1].name}" if method != "guided-backprop" else ""
    what = "" if method == "activation" else f"{name} ({100 * found.probability:.1f} %): "
    title = f"{what}{method}{where}"
    paths = [folder / f"{stem}-{method}{suffix}" for suffix in (".png", ".mp4", ".npz")]
    write_png(paths[0], sheet(frames, covered, title))
    write_film(paths[1], pairs(frames, covered), clip.seconds)
    write_numbers(paths[2], raw=found.raw.cpu().numpy(), heat=heat, seconds=clip.seconds, frames=clip.views)
    return Shown(paths[0], paths[1], paths[2], found)


def write_png(path: Path, picture: NDArray[np.uint8]) -> None:
    done, data = cv2.imencode(".png", picture[..., ::-1])
    assert done
    with whole_file(path, "wb") as file:
        file.write(data.tobytes())


def write_film(path: Path, frames: NDArray[np.uint8], seconds: NDArray[np.float64]) -> None:
    """The frames at the pace of their times; where those do not ascend (a clip that wraps around), two a second."""
    steps = np.diff(seconds)
    steady = len(steps) > 0 and bool(np.all(steps > 0))
    times = seconds - seconds[0] if steady else np.arange(len(frames)) / STILL_FPS
    step = float(np.median(steps)) if steady else 1 / STILL_FPS
    with open_film(path, 1 / step) as film:
        for time, frame in zip(times.tolist(), frames, strict=True):
            film.add(frame, time)


def write_numbers(path: Path, **arrays: NDArray[Any]) -> None:
    with whole_file(path, "wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
