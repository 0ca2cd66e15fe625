"""A recorded drive of a policy that sees, replayed: the same plans, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli_bags import command

from irl_vla.bag.bag import open_bag
from irl_vla.bag.bag_writer import BagWriter
from irl_vla.bag.drive_record import DriveRecord, read_drive_record, refuse_other_calibration
from irl_vla.camera.rig import load_rig
from irl_vla.engine.bundle import Bundle
from irl_vla.resources import resource
from irl_vla.types import InputError

TINY3 = resource("calibration/rigs/tiny3.yaml")
SEED = 7


@pytest.fixture(scope="module")
def rig_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tiny3 on a narrower car: neither CameraInfo nor tf says that."""
    path = tmp_path_factory.mktemp("rig") / "narrow.yaml"
    path.write_text(TINY3.read_text() + "\nvehicle: {width: 1.9}\n")
    return path


@pytest.fixture(scope="module")
def driven(tmp_path_factory: pytest.TempPathFactory, nano: Bundle, rig_file: Path) -> Path:
    folder = tmp_path_factory.mktemp("drive")
    ran = command(
        "drive", "--bundle", str(nano.root), "--seed", str(SEED), "--route-length", "15",
        "--rig", str(rig_file), "--bag", str(folder / "bag"), "--out", str(folder / "out"),
    )  # fmt: skip
    assert ran.code == 0, ran.stderr
    return folder


def test_a_policy_that_sees_plans_the_same_bits_from_the_recording(
    nano: Bundle, driven: Path, tmp_path: Path
) -> None:
    words = ("replay", str(driven / "bag"), "--bundle", str(nano.root), "--out", str(tmp_path))
    assert command(*words).code == 0
    there = (driven / "out" / "plans.jsonl").read_text().splitlines()
    here = (tmp_path / "plans.jsonl").read_text().splitlines()
    assert len(here) == len(there) > 10
    assert sum(a != b for a, b in zip(here, there, strict=True)) == 0


@pytest.mark.parametrize("follow", ["bag", "out/plans.mcap"])
def test_the_recording_itself_can_be_followed_as_the_help_says(
    nano: Bundle, driven: Path, tmp_path: Path, follow: str
) -> None:
    ran = command(
        "replay", str(driven / "bag"), "--bundle", str(nano.root), "--out", str(tmp_path),
        "--follow", str(driven / follow),
    )  # fmt: skip
    assert ran.code == 0, ran.stdout + ran.stderr
    assert "largest difference 0.000000 m" in ran.stdout


def test_the_seed_and_the_rig_are_in_the_recording(driven: Path, rig_file: Path) -> None:
    record = read_drive_record(driven / "bag")
    assert record is not None and record.seed == SEED
    rig, wanted = record.rig(), load_rig(rig_file)
    assert rig.content_hash == wanted.content_hash and rig.names == wanted.names
    assert rig.vehicle == wanted.vehicle
    with open_bag(driven / "bag") as bag:
        refuse_other_calibration(rig, bag.rig(), "here")


def test_two_calibrations_in_one_recording_that_disagree_are_refused(tmp_path: Path) -> None:
    rig = load_rig(TINY3)
    other = load_rig(resource("calibration/rigs/tiny3.yaml"))
    moved = np.array(other.cameras[0].ego_from_cam)
    moved[0, 3] += 0.01
    record = DriveRecord.of(rig, 3)
    first = record.cameras[0]
    changed = type(first)(**{**vars(first), "ego_from_cam": tuple(moved.ravel())})
    again = type(record)(**{**vars(record), "cameras": (changed, *record.cameras[1:])})
    with pytest.raises(InputError, match=f"disagree about camera '{first.name}'.*--rig"):
        refuse_other_calibration(again.rig(), rig, "bag")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"seed": 1}', "[" * 10_000, "x" * 2_000_000])
def test_a_damaged_record_is_a_sentence(tmp_path: Path, text: str) -> None:
    from irl_vla.bag import drive_record
    from irl_vla.messages.messages import new

    with BagWriter(tmp_path / "x.mcap") as writer:
        message = new(drive_record.MSGTYPE, data=text)
        writer.write(drive_record.TOPIC, drive_record.MSGTYPE, message, 1)
    with pytest.raises(InputError, match="/irl_vla/drive") as caught:
        read_drive_record(tmp_path / "x.mcap")
    assert len(str(caught.value)) < 600
