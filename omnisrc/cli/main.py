"""The entry of the command `omnisrc`: it loads the rest, so that Ctrl-C has its sentence while that is loaded too."""

from __future__ import annotations

import gc
import io
import json
import signal
import sys

STOPPED = "Stopped; run the same command again to go on."


def main() -> None:
    """Entry point: runs the command line and ends with its exit code.

    From then on a Ctrl-C ends the process at once: nothing is left to be finished.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may be no text; stderr is so by itself
    code = run(sys.argv[1:])
    settle_heap()  # or the end looks through all objects for cycles: a tenth of a short command
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(code)


def settle_heap() -> None:
    """What there is stays: no collection looks through it again.

    With torch all is left to Python: its libraries count what the end does not find, and print that.
    """
    if "torch" not in sys.modules:
        gc.freeze()


def run(arguments: list[str]) -> int:
    """Runs one command line; its exit code (0 done, 2 the user's mistake, 1 the world's failure, 130 interrupted)."""
    try:
        from omnisrc.cli.app import run_app

        return run_app(arguments)
    except KeyboardInterrupt:  # before there was a command to answer it, or again while it did
        print(f"omnisrc: {STOPPED}", file=sys.stderr)
        if "--json" in arguments:
            print(json.dumps({"error": STOPPED, "exit_code": 130}), flush=True)
        return 130


if __name__ == "__main__":
    main()
