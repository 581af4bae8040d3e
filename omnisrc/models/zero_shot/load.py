"""A folder and sentences to a network that judges by them."""

from __future__ import annotations

from pathlib import Path

from omnisrc.errors import UserError
from omnisrc.models.checkpoints.load import CheckpointReport
from omnisrc.models.inputs import InputSpec
from omnisrc.models.pretrained.extra import transformers
from omnisrc.models.pretrained.folder import PretrainedFolder, open_folder
from omnisrc.models.pretrained.licence import licence_said
from omnisrc.models.pretrained.scaling import scaling_of
from omnisrc.models.pretrained.weights import filled
from omnisrc.models.recogniser import Recogniser
from omnisrc.models.zero_shot.pairs import pair_parts
from omnisrc.models.zero_shot.prompts import Prompts
from omnisrc.models.zero_shot.texts import class_vectors, embed_texts
from omnisrc.models.zero_shot.xclip import XClip

CLASSES = {"clip": "CLIPModel", "siglip": "SiglipModel", "xclip": "XCLIPModel"}
"""model_type of config.json -> transformers' class. SigLIP 2 of one fixed size is a siglip too."""


def load_zero_shot(path: Path, prompts: Prompts) -> tuple[Recogniser, CheckpointReport]:
    """The network of a folder, with its answers for the classes of `prompts` (none: embeddings alone).

    Nothing is fetched and no code of the folder is run. meta holds model, num_classes, mean, std, sampling (with
    crop_size and short_side, and segments where the network takes a fixed number of frames) and licence.

    Raises:
        UserError: transformers is not installed, the folder is not a text teacher's, or it is damaged.
    """
    folder = open_folder(path)
    if folder.model_type not in CLASSES:
        raise UserError(
            f"The folder {path} holds a {folder.model_type or 'network of no named kind'}, which does not read texts;"
            f" those that do are {', '.join(CLASSES)}."
        )
    model, spec, sampling = _network(folder, prompts)
    meta = {
        "model": folder.model_type, "num_classes": len(prompts), "mean": list(spec.mean), "std": list(spec.std),
        "sampling": sampling, "licence": licence_said(folder.model_type, folder.licence),
    }  # fmt: skip
    return model, CheckpointReport(path, "transformers", folder.sha256, (), (), (), False, meta)


def _network(folder: PretrainedFolder, prompts: Prompts) -> tuple[Recogniser, InputSpec, dict[str, int]]:
    library = transformers(f"The network in {folder.path}")
    model, _ = filled(getattr(library, CLASSES[folder.model_type]), folder)
    vision = model.config.vision_config
    image_size = int(vision.image_size)
    scaling = scaling_of(folder, image_size)
    vectors = embed_texts(model, folder, [text for texts in prompts.texts for text in texts])
    sampling = {"crop_size": image_size, "short_side": scaling.short_side}
    if folder.model_type == "xclip":
        frames = int(vision.num_frames)
        spec = InputSpec("3d", 1, 1, frames, scaling.mean, scaling.std)
        sampling |= {"clip_len": 1, "frame_interval": 1, "num_segments": frames}
        made: Recogniser = XClip(model, vectors, prompts, spec, image_size)
    else:
        spec = InputSpec("2d", 1, 1, 1, scaling.mean, scaling.std)
        classes = class_vectors(vectors, prompts) if len(prompts) else vectors.new_zeros(0, _channels(model))
        made = Recogniser(*pair_parts(model, image_size, classes), spec, len(prompts))
    made.name = folder.model_type
    return made.eval().requires_grad_(False), spec, sampling


def _channels(model: object) -> int:
    config = model.config  # type: ignore[attr-defined]
    return int(getattr(config, "projection_dim", 0) or config.vision_config.hidden_size)
