"""`omnisrc scores`: show, fuse and compare what evaluations have written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from omnisrc.cli.eval import shown
from omnisrc.cli.options import Json, Sets, Workspace, command
from omnisrc.errors import UserError

app = typer.Typer(no_args_is_help=True, help="Scores that `omnisrc eval` has written: show, fuse, compare, import.")

PLACE = "A folder that `omnisrc eval` wrote, its predictions.parquet, or the name of a run."
Split = Annotated[str, typer.Option(metavar="SPLIT", help="Of runs that are given by name.")]
Common = Annotated[bool, typer.Option("--common", help="Take only the clips that all have, instead of refusing.")]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="DIR", help="For tables and plots.  [default: in reports/]"),
]


@app.command()
def show(
    scores: Annotated[str, typer.Argument(metavar="SCORES", help=PLACE)],
    split: Split = "test",
    top: Annotated[int, typer.Option(metavar="N", min=0, help="Pairs and classes shown.")] = 5,
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """The figures of one evaluation, its worst classes and its most confused pairs."""
    with command(workspace, json, sets, database="none") as running:
        from omnisrc.evaluate.overview import overview
        from omnisrc.evaluate.places import scores_at

        table, name = scores_at(running.study, scores, split)
        found = overview(table, top)
        running.console.print(f"{name}: {shown(found['figures'])}, {over(found['figures'], table.about)}.")
        for title, columns, rows in (
            ("worst classes", ("class", "clips", _measure(table)), found["worst"]),
            ("most confused pairs", ("class", "other", "clips", "share"), found["pairs"]),
            ("most often taken for another", ("class", "taken for", "clips", "share"), found["taken_for"]),
        ):
            if rows:
                running.console.print(_table(title, columns, rows))
        running.emit(name=name, **found["figures"], **{key: found[key] for key in ("worst", "pairs", "taken_for")})


@app.command()
def fuse(
    scores: Annotated[list[str], typer.Argument(metavar="SCORES...", help=f"Two or more. {PLACE}")],
    weights: Annotated[
        str, typer.Option(metavar="W,W", help="A weight for each, such as 1,1.5.  [default: equal]", show_default=False)
    ] = "",
    softmax: Annotated[
        str,
        typer.Option(
            metavar="WHEN",
            help="first: sum probabilities; last: sum logits, then one softmax (or sigmoid, for several classes).",
        ),
    ] = "first",
    split: Split = "test",
    common: Common = False,
    output: Output = None,
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """Late fusion: the weighted sum of the scores of several recognisers on the same clips, scored as one."""
    with command(workspace, json, sets, database="none") as running:
        from omnisrc.evaluate.compare import common_protocol
        from omnisrc.evaluate.fusion import fuse as fused
        from omnisrc.evaluate.places import safe_name, scores_at
        from omnisrc.evaluate.results import figures_of, write_results
        from omnisrc.evaluate.scores import aligned

        if len(scores) < 2:
            raise UserError("Fusion takes two or more scores; give their folders or runs one after the other.")
        if softmax not in ("first", "last"):
            raise UserError(f"--softmax is {softmax!r}: write first or last.")
        shares = numbers(weights) if weights else [1.0] * len(scores)
        tables, names = zip(*(scores_at(running.study, place, split) for place in scores), strict=True)
        one = fused(aligned(tables, names, common), shares, names, "probabilities" if softmax == "first" else "logits")
        about = {
            "split": one.about.get("split"), "expected": one.about.get("expected"),
            "manifest_sha256": one.about.get("manifest_sha256"), "fused": list(names), "weights": shares,
            "softmax": softmax, "protocol": common_protocol(tables),
        }  # fmt: skip
        one = one.retold(about)
        figures = figures_of(one)
        folder = output or running.study.reports / safe_name("fused-" + "+".join(names))
        write_results(folder, one, figures)
        for table, name in zip(tables, names, strict=True):
            running.console.print(f"{name}: {shown(figures_of(table))}.")
        running.console.print(f"Fused: {shown(figures)}, {over(figures, about)}.")
        running.console.print(f"Scores, tables and plots: {folder}", soft_wrap=True)
        running.emit(**about, **figures, folder=str(folder))


@app.command()
def compare(
    first: Annotated[str, typer.Argument(metavar="FIRST", help=PLACE)],
    second: Annotated[str, typer.Argument(metavar="SECOND", help="The one that may be better.")],
    split: Split = "test",
    common: Common = False,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the bootstrap.")] = 0,
    top: Annotated[int, typer.Option(metavar="N", min=0, help="Classes shown that gain and lose most.")] = 5,
    output: Output = None,
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """Is the second better than the first on the same clips, or may it be chance?

    McNemar's test of the clips that only one of them has right, and a bootstrap interval of the difference. Where
    clips come in groups (cuts of one video), whole groups are drawn, and the test is of whole groups. Where a clip may
    have several classes, both are compared by mAP, with a paired bootstrap alone.
    """
    with command(workspace, json, sets, database="none") as running:
        from omnisrc.evaluate.compare import compare as compared
        from omnisrc.evaluate.compare import figures_of, largest_gains, protocol_differences, write_by_class
        from omnisrc.evaluate.places import safe_name, scores_at
        from omnisrc.evaluate.scores import aligned
        from omnisrc.evaluate.several import NO_MCNEMAR, compare_several, comparison_figures

        tables, names = zip(*(scores_at(running.study, place, split) for place in (first, second)), strict=True)
        names = (names[0], names[1]) if names[0] != names[1] else (first, second)
        one, two = aligned(tables, names, common)
        found: Any = (compare_several if one.multi_label else compared)(one, two, names, seed)
        folder = output or running.study.reports / safe_name(f"compared-{names[0]}+{names[1]}")
        write_by_class(found, one.classes, folder / "by_class.csv")
        running.console.print(found.sentence, soft_wrap=True)
        otherwise = protocol_differences(one, two)
        if otherwise:
            running.console.print(f"[yellow]Warning:[/] their protocols differ: {', '.join(otherwise)}.")
        figures = comparison_figures(found, one) if one.multi_label else figures_of(found, one)
        word, shares = ("mAP", found.map) if one.multi_label else ("top-1", found.top1)
        for name, share, (low, high) in zip(names, shares, found.intervals, strict=True):
            told = f"{100 * share:.2f} % (95 % interval {100 * low:.2f} to {100 * high:.2f})"
            running.console.print(f"{name}: {word} {told}")
        test = (
            NO_MCNEMAR
            if one.multi_label
            else f"McNemar: exact p = {found.test.exact:.3g}, mid-p = {found.test.mid_p:.3g}."
        )
        running.console.print(
            f"{test} Data set {figures['data_sha256'][:12]}, {found.clips} of {figures['expected'] or '?'} clips."
        )
        order = largest_gains(found)
        for title, places in (("gains most", order[:top]), ("loses most", order[::-1][:top])):
            rows = [
                (one.classes[at], int(n), a, b) for at in places for n, a, b in [found.by_class[at]]
                if (b - a) * (1 if title == "gains most" else -1) > 0
            ]  # fmt: skip
            if rows:
                running.console.print(_table(f"{names[1]} {title}", ("class", "clips", *names), rows))
        running.console.print(f"Every class: {folder / 'by_class.csv'}", soft_wrap=True)
        running.emit(**figures, protocols_differ=otherwise, folder=str(folder))


@app.command("import")
def import_(
    results: Annotated[Path, typer.Argument(metavar="FILE", help="MMAction2's results, .pkl or .json.")],
    listing: Annotated[Path, typer.Option("--list", metavar="FILE", help="The annotation list that was tested.")],
    classes: Annotated[str, typer.Option(metavar="NAME", help="The class list, by name or file.")],
    output: Output = None,
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """Take MMAction2's dumped results (test.py --dump) as scores, to compare or fuse with others on the same clips.

    A pickle that holds more than arrays and plain values is refused; nothing in it is run.
    """
    with command(workspace, json, sets, database="none") as running:
        from omnisrc.classes.load import load_class_list
        from omnisrc.evaluate.foreign_scores import import_scores
        from omnisrc.evaluate.places import safe_name
        from omnisrc.evaluate.results import figures_of, write_results

        table = import_scores(results, listing, [each.name for each in load_class_list(classes).classes])
        figures = figures_of(table)
        folder = output or running.study.reports / safe_name(f"imported-{results.stem}")
        write_results(folder, table, figures)
        running.console.print(f"{results.name}: {shown(figures)}, {over(figures, table.about)}.")
        running.console.print(f"Scores, tables and plots: {folder}", soft_wrap=True)
        running.emit(**table.about, **figures, folder=str(folder))


def over(figures: dict[str, Any], about: Any) -> str:
    """`over 98 of 100 clips of the data set 1f2e...`"""
    expected, fingerprint = about.get("expected") or "?", figures["data_sha256"][:12]
    return f"over {figures['samples']} of {expected} clips of the data set {fingerprint}"


def numbers(text: str) -> list[float]:
    """`1,1.5` as numbers."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f"--weights is {text!r}; write numbers with commas between, such as 1,1.5.") from None


def _measure(table: Any) -> str:
    """What a class is judged by."""
    return "average precision" if table.multi_label else "accuracy"


def _table(title: str, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> Table:
    table = Table(title=title, title_justify="left", show_edge=False)
    for at, column in enumerate(columns):
        table.add_column(column, justify="left" if rows and isinstance(rows[0][at], str) else "right")
    for row in rows:
        table.add_row(*(f"{cell:.1%}" if isinstance(cell, float) else str(cell) for cell in row))
    return table
