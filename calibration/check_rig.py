"""Look at a rig file before it drives: what every camera sees, and what no camera sees.

    python calibration/check_rig.py RIG.yaml [--image CAMERA=FILE ...] [--out DIR]

Prints the cameras, the checks and the coverage around the car. With --out it draws the rig from
above, and the ground grid with the horizon into the given images: the grid must lie on the road.
Exit code: 0, also when a check fails (read them); 3 when a file cannot be used.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from irl_vla.camera.preprocess import decode
from irl_vla.camera.projection import horizon_row, project, unproject
from irl_vla.camera.rig import Camera, Rig, load_rig
from irl_vla.foreign import read_whole
from irl_vla.frames import inverse, move
from irl_vla.paths import file_name
from irl_vla.types import U8, CameraImage, InputError
from irl_vla.vehicle import Vehicle
from irl_vla.view import drawing
from irl_vla.view.bev import paint_rig
from irl_vla.view.calibration_checks import judge
from irl_vla.view.camera import fit, paint_grid, paint_horizon

EXIT_BAD_INPUT = 3
RING_M = 15.0  # [m] coverage is asked for a person this far from the middle of the car ...
RING_HEIGHTS_M = (0.3, 0.8, 1.3)  # ... who counts as seen where any of these heights is
PAINT_WIDTH_PX = 1280
NAMES = {"ok": "ok  ", "warn": "LOOK", "bad": "BAD ", "unknown": "-   "}


@dataclass(frozen=True)
class Coverage:
    """Around the car, by whole degrees counted from straight ahead to the left.

    seen: (cameras, 360) whether a camera sees a person on the ring there
    """

    seen: NDArray[np.bool_]

    def gaps(self) -> list[tuple[int, int]]:
        """First and last degree [deg, -180..180] of every stretch that no camera sees."""
        blind = ~self.seen.any(axis=0)
        if blind.all():
            return [(-180, 179)]
        starts = np.flatnonzero(blind & ~np.roll(blind, 1))
        lengths = [int(np.argmin(np.roll(blind, -start))) for start in starts]
        return [
            (_signed(int(start)), _signed(int(start) + length - 1))
            for start, length in zip(starts, lengths, strict=True)
        ]


def coverage(rig: Rig) -> Coverage:
    """Which camera sees what of a ring around the middle of the car."""
    azimuth = np.radians(np.arange(360.0))
    middle = np.array([rig.vehicle.centre, 0.0])
    ring = middle + RING_M * np.stack([np.cos(azimuth), np.sin(azimuth)], axis=-1)
    heights = np.broadcast_to(np.array(RING_HEIGHTS_M)[:, None], (len(RING_HEIGHTS_M), 360))
    people = np.concatenate([np.broadcast_to(ring, (*heights.shape, 2)), heights[..., None]], -1)
    seen = [project(c, move(people, inverse(c.ego_from_cam))).visible.any(0) for c in rig.cameras]
    return Coverage(np.stack(seen))


def describe(camera: Camera) -> str:
    """One camera in one line: lens, field of view through the lens, place, view, horizon."""
    x, y, z = camera.position
    ahead = camera.ego_from_cam[:3, 2]
    yaw = np.degrees(np.arctan2(ahead[1], ahead[0]))
    pitch = np.degrees(np.arcsin(np.clip(-ahead[2], -1.0, 1.0)))
    turn = f"{abs(yaw):.1f}° to the {'left' if yaw >= 0 else 'right'}"
    tilt = f"{abs(pitch):.1f}° {'down' if pitch >= 0 else 'up'}"
    row = horizon_row(camera)
    horizon = "no horizon" if np.isnan(row) else f"horizon at row {row:.0f}"
    return (
        f"{camera.name:<16} {camera.width}x{camera.height} {camera.model}, view"
        f" {_lens_view(camera)}, at x {x:.2f} y {y:.2f} z {z:.2f} m, looks {turn} and {tilt},"
        f" {horizon}"
    )


def describe_vehicle(vehicle: Vehicle) -> str:
    """The car in one line: what guard, closed loop and pictures take it for."""
    return (
        f"{'vehicle':<16} {vehicle.length:.2f} x {vehicle.width:.2f} m,"
        f" {vehicle.front_length:.2f} m ahead of the rear axle and {vehicle.rear_length:.2f} m"
        f" behind it, axles {vehicle.wheel_base:.2f} m apart,"
        f" brakes with at most {vehicle.limits.max_braking:g} m/s²"
    )


def _lens_view(camera: Camera) -> str:
    """Angle across the middle row, and how much of the picture the lens model cannot explain."""
    columns, rows = np.meshgrid(
        np.linspace(0, camera.width - 1, 65), np.linspace(0, camera.height - 1, 37)
    )
    rays = unproject(camera, np.stack([columns, rows], axis=-1))
    known = np.asarray(np.isfinite(rays).all(axis=-1))
    middle = rays[18][known[18]]
    angle = np.degrees(np.arccos(np.clip(middle[0] @ middle[-1], -1, 1))) if len(middle) else 0.0
    blind = 100.0 * (1.0 - known.mean())
    if blind == 0.0:
        return f"{angle:.0f}°"
    return f"{angle:.0f}° ({blind:.0f} % of the picture lies beyond the lens model)"


def _signed(degree: int) -> int:
    return (degree + 180) % 360 - 180


def report(rig: Rig, sizes: dict[str, tuple[int, int]]) -> str:
    """Everything there is to say in words."""
    around = coverage(rig)
    total = int(around.seen.any(axis=0).sum())
    lines = [f"rig {rig.name}: {len(rig.cameras)} cameras, fingerprint {rig.fingerprint[:12]}", ""]
    lines += [describe(camera) for camera in rig.cameras]
    lines.append(describe_vehicle(rig.vehicle))
    verdict = judge(rig, sizes, (), {})
    lines += ["", verdict.sentence, ""]
    lines += [f"{NAMES[check.level]} {check.name}: {check.detail}" for check in verdict.checks]
    lines += ["", f"a person {RING_M:.0f} m from the car is seen over {total} of 360 degrees"]
    lines += [f"  no camera covers {a}° to {b}° (left is positive)" for a, b in around.gaps()]
    for i, first in enumerate(rig.cameras):
        for j in range(i + 1, len(rig.cameras)):
            both = int((around.seen[i] & around.seen[j]).sum())
            if both:
                lines.append(f"  {first.name} and {rig.cameras[j].name} share {both} degrees")
    return "\n".join(lines)


def read_images(rig: Rig, given: list[str]) -> dict[str, U8]:
    """CAMERA=FILE pairs -> camera -> (H, W, 3) RGB of the calibrated size."""
    images = {}
    for pair in given:
        name, mark, file = pair.partition("=")
        if not mark:
            raise InputError(f"--image {pair}: expected CAMERA=FILE")
        camera = rig.camera(name)
        if not Path(file).is_file():
            raise InputError(f"--image {pair}: no such file")
        picture = decode(CameraImage(name, 0, encoded=read_whole(Path(file))))
        height, width = picture.shape[:2]
        if (width, height) != (camera.width, camera.height):
            raise InputError(
                f"camera '{name}': image is {width}x{height}, rig says"
                f" {camera.width}x{camera.height}. Fix 'size' (and the intrinsics, which are for"
                " that size)"
            )
        images[name] = picture
    return images


def draw(rig: Rig, images: dict[str, U8], out: Path) -> list[Path]:
    """The rig from above and the grid in every image; returns the files."""
    out.mkdir(parents=True, exist_ok=True)
    pictures = {"rig_from_above": paint_rig(rig, 900)}
    for name, image in images.items():
        small, camera = fit(image, rig.camera(name), PAINT_WIDTH_PX)
        if camera is not None:
            paint_grid(small, camera)
            paint_horizon(small, camera)
            pictures[name] = small
    files = []
    for name, picture in pictures.items():
        files.append(out / file_name(name, ending=".png"))
        files[-1].write_bytes(drawing.png(picture))
    return files


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    first, *_, last = (__doc__ or "").strip().splitlines()
    parser = argparse.ArgumentParser(description=first, epilog=last)
    parser.add_argument("rig", type=Path, help="rig file (format: calibration/README.md)")
    parser.add_argument("--image", action="append", default=[], metavar="CAMERA=FILE")
    parser.add_argument("--out", type=Path, help="folder for drawings; made if absent")
    given = parser.parse_args(arguments)
    try:
        rig = load_rig(given.rig)
        images = read_images(rig, given.image)
        print(report(rig, {name: (im.shape[1], im.shape[0]) for name, im in images.items()}))
        if given.out is not None:
            print("", *draw(rig, images, given.out), sep="\n")
    except InputError as error:
        print(error, file=sys.stderr)
        return EXIT_BAD_INPUT
    except OSError as error:
        print(f"{error.filename}: cannot be used: {error.strerror}", file=sys.stderr)
        return EXIT_BAD_INPUT
    return 0


if __name__ == "__main__":
    sys.exit(main())
