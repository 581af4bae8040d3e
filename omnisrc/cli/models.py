"""`omnisrc models`: the networks, their released weights, and files of weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from omnisrc.cli.fetch_bar import fetching, weights_of
from omnisrc.cli.options import Command, Json, Sets, Workspace, command
from omnisrc.models.settings import ModelSettings

app = typer.Typer(no_args_is_help=True, help="Networks and their weights: list, show, add, convert, export.")

Trained = Annotated[
    bool, typer.Option("--no-ema", help="Of a file with weights and their moving average, the weights themselves.")
]
Output = Annotated[
    Path | None, typer.Option("--output", metavar="FILE", help="What to write.  \\[default: beside FILE]")
]


@contextmanager
def started(workspace: Path | None, json: bool, sets: list[str] | None) -> Iterator[Command]:
    with command(workspace, json, sets, database="none") as running:
        yield running


@app.command("list")
def list_(workspace: Workspace = None, json: Json = False, sets: Sets = None) -> None:
    """List the networks: parameters (for 400 classes), input, released weights, and which of those are here."""
    with started(workspace, json, sets) as running:
        from omnisrc.models.figures import listing

        rows = listing(running.study.models)
        own = sorted(path.name for path in running.study.models.glob("[!.]*.*") if path.is_file())
        table = Table("name", "parameters", "input", "released", "here", box=None, pad_edge=False, header_style="bold")
        for row in rows:
            count = f"{row['parameters'] / 1e6:.2f} M"
            names = f"{len(row['released'])}" if row["released"] else ""
            lacks = f"needs omnisrc\\[{row['lacks']}]" if row["lacks"] else ""
            table.add_row(row["name"], count, _input(row["input"]), names, ", ".join(row["here"]) or lacks)
        running.console.print(table)
        running.console.print(
            f"\nFiles in {running.study.models}: {', '.join(own) or 'none'}. `omnisrc models show NAME` names the"
            " released weights of a network, `omnisrc models add NAME` fetches them.",
            soft_wrap=True,
        )
        running.emit(models=rows, folder=str(running.study.models), files=own)


@app.command()
def show(
    name: Annotated[
        str, typer.Argument(metavar="NAME|FILE", help="A network, released weights, or a file of weights.")
    ],
    model: Annotated[str, typer.Option("--model", metavar="NAME", help="Compare a file with this network.")] = "",
    no_ema: Trained = False,
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """Show a network, or all that a file of weights says and lacks."""
    with started(workspace, json, sets) as running:
        from omnisrc.models.about import about_file, about_model, about_released
        from omnisrc.models.create import model_names
        from omnisrc.models.released import RELEASED

        released = next((file for file in RELEASED if file.name == name), None)
        if name in model_names() or name.startswith(("tsn_timm.", "tsn_torchvision.")):
            said = about_model(name)
        elif released is not None and not (running.study.models / released.file).is_file():
            said = {**about_released(released), "here": False}
        else:
            said = about_file(weights_of(running, name), model, averaged=not no_ema)
        running.emit(**said)
        if not json:
            _print(running, said)


@app.command()
def add(
    what: Annotated[
        str, typer.Argument(metavar="NAME|FILE|URL", help="Released weights by name, a file, or an https address.")
    ],
    sha256: Annotated[
        str, typer.Option("--sha256", metavar="HEX", help="The file's hash; a URL needs it, or 8 digits in its name.")
    ] = "",
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """Put weights into the workspace's models/, checked: the hash, no code, a format that is known."""
    with started(workspace, json, sets) as running:
        from omnisrc.models.about import about_file
        from omnisrc.models.adding import add as add_weights

        with fetching(running.console) as report:
            path, before = add_weights(what, running.study.models, running.study.section(ModelSettings), sha256, report)
        said = about_file(path)
        running.emit(**said, added=not before)
        fits = f"{said['model']} for {said.get('num_classes', 'no')} classes" if "model" in said else "no model known"
        running.console.print(
            f"{'It was there already' if before else 'Added'}: {path} ({said['format']}, {fits}, sha256"
            f" {said['sha256'][:8]}, {said.get('licence', 'licence not said')}).",
            soft_wrap=True,
        )
        _notes(running, said)


@app.command()
def convert(
    file: Annotated[str, typer.Argument(metavar="NAME|FILE", help="Weights of any format.")],
    to: Annotated[
        str, typer.Option("--to", metavar="LAYOUT", help="safetensors (ours), mmaction2, pyslowfast or pytorchvideo.")
    ] = "safetensors",
    output: Output = None,
    no_ema: Trained = False,
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """Write weights in another layout; what is written is read back and compared before it gets its name."""
    with started(workspace, json, sets) as running:
        from omnisrc.models.convert import convert as convert_weights

        path, sha256 = convert_weights(weights_of(running, file), to, output, not no_ema)
        running.emit(file=str(path), sha256=sha256, layout=to)
        running.console.print(f"Wrote {path} (sha256 {sha256}).", soft_wrap=True)


@app.command()
def export(
    file: Annotated[str, typer.Argument(metavar="NAME|FILE", help="Weights of any format.")],
    to: Annotated[str, typer.Option("--to", metavar="KIND", help="onnx or torch-export.")] = "onnx",
    output: Output = None,
    side: Annotated[int, typer.Option(min=0, metavar="PIXELS", help="Of a view.", show_default="as trained")] = 0,
    segments: Annotated[int, typer.Option(min=0, metavar="N", help="Views of a video.", show_default="as trained")] = 0,
    no_ema: Trained = False,
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """Write a program that others can run, and run it once: its logits must be the checkpoint's, within 1e-4."""
    with started(workspace, json, sets) as running:
        from omnisrc.models.exporting import export as export_program

        done = export_program(weights_of(running, file), to, output, side, segments, not no_ema)
        shape = " x ".join(["batch", *map(str, done.shape[1:])])
        checked = (
            "onnxruntime is not here, so nothing was compared"
            if done.difference is None
            else f"its logits differ by {done.difference:.1g} at most"
        )
        running.emit(file=str(done.path), kind=done.kind, input=list(done.shape[1:]), difference=done.difference)
        running.console.print(f"Wrote {done.path}: takes {shape}, scaled frames; {checked}.", soft_wrap=True)


def _input(spec: dict[str, Any]) -> str:
    apart = f"every {spec['frame_interval']}" if spec["frame_interval"] else "spread"
    frames = f"{spec['clip_len']} frames, {apart}" if spec["dims"] == "3d" else "single frames"
    return f"{frames}, {spec['crop_size']} px"


HIDDEN = ("classes", "released", "stages", "notes", "missing", "unexpected", "other_shape")


def _print(running: Command, said: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for key, value in said.items():
        if key not in HIDDEN and value not in (None, "", [], {}):
            table.add_row(key, Text(_text(value)))
    for file in said.get("released", ()):
        score = f"{file['class_list']}, top-1 / top-5 {file['top1']:g} / {file['top5']:g} % {file['protocol']}"
        told = f"{score if file['class_list'] else 'a trunk alone, for --init'}, {file['licence']}"
        table.add_row("released", Text(f"{file['name']}: {told}"))
    classes = said.get("classes") or []
    if classes:
        table.add_row("classes", Text(_first(list(map(str, classes)))))
    for word in ("missing", "unexpected", "other_shape"):
        keys = said.get(word) or []
        if keys:
            table.add_row(word, Text(_first(keys)))
    running.console.print(table)
    _notes(running, said)


def _first(names: list[str]) -> str:
    return f"{len(names)}: {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}"


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_text(inner) for inner in value)
    return f"{value:,}" if isinstance(value, int) and value > 99999 else str(value)


def _notes(running: Command, said: dict[str, Any]) -> None:
    for note in said.get("notes", ()):
        running.console.print(f"[yellow]Note:[/] {note}.", soft_wrap=True)
