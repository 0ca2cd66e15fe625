"""`irl-vla demo`: a first drive in a minute, on a recording that the software draws itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from irl_vla.camera.rig import load_rig
from irl_vla.cli.replay import replay
from irl_vla.cli.shipped import shipped
from irl_vla.data.bag_writer import BagWriter
from irl_vla.types import SECOND_NS
from irl_vla.world.drawn import Street

START_NS = 1_700_000_000 * SECOND_NS
PICTURES_HZ, MOTION_HZ = 5, 50


def demo(
    out: Annotated[Path, typer.Option(help="folder for the bag and the results")] = Path(
        "out/demo"
    ),
    seconds: Annotated[float, typer.Option(help="length of the drawn recording", min=1.0)] = 8.0,
    seed: Annotated[int, typer.Option(help="of the parked cars")] = 0,
) -> None:
    """Draw a short recording of a street, replay it with the `rule` policy, and make a report."""
    bag = out / "street"
    write_street_bag(bag, seconds, seed)
    Console().print(f"drew      {bag}  (rosbag2, {seconds:g} s, 3 cameras)", highlight=False)
    replay(bag, shipped("models/rule"), out=out)


def write_street_bag(path: Path, seconds: float, seed: int) -> None:
    """A rosbag2 of the drawn street: pictures, calibration, odometry, tf and the known boxes."""
    street, rig = Street(seed=seed), load_rig(shipped("calibration/rigs/tiny3.yaml"))
    ticks = range(int(seconds * MOTION_HZ) + 1)
    with BagWriter(path, overwrite=True) as writer:
        writer.write_rig(rig, START_NS)
        for tick in track(ticks, "drawing", console=Console(stderr=True), transient=True):
            stamp = START_NS + tick * SECOND_NS // MOTION_HZ
            writer.write_motion(street.motion(stamp, START_NS))
            if tick % (MOTION_HZ // PICTURES_HZ) == 0:
                for image in street.pictures(rig, stamp, START_NS):
                    writer.write_image(image)
                writer.write_boxes(street.boxes(tick / MOTION_HZ), stamp)
