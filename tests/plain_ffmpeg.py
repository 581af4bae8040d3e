"""Lets torchcodec load where the system has no FFmpeg: it links against `libavcodec.so.62` and the like, and PyAV's
wheel brings just these under names of its own. Both libraries then decode with the same FFmpeg, too."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import av

LIBRARY = re.compile(r"(lib(?:av|sw)[a-z]+)-[0-9a-f]+\.so\.(\d+)\.")
LOADS = "from torchcodec.decoders import VideoDecoder"


def torchcodec_environment(folder: Path) -> dict[str, str] | None:
    """An environment in which a new process can import torchcodec's decoder, or None if there is none here.

    Where it does not load as it is, links to PyAV's libraries are put into `folder`.
    """
    plain = dict(os.environ)
    if _loads(plain):
        return plain
    theirs = Path(av.__file__).parents[1] / "av.libs"
    for library in theirs.glob("lib*"):
        if match := LIBRARY.match(library.name):
            (folder / f"{match[1]}.so.{match[2]}").symlink_to(library)
    linked = {**plain, "LD_LIBRARY_PATH": os.pathsep.join([str(folder), str(theirs), plain.get("LD_LIBRARY_PATH", "")])}
    return linked if _loads(linked) else None


def _loads(environment: dict[str, str]) -> bool:
    """Whether torchcodec decodes one frame there: it finds its libraries only when it first needs them."""
    from tests.media_files import video_bytes

    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        file.write(video_bytes(2))
        file.flush()
        script = f"{LOADS}; VideoDecoder({file.name!r})[0]"
        return not subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True).returncode
