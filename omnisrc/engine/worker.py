"""A worker process of the local engine: `python -m omnisrc.engine.worker`. It ends when its parent does."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from omnisrc.engine.registry import STAGES
from omnisrc.engine.work import work_once
from omnisrc.study import Study

SOON_S, IDLE_S = 0.01, 0.2
"""How long a worker waits before it looks for work again: at first, when more is likely to come soon, and later."""

GARBAGE = 5_000
"""New objects after which Python looks for cycles among them; looking after every 700, as it does by itself, took about
one per cent of a crawl."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--stages", required=True)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--set", action="append", default=[])
    options = parser.parse_args()
    logging.basicConfig(
        filename=options.log, level=logging.INFO, format=f"%(asctime)s {os.getpid()} %(levelname)s %(message)s"
    )
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group: the parent tells us what to do
    threading.Thread(target=_watch_parent, args=(stop,), daemon=True).start()
    study = Study.open(options.workspace, options.set)
    stages = options.stages.split(",")
    for stage in stages:
        STAGES[stage].prepare(study)
    gc.freeze()  # what was imported is there to stay
    gc.set_threshold(GARBAGE)
    idle_s = SOON_S
    while not stop.is_set():
        if work_once(study, stages, stop.is_set):
            idle_s = SOON_S
        else:
            stop.wait(idle_s)
            idle_s = min(IDLE_S, 2 * idle_s)


def _watch_parent(stop: threading.Event) -> None:
    """The parent holds the other end of our standard input: when it dies, however it dies, we read its end.

    The file itself is read, not Python's buffer over it: a buffer in use holds the interpreter up for a second at exit.
    """
    while os.read(sys.stdin.fileno(), 4096):
        continue
    stop.set()


if __name__ == "__main__":
    main()
