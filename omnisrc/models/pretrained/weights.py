"""transformers' classes filled from a folder: nothing fetched, no code run, no tensor left at random."""

from __future__ import annotations

from typing import Any

import torch

from omnisrc.errors import UserError
from omnisrc.models.pretrained.folder import PretrainedFolder

SAFE = {"local_files_only": True, "trust_remote_code": False}


def filled(cls: Any, folder: PretrainedFolder, may_lack: tuple[str, ...] = ()) -> tuple[Any, bool]:
    """`cls.from_pretrained` of the folder, in float32 and evaluation mode, and whether it is whole.

    It is not where tensors whose names begin with one of `may_lack` are missing; those are random.

    Raises:
        UserError: the weights are damaged, or another tensor of the network is missing or has another shape.
    """
    try:
        model, report = cls.from_pretrained(
            folder.path, use_safetensors=True, dtype=torch.float32, output_loading_info=True,
            ignore_mismatched_sizes=True, **SAFE,
        )  # fmt: skip
    except Exception as error:  # its readers raise nearly everything over damaged files
        raise UserError(
            f"The weights in {folder.path} cannot be read ({_first_line(error)}); fetch them again."
        ) from error
    lacking = sorted(report["missing_keys"])
    absent = [key for key in lacking if not key.startswith(may_lack)] if may_lack else lacking
    absent += sorted(str(each[0]) for each in report["mismatched_keys"])
    if absent:
        more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
        raise UserError(
            f"The weights in {folder.path} do not fit its config.json: {', '.join(absent[:3])}{more} missing or of"
            f" another shape for a {folder.model_type}; fetch the folder again."
        )
    return model.eval(), not lacking


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
