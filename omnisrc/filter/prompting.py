"""Teachers that read texts: which folders hold one, and what they are told of a study's classes."""

from __future__ import annotations

from pathlib import Path

from omnisrc.classes import ClassList
from omnisrc.config import near
from omnisrc.errors import UserError
from omnisrc.filter.settings import FilterSettings
from omnisrc.models.pretrained.folder import CONFIG, is_pretrained, read_json
from omnisrc.models.zero_shot.prompts import Prompts

TEXT_TEACHERS = {
    "clip": "openai/clip-vit-base-patch32",
    "siglip": "google/siglip-base-patch16-224",
    "xclip": "microsoft/xclip-base-patch32",
}
"""model_type of config.json, which is also the usual name of the folder in models/, and where to find one."""


def find_folder(given: str, models: Path) -> Path | None:
    """The folder that `--teacher` means: a path, or one in the workspace's models/; None where it means no folder.

    Raises:
        UserError: it is the name of a kind of text teacher, and there is no such folder.
    """
    for path in ([Path(given).expanduser()] if "/" in given else []) + [models / given]:
        if is_pretrained(path):
            return path
    if given in TEXT_TEACHERS and not any(models.glob(f"{given}.*")):
        raise UserError(
            f"There is no folder {models / given} with a pretrained {given}; fetch one with"
            f" `hf download {TEXT_TEACHERS[given]} --local-dir {models / given}`, or name its folder."
        )
    return None


def reads_texts(path: Path) -> bool:
    """Whether this is a folder with a network that compares pictures with texts."""
    return is_pretrained(path) and read_json(path / CONFIG).get("model_type") in TEXT_TEACHERS


def prompts_for(class_list: ClassList, settings: FilterSettings) -> Prompts:
    """The sentences for a class list, by the settings `filter.prompts` and `filter.class_prompts`.

    Raises:
        UserError: class_prompts names no class of the list.
    """
    own = []
    for name, texts in settings.class_prompts.items():
        action = class_list.find(name)
        if action is None or not texts:
            what = "is empty" if action else f"names no class of {class_list.name}"
            raise UserError(f"filter.class_prompts.{name} {what}.{near(name, class_list.names) if not action else ''}")
        own.append((action.index, tuple(texts)))
    return Prompts(settings.prompts, tuple(action.query or action.name for action in class_list), tuple(sorted(own)))
