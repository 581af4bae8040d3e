"""Released weights that the models here can load: where they are, what they scored, under which licence.

All are MMAction2's (open-mmlab/mmaction2, the model cards of TSN, SlowOnly, I3D, CSN and OmniSource). Nothing here
fetches anything (see `fetch`), and nothing imports torch.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from omnisrc.errors import UserError
from omnisrc.models.inputs import Triple
from omnisrc.models.pretrained.folder import is_pretrained

HOST = "https://download.openmmlab.com/mmaction/"
SUFFIXES = (".safetensors", ".pth", ".pt", ".pyth")


class Sampling(NamedTuple):
    clip_len: int
    frame_interval: int
    num_segments: int


@dataclass(frozen=True)
class Released:
    """One file. `name` is what `--teacher` takes, `model` what `create_model` takes.

    Top-1 and top-5 in percent on the val split, as published, with the protocol (views x crops) where it is published:
    25x10 and 25x3 are TSN's frames and crops with one softmax over the mean, 10x3 clips and crops with the mean of
    the softmaxes. `stem` is the file's name without its hash; `sha256` the hash's first 8 digits. A row without a
    class list is a trunk alone, for `--init`.
    """

    name: str
    model: str
    sampling: Sampling
    class_list: str
    top1: float
    top5: float
    protocol: str
    generation: str
    stem: str
    sha256: str
    licence: str = "Apache-2.0"
    scaling: tuple[Triple, Triple] | None = None  # mean and std, where they are not those of the others

    @property
    def file(self) -> str:
        return f"{self.stem}-{self.sha256}.pth"

    @property
    def url(self) -> str:
        family = re.sub("^i[rp]csn$", "csn", self.model.split("_")[0])
        folder = FOLDERS.get(self.stem, re.sub(r"_\d{8}$", "", self.stem))
        return f"{HOST}{self.generation.format(family=family, folder=folder)}{self.file}"


OMNI = "recognition/{family}/omni/"
VMZ, BARE = "recognition/{family}/vmz/", "recognition/{family}/"
V0 = "recognition/{family}/{folder}/"
V1 = "v1.0/recognition/{family}/{folder}/"
FOLDERS = {"slowonly_r50_4x16x1_256e_8xb16_kinetics400-rgb_20220901": "slowonly_r50_8xb16-4x16x1-256e_kinetics400-rgb"}
"""Files that do not lie in a folder of their own name."""

K400, K600, K700, K710 = "kinetics400", "kinetics600", "kinetics700", "kinetics710"
SEG3, SEG5, SEG8 = Sampling(1, 1, 3), Sampling(1, 1, 5), Sampling(1, 1, 8)
C4X16, C8X8, C32X2 = Sampling(4, 16, 1), Sampling(8, 8, 1), Sampling(32, 2, 1)
IG1B = "Apache-2.0, started from weights under CC-BY-NC-4.0"
"""Facebook's ResNet-50 of one billion Instagram images is not for commercial use."""
IG65M = "Apache-2.0, started from VMZ's weights of IG-65M, also Apache-2.0"
"""65 million Instagram videos, which nobody else can have; the weights were released, the videos not."""
VMZ_SCALING = (110.2008, 100.63983, 95.99475), (58.14765, 56.46975, 55.332195)
"""Of the networks that VMZ trained on Kinetics or Sports-1M alone."""

# fmt: off
RELEASED = (
    Released("slowonly_r50_8x8_k400", "slowonly_r50", C8X8, K400, 76.45, 92.55, "10x3", V1,
             "slowonly_imagenet-pretrained-r50_8xb16-8x8x1-steplr-150e_kinetics400-rgb_20220901", "df42dc84"),
    Released("slowonly_r101_8x8_k400_omni", "slowonly_r101", C8X8, K400, 80.4, 94.4, "10x3", OMNI,
             "slowonly_r101_omni_8x8x1_kinetics400_rgb_20200926", "b5dbb701"),
    Released("slowonly_r50_4x16_k400_omni", "slowonly_r50", C4X16, K400, 76.8, 92.5, "10x3", OMNI,
             "slowonly_r50_omni_4x16x1_kinetics400_rgb_20200926", "51b1f7ea"),
    Released("slowonly_r50_4x16_k400", "slowonly_r50", C4X16, K400, 75.12, 91.72, "10x3", V1,
             "slowonly_imagenet-pretrained-r50_8xb16-4x16x1-steplr-150e_kinetics400-rgb_20220901", "e7b65fad"),
    Released("slowonly_r101_8x8_k400", "slowonly_r101", C8X8, K400, 76.59, 92.80, "10x3", V1,
             "slowonly_r101_8xb16-8x8x1-196e_kinetics400-rgb_20220901", "e6281431"),
    Released("slowonly_r50_8x8_k400_scratch", "slowonly_r50", C8X8, K400, 75.15, 92.11, "10x3", V1,
             "slowonly_r50_8xb16-8x8x1-256e_kinetics400-rgb_20220901", "2132fc87"),
    Released("slowonly_r50_4x16_k400_scratch", "slowonly_r50", C4X16, K400, 72.97, 90.88, "10x3", V1,
             "slowonly_r50_4x16x1_256e_8xb16_kinetics400-rgb_20220901", "f6a40d08"),
    Released("slowonly_r50_8x8_k700", "slowonly_r50", C8X8, K700, 67.67, 87.80, "10x3", V1,
             "slowonly_imagenet-pretrained-r50_16xb16-8x8x1-steplr-150e_kinetics700-rgb_20221013", "15b93b10"),
    Released("slowonly_r50_4x16_k700", "slowonly_r50", C4X16, K700, 65.52, 86.39, "10x3", V1,
             "slowonly_imagenet-pretrained-r50_16xb16-4x16x1-steplr-150e_kinetics700-rgb_20221013", "98b1b0a7"),
    Released("slowonly_r50_8x8_k710", "slowonly_r50", C8X8, K710, 72.39, 90.60, "10x3", V1,
             "slowonly_imagenet-pretrained-r50_32xb8-8x8x1-steplr-150e_kinetics710-rgb_20230612", "12ce977c"),
    Released("slowonly_r50_8x8_k600", "slowonly_r50", C8X8, K600, 77.5, 93.7, "10x3", V0,
             "slowonly_r50_video_8x8x1_256e_kinetics600_rgb_20201015", "81e5153e"),
    Released("slowonly_r101_8x8_k400_0x", "slowonly_r101", C8X8, K400, 76.5, 92.7, "10x3", OMNI,
             "slowonly_r101_without_omni_8x8x1_kinetics400_rgb_20200926", "0c730aef"),
    Released("slowonly_r50_8x8_k400_0x", "slowonly_r50", C8X8, K400, 75.55, 92.04, "10x3", V0,
             "slowonly_imagenet_pretrained_r50_8x8x1_150e_kinetics400_rgb_20200912", "3f9ce182"),
    Released("slowonly_r50_4x16_k400_0x", "slowonly_r50", C4X16, K400, 73.39, 91.12, "10x3", V0,
             "slowonly_imagenet_pretrained_r50_4x16x1_150e_kinetics400_rgb_20200912", "1e8fc736"),
    Released("slowonly_r50_8x8_k400_scratch_0x", "slowonly_r50", C8X8, K400, 74.93, 91.92, "10x3", V0,
             "slowonly_r50_8x8x1_256e_kinetics400_rgb_20200703", "a79c555a"),
    Released("slowonly_r50_8x8_k400_scratch_256p_0x", "slowonly_r50", C8X8, K400, 74.42, 91.49, "10x3", V0,
             "slowonly_r50_256p_8x8x1_256e_kinetics400_rgb_20200820", "75851a7d"),
    Released("slowonly_r50_4x16_k400_scratch_0x", "slowonly_r50", C4X16, K400, 73.02, 90.77, "10x3", V0,
             "slowonly_r50_4x16x1_256e_kinetics400_rgb_20200704", "a69556c6"),
    Released("slowonly_r50_4x16_k400_scratch_video_0x", "slowonly_r50", C4X16, K400, 72.90, 90.82, "10x3", V0,
             "slowonly_r50_video_320p_4x16x1_256e_kinetics400_rgb_20201014", "c9cdc656"),
    Released("slowonly_r50_4x16_k400_scratch_256p_0x", "slowonly_r50", C4X16, K400, 72.76, 90.51, "10x3", V0,
             "slowonly_r50_256p_4x16x1_256e_kinetics400_rgb_20200820", "bea7701f"),
    Released("slowonly_r50_8x8_k700_0x", "slowonly_r50", C8X8, K700, 65.0, 86.1, "10x3", V0,
             "slowonly_r50_video_8x8x1_256e_kinetics700_rgb_20201015", "9250f662"),
    Released("tsn_r50_8seg_k400", "tsn_r50", SEG8, K400, 74.12, 91.34, "25x10", V1,
             "tsn_imagenet-pretrained-r50_8xb32-1x1x8-100e_kinetics400-rgb_20220906", "2692d16c"),
    Released("tsn_r101_8seg_k400", "tsn_r101", SEG8, K400, 75.89, 92.07, "25x10", V1,
             "tsn_imagenet-pretrained-r101_8xb32-1x1x8-100e_kinetics400-rgb_20220906", "23cff032"),
    Released("tsn_r50_3seg_k400_omni", "tsn_r50", SEG3, K400, 73.6, 91.0, "", OMNI,
             "tsn_imagenet_pretrained_r50_omni_1x1x3_kinetics400_rgb_20200926", "54192355"),
    Released("tsn_r50_3seg_k400_ig1b_omni", "tsn_r50", SEG3, K400, 75.7, 91.9, "", OMNI,
             "tsn_1G1B_pretrained_r50_omni_1x1x3_kinetics400_rgb_20200926", "2863fed0", IG1B),
    Released("tsn_r50_3seg_k400_ig1b", "tsn_r50", SEG3, K400, 73.1, 90.4, "", OMNI,
             "tsn_1G1B_pretrained_r50_without_omni_1x1x3_kinetics400_rgb_20200926", "c133dd49", IG1B),
    Released("tsn_r50_5seg_k400", "tsn_r50", SEG5, K400, 73.80, 91.21, "25x10", V1,
             "tsn_imagenet-pretrained-r50_8xb32-1x1x5-100e_kinetics400-rgb_20220906", "65d68713"),
    Released("tsn_r50_3seg_k400", "tsn_r50", SEG3, K400, 72.83, 90.65, "25x10", V1,
             "tsn_imagenet-pretrained-r50_8xb32-1x1x3-100e_kinetics400-rgb_20220906", "cd10898e"),
    Released("tsn_r50_8seg_k400_0x", "tsn_r50", SEG8, K400, 72.41, 90.55, "25x3", V0,
             "tsn_r50_320p_1x1x8_100e_kinetics400_rgb_20200702", "ef80e3d7"),
    Released("tsn_r50_8seg_k400_256p_0x", "tsn_r50", SEG8, K400, 71.80, 90.17, "", V0,
             "tsn_r50_256p_1x1x8_100e_kinetics400_rgb_20200817", "883baf16"),
    Released("tsn_r50_3seg_k400_0x", "tsn_r50", SEG3, K400, 70.91, 89.51, "25x3", V0,
             "tsn_r50_320p_1x1x3_100e_kinetics400_rgb_20200702", "cc665e2a"),
    Released("tsn_r50_3seg_k400_340x256_0x", "tsn_r50", SEG3, K400, 70.60, 89.26, "25x10", V0,
             "tsn_r50_1x1x3_100e_kinetics400_rgb_20200614", "e508be42"),
    Released("tsn_r50_3seg_k400_256p_0x", "tsn_r50", SEG3, K400, 70.42, 89.03, "", V0,
             "tsn_r50_256p_1x1x3_100e_kinetics400_rgb_20200725", "22592236"),
    Released("i3d_r50_32x2_k400", "i3d_r50", C32X2, K400, 73.47, 91.27, "10x3", V1,
             "i3d_imagenet-pretrained-r50_8xb8-32x2x1-100e_kinetics400-rgb_20220812", "e213c223"),
    Released("i3d_r50_32x2_k400_256p_0x", "i3d_r50", C32X2, K400, 73.27, 90.92, "10x3", V0,
             "i3d_r50_256p_32x2x1_100e_kinetics400_rgb_20200801", "7d9f44de"),
    Released("i3d_r50_32x2_k400_video_0x", "i3d_r50", C32X2, K400, 72.85, 90.75, "10x3", V0,
             "i3d_r50_video_32x2x1_100e_kinetics400_rgb_20200826", "e31c6f52"),
    Released("i3d_r50_32x2_k400_340x256_0x", "i3d_r50", C32X2, K400, 72.68, 90.78, "10x3", V0,
             "i3d_r50_32x2x1_100e_kinetics400_rgb_20200614", "c25ef9a4"),
    Released("i3d_r50_heavy_32x2_k400", "i3d_r50_heavy", C32X2, K400, 76.21, 92.48, "10x3", V1,
             "i3d_imagenet-pretrained-r50-heavy_8xb8-32x2x1-100e_kinetics400-rgb_20220812", "ed501b31"),
    Released("ircsn_r152_32x2_k400_ig65m", "ircsn_r152", C32X2, K400, 82.87, 95.90, "10x3", V1,
             "ircsn_ig65m-pretrained-r152_8xb12-32x2x1-58e_kinetics400-rgb_20220811", "c7a3cc5b", IG65M),
    Released("ircsn_r152_32x2_k400_ig65m_bnfrozen", "ircsn_r152", C32X2, K400, 82.84, 95.92, "10x3", V1,
             "ircsn_ig65m-pretrained-r152-bnfrozen_8xb12-32x2x1-58e_kinetics400-rgb_20220811", "7d1dacde", IG65M),
    Released("ircsn_r152_32x2_k400_ig65m_bnfrozen_0x", "ircsn_r152", C32X2, K400, 82.76, 95.68, "10x3", V0,
             "ircsn_ig65m_pretrained_bnfrozen_r152_32x2x1_58e_kinetics400_rgb_20200812", "9037a758", IG65M),
    Released("ircsn_r152_32x2_k400_ig65m_vmz", "ircsn_r152", C32X2, K400, 82.6, 95.3, "10x3", VMZ,
             "vmz_ircsn_ig65m_pretrained_r152_32x2x1_58e_kinetics400_rgb_20210617", "e63ee1bd", IG65M),
    Released("ircsn_r152_32x2_k400_ig65m_0x", "ircsn_r152", C32X2, K400, 80.14, 94.93, "10x3", V0,
             "ircsn_ig65m_pretrained_r152_32x2x1_58e_kinetics400_rgb_20200803", "fc66ce8d", IG65M),
    Released("ircsn_r152_32x2_k400_scratch_vmz", "ircsn_r152", C32X2, K400, 76.5, 92.1, "10x3", VMZ,
             "vmz_ircsn_from_scratch_r152_32x2x1_180e_kinetics400_rgb_20210617", "5c933ae1", scaling=VMZ_SCALING),
    Released("ipcsn_r152_32x2_k400_scratch_vmz", "ipcsn_r152", C32X2, K400, 77.80, 93.10, "10x3", VMZ,
             "vmz_ipcsn_from_scratch_r152_32x2x1_180e_kinetics400_rgb_20210617", "d565828d", scaling=VMZ_SCALING),
    Released("ircsn_r50_32x2_k400_ig65m_bnfrozen", "ircsn_r50", C32X2, K400, 79.44, 94.26, "10x3", V1,
             "ircsn_ig65m-pretrained-r50-bnfrozen_8xb12-32x2x1-58e_kinetics400-rgb_20220811", "44395bae", IG65M),
    Released("ircsn_r152_ig65m_trunk", "ircsn_r152", C32X2, "", 0.0, 0.0, "", BARE,
             "ircsn_from_scratch_r152_ig65m_20200807", "771c4135", IG65M),
)
# fmt: on
"""The first that fits an asked name is the one recommended."""


def released_by_hash(sha256: str) -> Released | None:
    """The released file of this SHA-256, by its first 8 digits."""
    return next((file for file in RELEASED if sha256.startswith(file.sha256)), None)


def released_named(name: str) -> list[Released]:
    """The released files that a name means: one file's own name, or all of a model or a family."""
    return [file for file in RELEASED if name in (file.name, file.model, file.model.split("_")[0])]


def find_weights(name: str, folder: Path, runs: Path | None = None) -> Path:
    """The file that every option for weights means (--checkpoint, --init, --model, --teacher): a path, a run of
    `runs`, a file (or a folder of transformers') in the workspace's `models/`, or a released one there.

    A family (`slowonly`, `tsn_r50`) means the first of its released files that is in `folder`, a URL the file of its
    name there. Raises UserError that says which file to put where.
    """
    given = Path(name)
    if given.is_file() or (len(given.parts) > 1 and is_pretrained(given)):
        return given
    if "://" in name:
        return _fetched(name, folder)
    if runs is not None and len(given.parts) == 1 and (runs / given).is_dir():
        return run_weights(runs / given)
    if is_pretrained(folder / given):
        return folder / given
    if given.suffix in SUFFIXES or len(given.parts) > 1:
        if not (folder / given).is_file():
            raise UserError(
                f"there is no weights file {given}, and none in {folder} of that name: check the path, or see what is "
                "there with `omnisrc models list`"
            )
        return folder / given
    fitting = released_named(name)
    names = [f"{name}{suffix}" for suffix in SUFFIXES] + [file.file for file in fitting]
    for file_name in names:
        if (folder / file_name).is_file():
            return folder / file_name
    raise UserError(_advice(name, folder, fitting))


def run_weights(folder: Path) -> Path:
    """The best weights of a run on val, or its last where there was no val. Raises UserError where it has none yet."""
    for weights in (folder / "best.safetensors", folder / "last.safetensors"):
        if weights.is_file():
            return weights
    raise UserError(
        f"The run {folder.name} has no weights yet; go on with it by `omnisrc train --resume --name {folder.name}`."
    )


def _fetched(url: str, folder: Path) -> Path:
    path = folder / Path(urlsplit(url).path).name
    if path.is_file():
        return path
    raise UserError(f"{url} has not been fetched: fetch it with `omnisrc models add {url}`, which checks its hash")


def _advice(name: str, folder: Path, fitting: list[Released]) -> str:
    if fitting:
        first = fitting[0]
        return (
            f"there are no weights for {name!r} in {folder}: fetch {first.url} with `omnisrc models add {first.name}` "
            f"or put it there ({_told(first)}{first.licence}), or train your own "
            f"with `omnisrc train --mix target --model {first.model}`"
        )
    return f"there are no weights {name!r} in {folder} and no released ones of that name{near_names(name)}"


def _told(file: Released) -> str:
    return f"{file.top1:g} % top-1 on {file.class_list}, " if file.class_list else "a trunk alone, "


def near_names(name: str) -> str:
    """`: did you mean ...?` for a name that is not in the table."""
    families = sorted({file.model.split("_")[0] for file in RELEASED})
    known = [file.name for file in RELEASED] + sorted({file.model for file in RELEASED}) + families
    near = difflib.get_close_matches(name, known, n=3)
    return f": did you mean {', '.join(near)}?" if near else f": give a file, or one of {', '.join(families)}"
