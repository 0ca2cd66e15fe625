"""What a bundle says about itself: the shape of `manifest.json`, and its one canonical spelling.

Equal manifests have equal bytes: keys sorted, ASCII, one space of indentation, a newline at the
end. So the hash of the bytes is the identity of the bundle. models/README.md describes the format.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NoReturn

from irl_vla.config import from_mapping, named
from irl_vla.language.commands import PATH_COMMANDS, SPEED_COMMANDS
from irl_vla.perception.preset import AGENT_CLASSES, MAP_CLASSES, SEG_CLASSES, Preset
from irl_vla.perception.tokens import SCENE_TOKENS, GraphIo, TensorSpec, bev_io, camera_io
from irl_vla.planner.policies import POLICIES
from irl_vla.planner.tensors import planner_io
from irl_vla.types import InputError

FORMAT = "irl-vla-bundle/1"
MANIFEST = "manifest.json"
ENGINES = "engines"  # folder of built engines, outside the hash, with its own index
NETWORK = "network"  # kind of the bundles that hold networks
MAX_MANIFEST_BYTES = 1 << 20  # real ones have a few kB
MAX_IMAGES = 8  # in one batch of the camera graph: as many as a rig has cameras (camera.rig)
GRAPHS = ("camera", "bev", "planner")

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """One source file: its size [bytes] and the SHA-256 of its content, hexadecimal."""

    bytes: int
    sha256: str

    def __post_init__(self) -> None:
        if not _SHA256.fullmatch(self.sha256) or self.bytes < 0:
            raise ValueError(
                f"file entry: expected 64 hexadecimal digits and a size, got '{self.sha256}' and "
                f"{self.bytes}"
            )


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One graph at one precision. golden: npz with known inputs and outputs; tolerance: largest
    allowed difference of an output, relative to that output's largest magnitude."""

    onnx: str
    golden: str
    tolerance: float

    def __post_init__(self) -> None:
        if not 0.0 < self.tolerance < 1.0:
            raise ValueError(f"tolerance: expected between 0 and 1, got {self.tolerance}")


@dataclass(frozen=True, kw_only=True)
class GraphSpec:
    """What enters and leaves a graph, and its variants by precision ("fp32", "int8-trt", ..)."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    variants: dict[str, Variant]


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """Names of the classes, in the order of their indices."""

    agents: tuple[str, ...] = AGENT_CLASSES
    map: tuple[str, ...] = MAP_CLASSES
    seg: tuple[str, ...] = SEG_CLASSES
    speed: tuple[str, ...] = SPEED_COMMANDS
    path: tuple[str, ...] = PATH_COMMANDS


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """A data set that the weights were trained on."""

    name: str
    licence: str


@dataclass(frozen=True, kw_only=True)
class Quantisation:
    """How the low-precision variants were made; `report` is one of the bundle's files."""

    method: str
    report: str


@dataclass(frozen=True, kw_only=True)
class NetworkPart:
    """What a network bundle has and others have not.

    preset: sizes, with the images' normalisation and the geometry of the BEV
    weights: safetensors file; equality: JSON file, torch against each variant as measured
    """

    scene_tokens: str
    preset: Preset
    vocabulary: Vocabulary
    graphs: dict[str, GraphSpec]
    weights: str
    equality: str
    seed: int  # of the initial weights
    quantisation: Quantisation | None = None


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """See models/README.md. parameters: YAML file of a policy without network; network: else.

    Exactly one of the two is there, as `kind` says.
    """

    format: str
    kind: str  # NETWORK, or a name of POLICIES
    name: str
    made_by: str  # "irl-vla 0.1.0"
    trained: bool
    files: dict[str, FileEntry]
    parameters: str | None = None
    network: NetworkPart | None = None
    training_run: str | None = None
    training_data: tuple[DataSource, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ValueError(f"format: expected '{FORMAT}', got '{self.format}'")
        has = (self.parameters is not None, self.network is not None)
        named({NETWORK: None, **POLICIES}, self.kind, "kind")
        if has != (self.kind != NETWORK, self.kind == NETWORK):
            raise ValueError(
                f"kind '{self.kind}': expected "
                f"{'network' if self.kind == NETWORK else 'parameters'} and only that"
            )
        for name in self.files:
            refuse_path(name)
        for name in self.needed():
            if name not in self.files:
                raise ValueError(f"file '{name}' is needed but not listed under 'files'")
        if self.network is not None:
            _check_network(self.network)

    def needed(self) -> tuple[str, ...]:
        """Every file that some entry of the manifest refers to."""
        if self.network is None:
            return (str(self.parameters),)
        variants = [v for graph in self.network.graphs.values() for v in graph.variants.values()]
        report = () if self.network.quantisation is None else (self.network.quantisation.report,)
        files = [name for variant in variants for name in (variant.onnx, variant.golden)]
        return (self.network.weights, self.network.equality, *files, *report)


def refuse_path(name: str) -> None:
    """ValueError unless `name` is a plain relative path of a source file inside the bundle."""
    parts = name.split("/")
    if not _NAME.fullmatch(name) or parts[0] in {ENGINES, MANIFEST}:
        raise ValueError(
            f"file '{name}': expected a plain relative path of letters, digits, '.', '_', '-' "
            f"and '/', not under {ENGINES}/"
        )


def graph_ios(preset: Preset) -> dict[str, GraphIo]:
    """What enters and leaves each graph of a preset, as this version of the library has it."""
    return {io.graph: io for io in (camera_io(preset), bev_io(preset), planner_io(preset))}


def _check_network(network: NetworkPart) -> None:
    """ValueError where the bundle and this library would mean different things."""
    if network.scene_tokens != SCENE_TOKENS:
        raise ValueError(
            f"scene_tokens: this version reads '{SCENE_TOKENS}', got '{network.scene_tokens}'"
        )
    if network.vocabulary != Vocabulary():
        raise ValueError("vocabulary: its class names differ from those of this version")
    expected = graph_ios(network.preset)
    if set(network.graphs) != set(expected):
        raise ValueError(
            f"graphs: expected {', '.join(sorted(expected))}, got {', '.join(network.graphs)}"
        )
    for name, graph in network.graphs.items():
        _check_tensors(name, "inputs", graph.inputs, expected[name].inputs)
        _check_tensors(name, "outputs", graph.outputs, expected[name].outputs)
        if not graph.variants:
            raise ValueError(f"graph '{name}': expected at least one variant such as 'fp32'")


def _check_tensors(
    graph: str, side: str, got: tuple[TensorSpec, ...], expected: tuple[TensorSpec, ...]
) -> None:
    names = [[tensor.name for tensor in tensors] for tensors in (expected, got)]
    if names[0] != names[1]:
        raise ValueError(f"graph '{graph}', {side}: expected {names[0]}, got {names[1]}")
    for want, have in zip(expected, got, strict=True):
        if want != have:
            raise ValueError(
                f"graph '{graph}', {side}, '{want.name}': the preset asks for {want.dtype} "
                f"{list(want.shape)}, got {have.dtype} {list(have.shape)}"
            )


def to_bytes(manifest: Manifest) -> bytes:
    """The one canonical spelling."""
    text = json.dumps(asdict(manifest), sort_keys=True, ensure_ascii=True, indent=1)
    return f"{text}\n".encode("ascii")


def from_bytes(content: bytes, where: str) -> Manifest:
    """Canonical bytes -> Manifest. Raises InputError; there is no second spelling of a manifest."""
    try:
        data = json.loads(content.decode("ascii"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not a JSON manifest: {error}") from None
    if not isinstance(data, Mapping):
        raise InputError(f"{where}: expected a JSON object, got {type(data).__name__}")
    _refuse_other_format(data, where)
    manifest = from_mapping(Manifest, data, where)
    if to_bytes(manifest) != content:
        raise InputError(
            f"{where}: not in canonical spelling (sorted keys, one space of indentation, every "
            f"setting present). It was edited by hand, or made by another version "
            f"('{manifest.made_by}'). Export the bundle again"
        )
    return manifest


def _refuse_other_format(data: Mapping[str, Any], where: str) -> None:
    """Said first: another format would otherwise be reported as some unknown setting."""
    if data.get("format") != FORMAT:
        raise InputError(
            f"{where}: format: expected '{FORMAT}', got {data.get('format')!r}. Export the bundle "
            "with this version of irl-vla, or use the version that made it"
        )


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
