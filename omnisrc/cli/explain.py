"""`omnisrc explain`: show where in a clip a recogniser finds its evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from omnisrc.cli.looking import Classes, Clips, FlowMethod, Head, Length, Model, open_looking
from omnisrc.cli.options import Json, Sets, Workspace, command
from omnisrc.errors import ItemError, UserError, WorldError

app = typer.Typer()


@app.command()
def explain(
    video: Annotated[Path, typer.Argument(metavar="VIDEO", help="Or an image.")],
    model: Model,
    method: Annotated[
        str,
        typer.Option("--method", metavar="NAME", help="activation, cam, gradcam, guided-backprop or guided-gradcam."),
    ] = "gradcam",
    class_: Annotated[
        str, typer.Option("--class", metavar="NAME", help="Whose evidence.  \\[default: the class it predicts]")
    ] = "",
    stage: Annotated[
        str, typer.Option("--stage", metavar="NAME", help="Of the network, such as layer3.  \\[default: the last]")
    ] = "",
    start: Annotated[
        float | None,
        typer.Option("--start", metavar="S", help="Where the clip begins.  \\[default: the video's middle]", min=0.0),
    ] = None,
    window: Length = 0.0,
    clips: Clips = 0,
    classes: Classes = "",
    head: Head = "",
    flow_method: FlowMethod = "",
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where the files go.")] = Path(
        "explained"
    ),
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """Show where in a clip a recogniser finds its evidence for a class.

    Writes a sheet of frames (.png), a video (.mp4) and the numbers (.npz). Grad-CAM and guided backpropagation need
    `pip install 'omnisrc[explain]'`.
    """
    with command(workspace, json, sets, database="none") as running:
        if not video.is_file():
            raise UserError(f"There is no file {video}; name a video or an image.")
        from omnisrc.evaluate.explanations.clip import clip_of, show
        from omnisrc.evaluate.explanations.methods import check
        from omnisrc.evaluate.prediction.predict import best, probabilities
        from omnisrc.evaluate.windows.classes import find_class

        looking = open_looking(
            running, model, classes, window, 0.0, clips, plain=True, head=head, flow_method=flow_method
        )
        network, plan = looking.network, looking.plan
        if len(looking.names) > 1:
            raise UserError(
                f"The recogniser {network.path} has several heads ({', '.join(looking.names)}); choose one with --head"
                " NAME."
            )
        [names] = looking.names.values()
        check(network.model, method, stage)
        target = find_class(names, class_) if class_ else -1
        try:
            clip = clip_of(video, plan, looking.pool, looking.reader, start)
        except ItemError as error:
            raise WorldError(f"{video} cannot be explained ({error}).") from error
        said = probabilities(network.scores(clip.views[None], plan.average)[""][0], plan, network.task)
        first = best(said, names, 1)[0]
        target = first.index if target < 0 else target
        name = names[target]
        shown = show(network, clip, target, name, output, video.stem, method, stage)
        running.console.print(
            f"{escape(str(video))}, from {clip.seconds.min():.2f} to {clip.seconds.max():.2f} s: [bold]"
            f"{escape(name)}[/] {100 * said[target]:.1f} %" + ("" if target == first.index else
            f" (it predicts {escape(first.name)}, {100 * first.score:.1f} %)") + ".", soft_wrap=True,
        )  # fmt: skip
        files = {"sheet": str(shown.sheet), "video": str(shown.video), "numbers": str(shown.numbers)}
        running.console.print(f"Written: {escape(', '.join(files.values()))}", soft_wrap=True)
        running.emit(
            method=method, stage=stage or network.model.trunk.stages[-1].name, **{"class": name},
            probability=float(said[target]), predicted=first.name, **files, **looking.reader.about,
        )  # fmt: skip
