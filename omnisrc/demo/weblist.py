"""Which items the rendered web holds: true and wrong finds of each class, leaks, copies, and items that misbehave."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from omnisrc.demo.actions import ACTIONS
from omnisrc.demo.behaviours import BEHAVIOURS
from omnisrc.demo.catalogue import Truth, WebItem
from omnisrc.demo.target import FPS, ClipPlan
from omnisrc.demo.webmedia import FRAME_RATES, IMAGE_SIZES, VIDEO_SIZE, MediaPlan, Shot, wrong_shot

LICENCES = (
    ("CC BY-SA 4.0", "https://creativecommons.org/licenses/by-sa/4.0"),
    ("CC BY 4.0", "https://creativecommons.org/licenses/by/4.0"),
    ("CC BY 2.0", "https://creativecommons.org/licenses/by/2.0"),
    ("CC0", "https://creativecommons.org/publicdomain/zero/1.0/"),
    ("Public domain", ""),
    ("CC BY-ND 4.0", "https://creativecommons.org/licenses/by-nd/4.0"),
    ("", ""),
)
LICENCE_SHARES = (0.35, 0.2, 0.15, 0.12, 0.1, 0.05, 0.03)
AUTHORS = ("Ana Ruiz", "B. Okafor", "Chen Wei", "Dürer & Söhne", "Elif Şahin", "F. O'Hara", "Giulia <foto>", "Hàn Minh")
PLACES = ("Accra", "Bergen", "Cusco", "Dhaka", "Évora", "Fukuoka", "Graz", "Hội An")


@dataclass(frozen=True)
class WebSize:
    """Finds for each class, and the share of them that shows the class."""

    images: int = 140
    videos: int = 32
    true_share: float = 0.3
    leaked_images: int = 6
    leaked_videos: int = 2
    copies: int = 6  # of each kind: the same bytes, the same picture
    misbehaving: bool = True


@dataclass
class WebPlan:
    items: list[WebItem] = field(default_factory=list)
    truth: dict[str, Truth] = field(default_factory=dict)
    media: dict[str, MediaPlan] = field(default_factory=dict)  # by item; a copy has none

    def add(self, item: WebItem, truth: Truth, media: MediaPlan | None) -> None:
        self.items.append(item)
        self.truth[item.id] = truth
        if media is not None:
            self.media[item.id] = media


def plan_web(seed: int, size: WebSize, test: list[ClipPlan]) -> WebPlan:
    """The whole web; `test` are the clips that may leak into it."""
    rng = np.random.default_rng([seed, 3])
    plan = WebPlan()
    for asked in ACTIONS:
        for medium, count in (("image", size.images), ("video", size.videos)):
            for index in range(count):
                true = (index + 0.5) / count < size.true_share
                _add_find(plan, rng, seed, asked, medium, true)
    for medium, count in (("image", size.leaked_images), ("video", size.leaked_videos)):
        for clip in rng.choice(len(test), min(count, len(test)), replace=False):
            _add_leak(plan, rng, seed, test[clip], medium)
    ordinary = [item for item in plan.items if plan.truth[item.id].leak_of is None]
    order = [ordinary[index] for index in rng.permutation(len(ordinary))]
    if size.misbehaving:
        order = _misbehave(order)
    _add_copies(plan, rng, [item for item in order if item.medium == "image"], size.copies)
    _rank(plan, rng)
    return plan


def _new_item(plan: WebPlan, rng: np.random.Generator, asked: str, medium: str) -> WebItem:
    name = f"{'i' if medium == 'image' else 'v'}{len(plan.items):04d}"
    licence, url = LICENCES[rng.choice(len(LICENCES), p=LICENCE_SHARES)]
    title = f"{asked.capitalize()} in {rng.choice(PLACES)} {rng.integers(2004, 2026)} ({name})"
    suffix = ".jpg" if medium == "image" else str(rng.choice([".mp4", ".mp4", ".mp4", ".webm"]))
    author = str(rng.choice(AUTHORS))
    return WebItem(name, medium, f"media/{name}{suffix}", title, author, licence, url, {asked: 0})


def _add_find(plan: WebPlan, rng: np.random.Generator, seed: int, asked: str, medium: str, true: bool) -> None:
    item = _new_item(plan, rng, asked, medium)
    key = (seed, 4, len(plan.items))
    if medium == "image":
        shot = Shot((*key, 0), "action", asked) if true else wrong_shot((*key, 0), asked, rng)
        item.width, item.height = IMAGE_SIZES[rng.choice(len(IMAGE_SIZES), p=(0.3, 0.2, 0.2, 0.1, 0.15, 0.05))]
        media = MediaPlan((shot,), (item.width, item.height), quality=int(rng.integers(70, 95)))
        plan.add(item, Truth(item.id, shot.label, shot.shows), media)
        return
    fps = float(rng.choice(FRAME_RATES))
    shots = _shots(rng, key, asked, true)
    item.width, item.height = VIDEO_SIZE
    label, shows = (asked, "action") if true else (shots[0].label, shots[0].shows)
    _add_video(plan, item, label, shows, MediaPlan(shots, VIDEO_SIZE, fps))


def _shots(rng: np.random.Generator, key: tuple[int, ...], asked: str, true: bool) -> tuple[Shot, ...]:
    """One to four shots; of a true find, the first and about half of the others show what was asked for."""
    shots = []
    for index in range(int(rng.choice([1, 2, 3, 4], p=(0.3, 0.3, 0.25, 0.15)))):
        seconds = float(rng.uniform(1.7, 3.2))
        if true and (index == 0 or rng.random() < 0.55):
            shots.append(Shot((*key, index), "action", asked, seconds))
        else:
            shots.append(wrong_shot((*key, index), asked, rng, seconds))
    return tuple(shots[index] for index in rng.permutation(len(shots))) if true else tuple(shots)


def _add_video(plan: WebPlan, item: WebItem, label: str | None, shows: str, media: MediaPlan) -> None:
    """Adds a video with the time that each of its shots takes."""
    lengths = [(round(shot.seconds * media.fps), shot.label) for shot in media.shots]
    if media.leak is not None:
        lengths.append((24, media.leak.label))
    segments: list[tuple[float, float, str | None]] = []
    frames = 0
    for length, shown in lengths:
        segments.append((round(frames / media.fps, 3), round((frames + length) / media.fps, 3), shown))
        frames += length
    item.duration = segments[-1][1]
    leak = media.leak.path if media.leak is not None else None
    plan.add(item, Truth(item.id, label, shows, segments, leak), media)


def _add_leak(plan: WebPlan, rng: np.random.Generator, seed: int, clip: ClipPlan, medium: str) -> None:
    """Something taken from a test clip, and found where that clip's class is searched for."""
    item = _new_item(plan, rng, clip.label, medium)
    if medium == "image":
        item.width, item.height = 192, 144
        plan.add(
            item,
            Truth(item.id, clip.label, "action", leak_of=clip.path),
            MediaPlan((), (192, 144), quality=80, leak=clip),
        )
        return
    item.file = item.file.replace(".webm", ".mp4")
    item.width, item.height = VIDEO_SIZE
    before = wrong_shot((seed, 4, len(plan.items), 0), clip.label, rng, 1.8)
    _add_video(plan, item, clip.label, "action", MediaPlan((before,), VIDEO_SIZE, FPS, leak=clip))


def _misbehave(order: list[WebItem]) -> list[WebItem]:
    """Gives the first fitting items their bad behaviour, and returns the rest."""
    rest = list(order)
    for name, behaviour in BEHAVIOURS.items():
        fitting = [item for item in rest if behaviour.medium in (None, item.medium)]
        if name == "headless":  # an MP4's index comes last; what is left of a WebM still plays
            fitting = [item for item in fitting if item.file.endswith(".mp4")]
        chosen = fitting[: behaviour.count]
        for item in chosen:
            item.behaviour = name
            rest.remove(item)
    return rest


def _add_copies(plan: WebPlan, rng: np.random.Generator, images: list[WebItem], count: int) -> None:
    """Copies of stills: the same bytes under another address, or the same picture at another size."""
    for index, original in enumerate(images[: 2 * count]):
        asked = next(iter(original.queries))
        item = _new_item(plan, rng, asked, "image")
        source = plan.truth[original.id]
        copy = "bytes" if index < count else "picture"
        if copy == "bytes":
            item.file, item.width, item.height = original.file, original.width, original.height
        else:
            item.width, item.height = original.width * 5 // 4 // 2 * 2, original.height * 5 // 4 // 2 * 2
        plan.add(item, Truth(item.id, source.label, source.shows, of=original.id, copy=copy), None)


def _rank(plan: WebPlan, rng: np.random.Generator) -> None:
    """True finds tend to rank higher; some items are found by a second class as well."""
    for item in plan.items:
        if rng.random() < 0.04:
            item.queries[str(rng.choice(list(ACTIONS)))] = 0
    for asked in ACTIONS:
        found = [item for item in plan.items if asked in item.queries]
        liking = {item.id: rng.normal() + (0.7 if plan.truth[item.id].label == asked else 0.0) for item in found}
        for rank, item in enumerate(sorted(found, key=lambda item: -liking[item.id]), 1):
            item.queries[asked] = rank
