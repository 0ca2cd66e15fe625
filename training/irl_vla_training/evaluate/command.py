"""The command `evaluate`: what is typed -> a model, scenes, and a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from irl_vla.drafts import refuse_unwritable
from irl_vla.perception.preset import Preset
from irl_vla.resources import resource
from irl_vla.terminal.console import Console
from irl_vla.terminal.lazy import only_with
from irl_vla.types import InputError
from irl_vla.world.benchmark.splits import split_of
from irl_vla_training.evaluate.eyes import evaluate_eyes
from irl_vla_training.evaluate.model import EyesModel
from irl_vla_training.evaluate.recursion import Recursion
from irl_vla_training.evaluate.red_set import red_set
from irl_vla_training.evaluate.scenes import SceneSource
from irl_vla_training.samples.prepare import prepare
from irl_vla_training.samples.sample_set import SampleSet
from irl_vla_training.samples.settings import SampleSettings

RIG = "calibration/rigs/tiny3.yaml"


@only_with(seeds="!red", split="!red")
def evaluate_command(
    out: Annotated[Path, typer.Option(help="folder for summary.json, the page and the scenes")],
    eyes: Annotated[bool, typer.Option("--eyes", help="perception alone")] = False,
    run: Annotated[Path | None, typer.Option(help="a run's folder")] = None,
    bundle: Annotated[Path | None, typer.Option(help="a bundle's folder")] = None,
    seeds: Annotated[str | None, typer.Option(help="A:B, the seeds A to B - 1")] = None,
    split: Annotated[str | None, typer.Option(help="seeds of a split, such as world-dev")] = None,
    red: Annotated[bool, typer.Option("--red-set", help="400 red and 400 green lights")] = False,
    rig: Annotated[Path | None, typer.Option(help="rig file; default: tiny3")] = None,
    scenes: Annotated[
        Path | None, typer.Option(help="where drawn scenes are kept; default: OUT/scenes")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="processes that draw scenes")] = 1,
    loop_steps: Annotated[
        int,
        typer.Option(
            min=0,
            max=60,
            help="with --bundle: also velocities after so many steps of 0.1 s of "
            "the driving core's own loop; slow",
        ),
    ] = 0,
) -> None:
    """How well trained networks see, on scenes that nobody trained on. Figures by class, weather
    and rig; best and worst scenes."""
    console = Console(stderr=True)
    if not eyes:
        raise InputError("evaluate: say what: --eyes")
    if loop_steps and bundle is None:
        raise InputError("--loop-steps: does nothing without --bundle; leave it out")
    refuse_unwritable(out)
    model = _model(run, bundle)
    source, what = _source(seeds, split, red, rig)
    store = str(scenes or out / "scenes")
    prepare(store, settings_for(model.preset), source, jobs, None, console)
    about = {"evaluated": model.name, **what, "loop_steps": loop_steps}
    recursion = None
    if bundle is not None and loop_steps:
        recursion = Recursion.of(bundle, what["rig"], loop_steps)
    scenes_of = SampleSet.open(store, only=source.units)
    found = evaluate_eyes(model, scenes_of, out, about, console.print, recursion)
    console.print(f"iou {found['iou']}  vehicles {found['vehicles']}  lamps {found['lamps']}")
    console.print(f"wrote     {out}/summary.json, {out}/index.html", soft_wrap=True)


def settings_for(preset: Preset) -> SampleSettings:
    """Of evaluation's scenes."""
    return SampleSettings.of(preset)


def _model(run: Path | None, bundle: Path | None) -> EyesModel:
    if (run is None) == (bundle is None):
        raise InputError("evaluate: give either --run or --bundle")
    return EyesModel.of_run(run) if run is not None else EyesModel.of_bundle(Path(str(bundle)))


def _source(
    seeds: str | None, split: str | None, red: bool, rig: Path | None
) -> tuple[SceneSource, dict[str, Any]]:
    file = str(rig or resource(RIG))
    if red:
        chosen: dict[int, tuple[int, ...]] = {}
        for scene in red_set():
            chosen[scene.seed] = (*chosen.get(scene.seed, ()), scene.step)
        return SceneSource(tuple(chosen), file, chosen), {"scenes_of": "red set", "rig": file}
    found = split_of(split, seeds)
    return SceneSource(tuple(found.seeds), file), {"scenes_of": str(found), "rig": file}
