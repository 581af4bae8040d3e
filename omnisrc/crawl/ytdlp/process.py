"""One downloader process, seen from the project."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from omnisrc.media.guard_process import GuardProcess


class DownloadProcess(GuardProcess):
    """A GuardProcess that runs yt-dlp. Whatever it has started ends with it."""

    module = "omnisrc.crawl.ytdlp.child"

    def __init__(self, largest_file_mb: int) -> None:
        super().__init__(largest_file_mb)

    def stop(self) -> None:
        """Ends the process and its children at once, from any thread; who waits for an answer gets a WireError."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def kill(self) -> signal.Signals | None:
        self.stop()
        return super().kill()
