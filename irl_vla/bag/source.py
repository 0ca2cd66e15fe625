"""Anything a person can record -> one interface: a bag, a DGP clip, nuScenes, comma2k19.

Your own folder format: a Source, and `READERS["mine"] = Reader(is_mine, open_mine)`
(docs/extending.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol

from irl_vla.bag.bag import open_bag
from irl_vla.bag.bag_info import BagInfo
from irl_vla.bag.comma2k19 import is_comma2k19, open_comma2k19
from irl_vla.bag.dgp import DgpSource, is_dgp
from irl_vla.bag.nuscenes_info import is_nuscenes, open_nuscenes
from irl_vla.camera.rig import Rig
from irl_vla.messages.events import Event
from irl_vla.messages.topics import Topics
from irl_vla.types import Boxes3D, InputError


class Source(Protocol):
    """A recording. A context manager; `close` frees what it holds."""

    @property
    def name(self) -> str:
        """Short name for titles and files."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is damaged or left out, as far as has been read."""

    def info(self) -> BagInfo:
        """What is in it, and what replay would lack."""

    def rig(self) -> Rig:
        """The calibrated cameras. Raises InputError that says what is missing."""

    def events(self) -> Iterator[Event]:
        """CameraImage, EgoMotion, Intent, StampedBoxes and Notice, in the order of recording; may
        be called again."""

    def boxes_at(self, stamp_ns: int) -> Boxes3D | None:
        """Known things in the ego frame, nearest to a stamp and within 60 ms; None where there are
        none."""

    def close(self) -> None:
        """Free what is held."""

    def __enter__(self) -> Source:
        """Itself."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""


class Reader(NamedTuple):
    """A folder format. open: raises InputError for a folder that it recognises and cannot use."""

    recognises: Callable[[Path], bool]
    open: Callable[[Path], Source]


READERS: dict[str, Reader] = {  # asked in this order; what none recognises is opened as a bag
    "nuscenes": Reader(is_nuscenes, open_nuscenes),
    "comma2k19": Reader(is_comma2k19, open_comma2k19),
}


def open_source(
    path: Path | str, topics: Topics | Path | str | None = None, *, odometry: str | None = None,
    camera_delay_ns: int = 0,
) -> Source:  # fmt: skip
    """Open any recording. topics, odometry, camera_delay_ns: for bags, see `open_bag`. Raises
    InputError."""
    folder = Path(path)
    for name, reader in READERS.items():
        if reader.recognises(folder):
            if topics is not None or odometry is not None or camera_delay_ns:
                what = "--topics, --odometry and --camera-delay-ms are for bags"
                raise InputError(f"{path}: a folder of {name}: {what}")
            return reader.open(folder)
    bag = open_bag(folder, topics, odometry=odometry, camera_delay_ns=camera_delay_ns)
    if not is_dgp(folder):
        return bag
    try:
        return DgpSource(folder, bag)
    except InputError:
        bag.close()
        raise
