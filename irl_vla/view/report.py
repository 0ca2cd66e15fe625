"""What stands on a page, and the page itself: one HTML file that needs no network.

Pictures are WebP in base64, plots are inline SVG, the script is a few lines of plain JavaScript.
The same page value gives the same bytes. May import: types.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from irl_vla.drafts import DraftFolder
from irl_vla.types import InputError

LEVELS = ("ok", "warn", "bad", "unknown")
FLAT = 3.6  # width over height from which cameras take the whole width of the page


@dataclass(frozen=True)
class Fact:
    """One line of "what is this": name and value, both plain text."""

    name: str
    value: str


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. level: "ok", "warn", "bad", or "unknown" = not checked.

    value, bound: what was found and what it may be, in words with units, "" where it is no number
    pairs: how many images, pairs of them, or pairs of measurements it rests on
    """

    level: str
    name: str
    detail: str
    value: str = ""
    bound: str = ""
    pairs: int = 0

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise ValueError(f"check '{self.name}': level is one of {LEVELS}, got '{self.level}'")


@dataclass(frozen=True)
class Verdict:
    """What the checks say together, in one sentence, and the checks themselves."""

    level: str
    sentence: str
    checks: tuple[Check, ...] = ()

    @property
    def answer(self) -> str:
        """ "yes", "no" or "not enough"."""
        return answer_of(self.level)


def answer_of(level: str) -> str:
    """A level as the answer to "can it be trusted?": "yes", "no" or "not enough" to say."""
    return {"ok": "yes", "bad": "no"}.get(level, "not enough")


class TileBox(NamedTuple):
    """Where one camera stands in a picture of all, in parts of its width and height."""

    left: float
    top: float
    width: float
    height: float
    camera: str


@dataclass(frozen=True)
class PageFrame:
    """One anchor on the page.

    time_s: since the first anchor; cameras, bev: WebP files, or None where there is nothing to see
    caption: one sentence; level: "ok", "warn" or "bad", the colour of its mark on the slider
    stamp_ns: of the anchor; number: of the frame in the recording, from 1
    motion: speed and yaw rate then, for people; place: x, y of the ego in its world [m], or None
    tiles: (left, top, width, height, camera) of each camera in `cameras`, as parts of it
    driven, driven_above: the way that was driven, as points of SVG lines in parts of the picture
    """

    time_s: float
    caption: str
    cameras: bytes | None
    bev: bytes | None
    level: str = "ok"
    stamp_ns: int = 0
    number: int = 1
    motion: str = ""
    place: tuple[float, float] | None = None
    tiles: tuple[TileBox, ...] = ()
    driven: tuple[str, ...] = ()
    driven_above: tuple[str, ...] = ()


@dataclass(frozen=True)
class PageFigure:
    """One figure. svg: inline SVG without links (see view/plots.py); note: what to look for.

    An svg with data-time="left right t0 t1" is a plot over time: its axis spans these parts of the
    width and these seconds; one with data-path="left right bottom top x0 x1 y0 y1" is the way."""

    title: str
    svg: str
    note: str = ""


@dataclass(frozen=True)
class PageTable:
    """A table of plain text; columns named in `numeric` are right-aligned."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class LegendEntry:
    """One entry of a legend. shape: "area", "box", "dashed", "line", "thick"; color: "#rrggbb"."""

    shape: str
    color: str
    text: str


@dataclass(frozen=True)
class Legend:
    """What the colours of a picture mean, under one heading."""

    title: str
    keys: tuple[LegendEntry, ...]
    note: str = ""


@dataclass(frozen=True)
class ShowPage:
    """What `irl-vla show` found in a source. rig: WebP of the rig from above, or None."""

    title: str
    facts: tuple[Fact, ...]
    verdict: Verdict
    frames: tuple[PageFrame, ...] = ()
    frames_note: str = ""
    rig: bytes | None = None
    plots: tuple[PageFigure, ...] = ()
    tables: tuple[PageTable, ...] = ()
    missing: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReplayPage:
    """What `irl-vla replay` did with a bag. Made by view/replay_page.py: ReplayPageBuilder.

    banner: what a reader must know before looking at the plans, or empty; verdict: of the
    recording's calibration, as `irl-vla show` gives it
    """

    title: str
    facts: tuple[Fact, ...]
    banner: str = ""
    verdict: Verdict | None = None
    legends: tuple[Legend, ...] = ()
    frames: tuple[PageFrame, ...] = ()
    frames_note: str = ""
    plots: tuple[PageFigure, ...] = ()
    tables: tuple[PageTable, ...] = ()
    warnings: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class DrivePage:
    """What a policy did in the built-in world. Made by view/drive_page.py: DrivePageBuilder.

    verdict: how the drive ended and what it is worth
    """

    title: str
    facts: tuple[Fact, ...]
    verdict: Verdict
    banner: str = ""
    legends: tuple[Legend, ...] = ()
    frames: tuple[PageFrame, ...] = ()
    frames_note: str = ""
    plots: tuple[PageFigure, ...] = ()
    tables: tuple[PageTable, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class TablesPage:
    """Numbers of many drives or scenes. kind: what they are, for the title of the window."""

    kind: str
    title: str
    facts: tuple[Fact, ...]
    tables: tuple[PageTable, ...]
    note: str = ""


def write_tables_page(page: TablesPage, path: Path) -> None:
    """Write one HTML file; an older one is replaced in one step, or left alone if writing fails."""
    replace_file(path, rendered("tables.html.j2", page).encode())


def write_show_page(page: ShowPage, path: Path) -> None:
    """Write one HTML file; an older one is replaced in one step, or left alone if writing fails."""
    replace_file(path, rendered("show.html.j2", page).encode())


def write_replay_page(page: ReplayPage, path: Path) -> None:
    """Write one HTML file; an older one is replaced in one step, or left alone if writing fails."""
    replace_file(path, rendered("replay.html.j2", page).encode())


def write_drive_page(page: DrivePage, path: Path) -> None:
    """Write one HTML file; an older one is replaced in one step, or left alone if writing fails."""
    replace_file(path, rendered("drive.html.j2", page).encode())


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside, to be written in the `with`, that then takes the place of `path`: nobody ever
    sees half a file, and an older one is left alone if anything fails. Raises InputError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with DraftFolder(path.parent) as draft:
            beside = draft / path.name
            yield beside
            beside.replace(path)
    except OSError as error:
        text = f"{path}: cannot be written: {error.strerror}. Choose another folder"
        raise InputError(text) from None


def replace_file(path: Path, data: bytes) -> None:
    """Write a whole file, see `replacing`."""
    with replacing(path) as beside:
        beside.write_bytes(data)


def rendered(template: str, page: object) -> str:
    """A page as HTML. template: one of the *.html.j2 beside this file, which reads `page`."""
    pages = Environment(
        loader=PackageLoader("irl_vla", "view"), undefined=StrictUndefined,
        autoescape=select_autoescape(default=True), trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    pages.filters["picture"] = lambda data: "data:image/webp;base64," + _base64(data)
    pages.tests["flat"] = lambda frame: frame.cameras and webp_aspect(frame.cameras) > FLAT
    pages.filters["clock"] = clock
    pages.filters["exact"] = lambda value: f"{value:.3f}"
    pages.filters["tiles"] = lambda boxes: ";".join(
        f"{b.left:.5f} {b.top:.5f} {b.width:.5f} {b.height:.5f} {b.camera}" for b in boxes
    )
    pages.filters["as_svg"] = Markup  # ours, from view/plots.py, which escapes what it is given
    return pages.get_template(template).render(page=page)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def webp_aspect(data: bytes) -> float:
    """Width over height of a lossy WebP file, from its frame header (RFC 6386, section 9.1)."""
    width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (26, 28))
    return round(width / height, 4)


def clock(seconds: float) -> str:
    """12.3 -> "0:12.3"."""
    minutes, rest = divmod(round(seconds, 1), 60.0)
    return f"{int(minutes)}:{rest:04.1f}"


def join_words(words: Sequence[str]) -> str:
    """("a", "b", "c") -> "a, b and c"."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
