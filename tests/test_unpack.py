"""A small file that would unpack to gigabytes is refused, and memory never holds them."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from memory_peak import SLACK, peak_bytes

from irl_vla.scoring.batch import load_proposals
from irl_vla.scoring.scene_io import read_scenes
from irl_vla.types import InputError
from irl_vla.unpack import MAX_BYTES, gunzipped, pieces, read_npz

GIB = 2**30


def zeros_gz(gibibytes: int) -> bytes:
    """gzip of so many gibibytes of zeros: members of 64 MiB, one after the other."""
    return gzip.compress(bytes(2**26), 9, mtime=0) * (16 * gibibytes)


def zeros_npz(path: Path, gibibytes: int, honest: bool = True) -> Path:
    """One array of zeros; not honest: the directory says it is small."""
    piece = bytes(2**26)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        head = io.BytesIO()
        shape = (gibibytes * GIB // 24, 8, 3)
        np.lib.format.write_array_header_1_0(
            head, {"descr": "|i1", "fortran_order": False, "shape": shape}
        )
        with archive.open("trajectories.npy", "w", force_zip64=True) as entry:
            entry.write(head.getvalue())
            for _ in range(16 * gibibytes):
                entry.write(piece)
        if not honest:
            archive.infolist()[0].file_size = 1000
    return path


REFUSED = """
from irl_vla.types import InputError
from pathlib import Path
{imports}
try:
    {call}
except InputError as error:
    assert "{words}" in str(error) and sys.argv[1] in str(error), error
else:
    raise SystemExit("not refused")
"""


def test_a_gzip_bomb_is_refused_and_memory_stays_bounded(tmp_path: Path) -> None:
    bomb = tmp_path / "scenes.json.gz"
    bomb.write_bytes(zeros_gz(3))
    assert bomb.stat().st_size < 4_000_000
    code = REFUSED.format(
        imports="from irl_vla.unpack import gunzipped",
        call="gunzipped(Path(sys.argv[1]).read_bytes(), sys.argv[1])",
        words="unpacks to more than",
    )
    assert peak_bytes(code, bomb) < MAX_BYTES + SLACK
    with pytest.raises(InputError, match=rf"^{bomb}: unpacks to more than {MAX_BYTES} bytes"):
        read_scenes(bomb)


@pytest.mark.parametrize("honest", [True, False])
def test_an_npz_bomb_is_refused_and_memory_stays_bounded(tmp_path: Path, honest: bool) -> None:
    bomb = zeros_npz(tmp_path / "plans.npz", 1, honest)
    assert bomb.stat().st_size < 8_000_000
    code = REFUSED.format(
        imports="from irl_vla.scoring.batch import load_proposals",
        call="load_proposals(Path(sys.argv[1]))",
        words="unpack to" if honest else "not a readable .npz",
    )
    assert peak_bytes(code, bomb) < SLACK


@pytest.mark.parametrize("shape", [(2**40, 8, 3), (2**60, 8, 3)])
def test_an_array_whose_shape_promises_more_than_there_is_is_refused(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "<f8", "fortran_order": False, "shape": shape}
    )
    with zipfile.ZipFile(tmp_path / "plans.npz", "w") as archive:
        archive.writestr("trajectories.npy", head.getvalue() + bytes(192))
    with pytest.raises(InputError, match=r"plans\.npz: not a readable \.npz"):
        load_proposals(tmp_path / "plans.npz")


def test_what_fits_comes_through_unchanged(tmp_path: Path) -> None:
    text = json.dumps({"a": [1, 2]}).encode()
    assert gunzipped(text, "x") == gunzipped(gzip.compress(text), "x") == text
    arrays = {"a": np.arange(24.0).reshape(1, 8, 3), "b": np.zeros((0, 8, 3), np.float16)}
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    back = read_npz(tmp_path / "a.npz")
    assert back.keys() == arrays.keys()
    assert all(np.array_equal(back[name], arrays[name]) for name in arrays)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_the_limit_counts_bytes_that_came_out(pack: Callable[[bytes], bytes]) -> None:
    open_: Any = gzip.open if pack is gzip.compress else bz2.open
    packed = pack(bytes(5000))

    def unpacked(limit: int) -> bytes:
        with open_(io.BytesIO(packed)) as stream:
            return b"".join(pieces(stream, limit, "here"))

    assert unpacked(5000) == bytes(5000)
    with pytest.raises(InputError, match="here: unpacks to more than 4999 bytes"):
        unpacked(4999)


@pytest.mark.parametrize(
    "damage", [b"\x1f\x8b\x08 torn", b"\x1f\x8b", gzip.compress(b"x" * 99)[:-9]]
)
def test_a_damaged_gzip_is_a_sentence(damage: bytes) -> None:
    with pytest.raises(InputError, match=r"^here: the gzip stream is damaged or cut short"):
        gunzipped(damage, "here")
