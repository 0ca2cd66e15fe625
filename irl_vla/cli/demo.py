"""`irl-vla demo`: a first drive in a minute, in a town that the software makes itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from irl_vla.resources import resource

DEMO_SEED = 37  # a town with lights and traffic in which the blind `rule` policy gets through


def demo(
    out: Annotated[Path, typer.Option(help="folder for the results")] = Path("out/demo"),
    seed: Annotated[int, typer.Option(help="seed of the town, its traffic and route", min=0)] = (
        DEMO_SEED
    ),
    route_length: Annotated[float, typer.Option(help="length of the route in metres")] = 200.0,
) -> None:
    """Drive the `rule` policy through a town; write an animation and a report for offline use."""
    from irl_vla.cli.drive import drive  # takes a while to import

    drive(resource("models/rule"), seed=seed, route_length=route_length, full=True, out=out)
