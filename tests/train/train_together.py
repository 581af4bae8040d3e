"""Trains a run as one of torchrun's processes: `torchrun ... -m tests.train.train_together ROOT`."""

from __future__ import annotations

import sys
from pathlib import Path

from omnisrc.data.manifest import read_manifest
from omnisrc.models import save_weights
from omnisrc.train.distribution import joined
from omnisrc.train.run_folder import RunFolder
from omnisrc.train.trainer import Trainer
from tests.train.train_once import recipe_of


def main(root: Path) -> None:
    manifest = read_manifest(root / "manifest.parquet")
    recipe = recipe_of(manifest, "web,target", steps=6, eval_every=3, log_every=1)
    folder = RunFolder.of(root / "runs", "both")
    folder.path.mkdir(parents=True, exist_ok=True)
    with joined("cpu") as place:
        assert place.world == 2
        trainer = Trainer(folder, manifest, root, recipe, place)
        trainer.run()
        save_weights(trainer.model, root / f"rank{place.rank}.safetensors", {})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
