"""What the settings that a trainer left in its file say of the input. They are read as text or as data, never run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from omnisrc.models.released import Sampling

NUMBER = r"-?\d+(?:\.\d+)?"
TRIPLE = rf"[\[(]\s*({NUMBER})\s*,\s*({NUMBER})\s*,\s*({NUMBER})\s*,?\s*[\])]"
MOST = 2_000_000
"""Characters of a text that are read: a training config has some thousands."""


def mmaction_said(text: object) -> dict[str, Any]:
    """Scaling, channel order, sampling, eps and shift of MMAction2's config, which its files hold as Python text.

    Only where the text says one thing: a config with two scalings says nothing.
    """
    if not isinstance(text, str) or len(text) > MOST:
        return {}
    said: dict[str, Any] = {}
    for word in ("mean", "std"):
        found = {tuple(map(float, numbers)) for numbers in re.findall(rf"\b{word}\s*=\s*{TRIPLE}", text)}
        if len(found) == 1 and len(next(iter(found))) == 3:
            said[word] = list(next(iter(found)))
    if {"mean", "std"} - set(said):
        said = {}
    elif set(re.findall(r"\bto_(?:rgb|bgr)\s*=\s*\w+", text)) & {"to_bgr=True", "to_rgb=False"}:
        said["channel_order"] = "bgr"
    sampled = re.findall(r"SampleFrames'\s*,\s*clip_len=(\d+)\s*,\s*frame_interval=(\d+)\s*,\s*num_clips=(\d+)", text)
    if sampled:
        said["sampling"] = Sampling(*map(int, sampled[0]))._asdict()
    eps = {float(value) for value in re.findall(r"norm_cfg\s*=\s*dict\([^()]*\beps\s*=\s*([\d.e-]+)", text)}
    if len(eps) == 1:
        said["bn_eps"] = eps.pop()
    return said


def pyslowfast_config(given: object) -> Mapping[str, Any]:
    """PySlowFast's config, which its files hold as YAML text, older ones as a dict; empty where it cannot be read."""
    if not isinstance(given, str) or len(given) > MOST:
        return given if isinstance(given, Mapping) else {}
    try:
        config = yaml.safe_load(given)
    except yaml.YAMLError:
        return {}
    return config if isinstance(config, Mapping) else {}


def pyslowfast_said(config: Mapping[str, Any]) -> dict[str, Any]:
    """Scaling, channel order and sampling of PySlowFast's config."""
    data = config.get("DATA")
    if not isinstance(data, Mapping):
        return {}
    said: dict[str, Any] = {}
    for word, key in (("mean", "MEAN"), ("std", "STD")):
        values = data.get(key)
        if isinstance(values, list) and len(values) == 3 and all(isinstance(value, int | float) for value in values):
            said[word] = [255 * float(value) for value in values]
    if data.get("REVERSE_INPUT_CHANNEL") is True:
        said["channel_order"] = "bgr"
    frames, rate = data.get("NUM_FRAMES"), data.get("SAMPLING_RATE")
    if isinstance(frames, int) and isinstance(rate, int):
        said["sampling"] = Sampling(frames, rate, 1)._asdict()
    return said
