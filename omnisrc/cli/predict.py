"""`omnisrc predict`: say what videos and images show."""

from __future__ import annotations

from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from omnisrc.cli.looking import (
    Classes,
    Clips,
    FlowMethod,
    Head,
    Length,
    Model,
    Stride,
    inputs_of,
    looking_bar,
    open_looking,
)
from omnisrc.cli.options import Command, Failed, Json, Sets, Workspace, command
from omnisrc.errors import ItemError, UserError

if TYPE_CHECKING:
    from omnisrc.evaluate.prediction.predict import Answer, Predicted
    from omnisrc.evaluate.windows.inputs import Found, Named
    from omnisrc.media.guard import GuardPool

app = typer.Typer()

STEM = 100
"""Letters of an input's name in that of its labelled video."""
ROWS = 12
"""Windows of a video that the screen shows; a file has all."""


@app.command()
def predict(
    inputs: Annotated[
        list[str], typer.Argument(metavar="VIDEO|IMAGE|FOLDER|URL|LIST", help="LIST: a text file, one URL a line.")
    ],
    model: Model,
    classes: Classes = "",
    window: Length = 0.0,
    stride: Stride = 0.0,
    clips: Clips = 0,
    head: Head = "",
    flow_method: FlowMethod = "",
    top: Annotated[int, typer.Option("--top", metavar="N", help="Classes that are told.", min=1)] = 5,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="All predictions as .json, .jsonl or .csv.")
    ] = None,
    video: Annotated[
        Path | None,
        typer.Option("--video", metavar="FILE|DIR", help="The labels drawn on the video; DIR for several inputs."),
    ] = None,
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """Say what videos and images show: labels of each as a whole, and of its windows.

    A whole video's probabilities are the mean over its windows. Needs no workspace where --model is a file. A
    recogniser of flow is shown flow that is made on the way; one with several heads tells the labels of each.
    Device and precision: --set eval.device=cuda:0 --set eval.amp=bf16.
    """
    with command(workspace, json, sets, database="none") as running:
        from omnisrc.evaluate.prediction.files import check_format, prediction_file
        from omnisrc.evaluate.prediction.predict import predict as predict_all
        from omnisrc.evaluate.windows.inputs import read_arguments

        if output is not None:
            check_format(output)
        named = read_arguments(inputs)
        count = len(named.files) + len(named.urls)
        if video is not None and count > 1 and video.suffix:
            raise UserError(f"--video {video} is one file for {count} inputs; name a folder, such as {video.stem}.")
        looking = open_looking(running, model, classes, window, stride, clips, head=head, flow_method=flow_method)
        results: list[Predicted] = []
        taken: set[Path] = set()
        with (
            prediction_file(output, looking.about()) if output is not None else nullcontext() as file,
            closing(inputs_of(named, running.study)) as found,
            looking_bar(running.console, count) as (within, next_one),
        ):
            said = predict_all(
                looking.network, looking.names, found, looking.plan, looking.pool, top=top, report=within,
                reader=looking.reader,
            )  # fmt: skip
            for each, predicted in said:
                if video is not None and not predicted.error:
                    path = video if count == 1 and video.suffix else film_path(video, each.name, taken)
                    predicted = _film(running, each, predicted, path, looking.pool)
                if file is not None:
                    file.add(predicted)
                results.append(predicted)
                next_one()
                _show(running, predicted, count == 1)
        _end(running, named, results, looking.about(), output)


def film_path(folder: Path, name: str, taken: set[Path]) -> Path:
    """STEM.mp4 in the folder, or STEM-2.mp4 where an input before has taken that name."""
    stem = Path(name).stem[:STEM]
    names = (stem, *(f"{stem}-{number}" for number in range(2, len(taken) + 2)))
    path = next(path for path in (folder / f"{each}.mp4" for each in names) if path not in taken)
    taken.add(path)
    return path


def _film(running: Command, each: Found, predicted: Predicted, path: Path, pool: GuardPool) -> Predicted:
    from dataclasses import replace

    from omnisrc.evaluate.prediction.annotate import annotate
    from omnisrc.evaluate.windows.inputs import Input

    assert isinstance(each, Input)
    try:
        annotate(each.source, predicted, path, pool)
    except ItemError as error:
        return replace(predicted, notes=(*predicted.notes, f"{each.name} could not be drawn on: {error}."))
    running.console.print(f"Labelled video: {escape(str(path))}", soft_wrap=True)
    return predicted


def _show(running: Command, predicted: Predicted, only: bool) -> None:
    if predicted.error:
        if not only:  # with an only one's the command ends
            running.console.print(f"[red]{escape(predicted.error)}[/]", soft_wrap=True)
        return
    many = len(next(iter(predicted.answers.values())).windows)
    count = "one window" if many == 1 else f"{many} windows"
    length = "a still" if predicted.image else f"{predicted.duration:.1f} s, {count}"
    running.console.print(f"{escape(predicted.name)} ({length})", soft_wrap=True)
    for name, answer in predicted.answers.items():
        if name:
            running.console.print(f"head [bold]{escape(name)}[/]", soft_wrap=True)
        running.console.print(_table(answer))
    if many > ROWS:
        running.console.print(f"and {many - ROWS:,} more windows; --output FILE writes all of them.")
    for note in predicted.notes:
        running.console.print(f"[yellow]Note:[/] {escape(note)}", soft_wrap=True)


def _table(answer: Answer) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("seconds", "label", "score"):
        table.add_column(column, justify="left" if column == "label" else "right")
    for number, label in enumerate(answer.labels):
        table.add_row("all" if number == 0 else "", f"[bold]{escape(label.name)}[/]", f"{label.score:.3f}")
    for window in answer.windows[:ROWS] if len(answer.windows) > 1 else ():
        first = window.labels[0]
        table.add_row(f"{window.start:.2f}-{window.end:.2f}", escape(first.name), f"{first.score:.3f}")
    return table


def _end(running: Command, named: Named, results: list[Predicted], about: dict[str, Any], output: Path | None) -> None:
    from omnisrc.evaluate.prediction.files import as_row

    failed = [predicted for predicted in results if predicted.error]
    if named.left_out:
        some = ", ".join(path.name for path in named.left_out[:3])
        more = f" and {len(named.left_out) - 3} more" if len(named.left_out) > 3 else ""
        running.console.print(f"Left out, because it is no medium: {escape(some)}{more}.", soft_wrap=True)
    if output is not None:
        running.console.print(f"All predictions: {escape(str(output))}", soft_wrap=True)
    running.emit(**about, inputs=[as_row(predicted) for predicted in results], failed=len(failed))
    if failed and len(failed) == len(results):
        only = (
            failed[0].error if len(failed) == 1 else f"None of {len(failed)} inputs gives anything: {failed[0].error}"
        )
        raise Failed(only, running.answer)
