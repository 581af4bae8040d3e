"""RAFT (Teed and Deng, 2020) as torchvision has it, with weights from a local file."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch import nn
from torchvision.models.optical_flow import raft_large, raft_small

from omnisrc.errors import UserError
from omnisrc.flow.estimators import PATIENCE, facts_of
from omnisrc.flow.settings import FlowSettings
from omnisrc.media.flow import Field, FlowChunk, brought_down, encode_levels, quantise
from omnisrc.media.flow_parts import PartFlow, as_kept, nothing
from omnisrc.media.guard import GuardPool
from omnisrc.media.phash import Rgb
from omnisrc.media.sampling import SampleFrames
from omnisrc.media.source import Source
from omnisrc.models.checkpoints.container import open_contents

NETWORKS = (raft_large, raft_small)
MULTIPLE, LEAST = 8, 128  # sides that the network takes
PAIRS = 4  # in one forward pass
WHERE = "https://download.pytorch.org/models/raft_large_C_T_SKHT_V2-ff5fadd5.pth"


class RaftEstimator:
    """RAFT of the size that its weights have, on `settings.device`.

    Raises:
        UserError: there are no weights, they are not RAFT's, or there is no such device.
    """

    def __init__(self, settings: FlowSettings, pool: GuardPool, models: Path) -> None:
        path = find_weights(settings.weights, models)
        contents = open_contents(path)
        self.network = network_of(path, contents.state)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if settings.device != "auto":
            try:
                self.device = torch.device(settings.device)
                torch.zeros(1, device=self.device)
            except (RuntimeError, AssertionError) as error:
                raise UserError(f"There is no device {settings.device!r} here; set flow.device=cpu.") from error
        self.network.to(self.device).eval()
        self.settings, self.pool = settings, pool
        self.facts = facts_of(settings, f"torchvision {torchvision.__version__}", contents.sha256)
        self._turn = threading.Lock()

    def __call__(self, source: Source, window: tuple[float, float], first: int, count: int) -> FlowChunk:
        settings = self.settings
        frames, whole, fps = self.pool.frames_chunk(
            source, window, first, count, PATIENCE * self.pool.timeout_s, short_side=settings.short_side
        )
        images: list[bytes] = []
        for field in self._fields(frames[:-1], frames[1:]):
            images += encode_levels(quantise(field, settings.bound), settings.format, settings.quality)
        return FlowChunk(images, whole, frames.shape[2], frames.shape[1], fps)

    def part(
        self,
        source: Source,
        windows: Sequence[tuple[float, float]],
        sampling: SampleFrames,
        *,
        shown_side: int,
        pictures: bool,
        origin: int | None,
    ) -> PartFlow:
        settings = self.settings
        found = self.pool.part_pairs(
            source, windows, sampling, PATIENCE * self.pool.timeout_s, short_side=settings.short_side, origin=origin
        )
        if not len(found.firsts):
            return PartFlow(*nothing(), found.seconds, found.counts, found.end)
        needed, places = np.unique(found.firsts, return_inverse=True)
        fields = np.stack([
            as_kept(quantise(field, settings.bound), settings.format, settings.quality, shown_side)
            for field in self._fields(found.frames[needed], found.frames[needed + 1])
        ])  # fmt: skip
        seen = nothing()[1]
        if pictures:
            seen = np.stack([brought_down(frame, shown_side) for frame in found.frames[needed]])[places]
        return PartFlow(fields[places], seen, found.seconds, found.counts, found.end)

    def _fields(self, ones: Rgb, twos: Rgb) -> Iterator[Field]:
        for at in range(0, len(ones), PAIRS):
            with self._turn:
                fields = raft_fields(self.network, ones[at : at + PAIRS], twos[at : at + PAIRS], self.device)
            yield from fields


def find_weights(named: str, models: Path) -> Path:
    """The file named, or the first of RAFT's in the workspace's models/.

    Raises:
        UserError: there is none.
    """
    if named:
        path = Path(named).expanduser()
        if path.is_file():
            return path
        raise UserError(f"There is no file {path} with RAFT's weights; name one with --weights, or use --method dis.")
    found = sorted(path for path in models.glob("raft_*") if path.suffix in (".pth", ".pt", ".safetensors"))
    if not found:
        raise UserError(
            f"RAFT needs weights, and there are none in {models}: put {WHERE} there (`curl -O --output-dir {models}"
            f" {WHERE}`), name a file with --weights, or use --method dis."
        )
    return found[0]


def network_of(path: Path, state: dict[str, torch.Tensor]) -> nn.Module:
    """The network that these weights fill.

    Raises:
        UserError: none does.
    """
    shapes = {key: value.shape for key, value in state.items()}
    for build in NETWORKS:
        with torch.device("meta"):
            wanted = {key: value.shape for key, value in build(weights=None).state_dict().items()}
        if shapes == wanted:
            network: nn.Module = build(weights=None)
            network.load_state_dict(state)
            return network
    raise UserError(
        f"{path} does not hold the weights of torchvision's raft_large or raft_small; get {WHERE}, or use --method dis."
    )


@torch.inference_mode()
def raft_fields(network: nn.Module, ones: Rgb, twos: Rgb, device: torch.device) -> Field:
    """Frames (n, H, W, 3) and the ones after them -> the fields between them (n, H, W, 2), after the last of RAFT's
    updates.

    Sides are padded by their last row and column to a multiple of 8, and to 128 at least.
    """
    height, width = ones.shape[1:3]
    pad = [max(LEAST, -(-side // MULTIPLE) * MULTIPLE) - side for side in (width, height)]

    def pixels(frames: Rgb) -> torch.Tensor:
        wide = torch.from_numpy(frames).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1.0
        return nn.functional.pad(wide, (0, pad[0], 0, pad[1]), mode="replicate")

    found = network(pixels(ones), pixels(twos))[-1][..., :height, :width]
    fields: Field = found.permute(0, 2, 3, 1).float().cpu().numpy()
    return fields
