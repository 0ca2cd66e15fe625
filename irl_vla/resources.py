"""Files that come with the software: presets, the rule bundle, rigs, message definitions.

They lie in the package's folder `_shipped`: in a source checkout as links to the folders where
people edit them, in an installed wheel as the files themselves. So one path serves both.
May import: types.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import metadata
from pathlib import Path

from irl_vla import __version__
from irl_vla.types import InputError

_SHIPPED = Path(__file__).parent / "_shipped"


def resource(name: str) -> Path:
    """Path of a file or folder: "models/rule", "models/presets", "calibration/rigs/tiny3.yaml" or
    "msg". Raises InputError where it is missing."""
    path = _SHIPPED / name
    if not path.exists():
        raise InputError(
            f"'{name}' did not come with this installation: expected {path}. Install irl-vla again"
        )
    return path.resolve()


NUMERIC = ("numpy", "numba", "scipy", "onnxruntime")  # packages whose version can change a result


@cache
def software() -> dict[str, str]:
    """Which code runs: our version with a hash of the package's own source files, and the versions
    of NUMERIC packages."""
    digest = hashlib.sha256()
    root = Path(__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    ours = f"{__version__}+{digest.hexdigest()[:16]}"
    return {"irl-vla": ours} | {name: metadata.version(name) for name in NUMERIC}


def is_shipped(path: Path) -> bool:
    """Whether a file or folder came with the installed software, not from a user."""
    return path.resolve().is_relative_to(_SHIPPED)
