"""The command `omnisrc`: one module a verb, and how each ends."""

from __future__ import annotations

import gc
import importlib
import json
import keyword
from collections.abc import Mapping
from typing import Any

import typer
from rich.console import Console
from sqlalchemy.exc import DBAPIError
from typer.core import TyperGroup

from db.schema import SchemaError
from db.session import DatabaseError
from omnisrc.cli.main import STOPPED, settle_heap
from omnisrc.cli.options import Failed
from omnisrc.errors import Interrupted, ItemError, UserError, WorldError

VERBS = {
    "init": "Make a workspace.",
    "classes": "Class lists: list them, show one.",
    "target": "The labelled target data set: add, check, show.",
    "crawl": "Find and fetch web images and videos of each class.",
    "providers": "Who can be asked: list them, check their keys, try one.",
    "filter": "Let a teacher judge the web data; pack what is kept.",
    "models": "Networks and their weights: list, show, add, convert, export.",
    "flow": "Extract optical flow, for a second stream.",
    "train": "Train a recogniser on a mix of sources.",
    "eval": "Score a run or a checkpoint on a split of the target.",
    "scores": "What evaluations wrote: show, fuse and compare it.",
    "predict": "Say what videos and images show, as a whole and window by window.",
    "explain": "Show where in a clip a recogniser finds its evidence.",
    "features": "Write a recogniser's features of videos, window by window.",
    "status": "What the study holds and what is being done.",
    "report": "One self-contained HTML page about the study.",
    "export": "Rows of the catalogue as JSON lines; the whole study as a file.",
    "import": "A study from the file that it was exported to.",
    "takedown": "Remove a work or an author from the study, for good.",
    "db": "The study's database: upgrade, check, copy.",
    "doctor": "Look for litter and damage; mend what can be mended.",
    "shards": "Where the shards lie: list them, move them to or from an object store.",
    "gc": "Free landing shards that were packed.",
    "demo": "The main job in small, offline: crawl, filter, train, report.",
    "worker": "Work off open jobs until stopped.",
    "dispatch": "Keep a cluster going: ring workers, add jobs, take back lost ones.",
}
"""Verb -> its line in the help. The module omnisrc/cli/VERB.py holds `app` (a Typer); it is loaded when asked for."""

INTERRUPTED = 130
NOTHING_CHANGED = "Stopped; nothing was changed."
STOPPED_VERBS = {
    "predict": "Stopped; no file of predictions was written.",
    "features": "Stopped; what was written stays: run the same command again to go on.",
    "eval": "Stopped; no score was written: run the same command again.",
    "explain": "Stopped; run the same command again.",
    "scores": "Stopped; run the same command again.",
    "demo": "The demo was stopped; it begins anew when you run it again.",
    **dict.fromkeys(("classes", "providers", "status", "models list", "models show"), NOTHING_CHANGED),
}
"""Verb, or verb and its own verb -> what a Ctrl-C leaves, where it is not that the same command goes on. What stops in
good order (crawl, filter, train, flow) says itself where it stands."""


class Verbs(TyperGroup):
    """Loads a verb's module when it is used, so that `omnisrc classes list` does not pay for all the others."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"omnisrc.cli.{cmd_name}{'_' * keyword.iskeyword(cmd_name)}")
        settle_heap()
        gc.enable()
        module.app._add_completion = False
        found = typer.main.get_command(module.app)
        found.name = cmd_name
        found.short_help = VERBS[cmd_name]
        return found


USAGE: Any = typer.BadParameter.__bases__[0]  # the usage error of the click that typer brings with it

app = typer.Typer(
    cls=Verbs,
    name="omnisrc",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="""Turn a list of action classes into a better video recogniser.

    A study in three lines:  omnisrc crawl --classes kinetics400  ·  omnisrc filter --teacher slowonly  ·
    omnisrc train --mix web,target.  Each can be stopped with Ctrl-C and goes on when run again.
    `omnisrc demo` shows all of it on this machine, offline, in about five minutes.""",
)


@app.callback()
def _main() -> None:
    """Keeps `omnisrc VERB` a group."""


def run_app(arguments: list[str]) -> int:
    """Runs one command line; its exit code (0 done, 2 the user's mistake, 1 the world's failure, 130 interrupted)."""
    try:
        code = app(arguments, standalone_mode=False)
        if code == INTERRUPTED:  # what typer makes of a Ctrl-C that nobody has answered
            return _end(arguments, _stopped(arguments), INTERRUPTED)
        return code if isinstance(code, int) else 0
    except (Interrupted, typer.Abort) as error:
        return _end(arguments, str(error) or STOPPED, INTERRUPTED)
    except USAGE as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            return 2  # the help was shown
        return _end(arguments, _sentence(error), 2)
    except (UserError, SchemaError, DatabaseError) as error:
        return _end(arguments, str(error), 2)
    except Failed as error:
        return _end(arguments, str(error), 1, error.answer)
    except (WorldError, ItemError) as error:
        return _end(arguments, str(error), 1)
    except DBAPIError as error:
        return _end(arguments, f"The database failed: {_plainly(error)}; mend that and run the same command again.", 1)
    except OSError as error:
        if error.errno is None:
            raise
        return _end(arguments, f"{error.filename or 'A file'}: {error.strerror}.", 1)
    except typer.Exit as error:
        return error.exit_code


def _stopped(arguments: list[str]) -> str:
    """What a Ctrl-C leaves of a command line."""
    names = (" ".join(arguments[:2]), *arguments[:1])
    return next((STOPPED_VERBS[name] for name in names if name in STOPPED_VERBS), STOPPED)


def _plainly(error: DBAPIError) -> str:
    return str(error.orig).strip().rstrip(".")


def _sentence(error: Any) -> str:
    context = getattr(error, "ctx", None)
    hint = f" See `{context.command_path} --help`." if context is not None else ""
    return str(error.format_message()).rstrip(".") + "." + hint


def _end(arguments: list[str], sentence: str, code: int, answer: Mapping[str, Any] | None = None) -> int:
    Console(stderr=True, highlight=False).print(f"[bold red]omnisrc:[/] {_plain(sentence)}", soft_wrap=True)
    if "--json" in arguments:
        said = {**(answer or {}), "error": sentence, "exit_code": code}
        print(json.dumps(said, ensure_ascii=False, default=str), flush=True)
    return code


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
