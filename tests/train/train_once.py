"""Trains a run in a process of its own: `python -m tests.train.train_once ROOT RUN WORKERS [KILL_AT]`.

ROOT holds manifest.parquet. At step KILL_AT the process and its loaders are killed, as a machine that loses power.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from omnisrc.data.manifest import Manifest, read_manifest
from omnisrc.models import create_model
from omnisrc.train.distribution import joined
from omnisrc.train.run_folder import Recipe, RunFolder
from omnisrc.train.settings import TrainSettings, parse_mix
from omnisrc.train.sources import resolve
from omnisrc.train.trainer import Trainer

SETTINGS = {
    "model": "slowonly_r18", "model_args": {"width": 8, "dropout": 0.5}, "clip_len": 4, "frame_interval": 2,
    "crop_size": 32, "batch_size": 8, "steps": 16, "lr": 0.05, "eval_every": 4, "log_every": 2, "threads": 1,
    "workers": 0, "cache_mb": 8, "device": "cpu",
}  # fmt: skip


def recipe_of(manifest: Manifest, mix: str = "target", seed: int = 0, **changes) -> Recipe:
    settings = TrainSettings(**{**SETTINGS, **changes})
    spec = create_model(settings.model, 2, **settings.model_args).input
    sources = parse_mix(mix)
    settings = resolve(settings, spec, sources, manifest)
    return Recipe(settings, sources, seed, manifest.class_list_sha256, manifest.sha256, {})


def main(root: Path, name: str, workers: int, kill_at: int) -> None:
    manifest = read_manifest(root / "manifest.parquet")
    recipe = recipe_of(manifest, "web,target", workers=workers, brightness=0.2, image_clips="warp")

    def report(done: int, kind: str, figures: dict) -> None:
        if done == kill_at and kind == "step":
            os.killpg(os.getpid(), signal.SIGKILL)

    os.setpgid(0, 0)
    folder = RunFolder.of(root / "runs", name)
    with joined("cpu") as place, folder.locked():
        trainer = Trainer(folder, manifest, root, recipe, place, report)
        print(f"from step {trainer.standing.step}", flush=True)
        trainer.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else -1)
