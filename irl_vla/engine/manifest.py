"""What a bundle says about itself: the shape of `manifest.json`, and how it is written.

The hash of the bytes as stored is the identity of the bundle. What this library writes has one
spelling: keys sorted, ASCII, one space of indentation, a newline at the end, and no setting that
has its default. So a setting that a later version adds changes no bundle that does without it; and
therefore a default never changes. models/README.md describes the format and how it may grow.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from typing import Any, NoReturn

from irl_vla import __version__
from irl_vla.config import UnknownSetting, from_json, named
from irl_vla.foreign import brief, cut, without_twins
from irl_vla.language.commands import PATH_COMMANDS, SPEED_COMMANDS
from irl_vla.perception.classes import CLASSES, SceneClasses
from irl_vla.perception.preset import Preset
from irl_vla.perception.tokens import (
    FIRST_TOKENS,
    READABLE_TOKENS,
    GraphIo,
    TensorSpec,
    bev_io,
    camera_io,
)
from irl_vla.planner.policies import POLICIES
from irl_vla.planner.tensors import planner_io
from irl_vla.types import InputError

FORMAT = "irl-vla-bundle/2"
FAMILY = "irl-vla-bundle/"
MANIFEST = "manifest.json"
ENGINES = "engines"  # folder of built engines, outside the hash, with its own index
NETWORK = "network"  # kind of the bundles that hold networks
MAX_MANIFEST_BYTES = 1 << 20  # real ones have a few kB
LONGEST_NAME = 100  # characters of a bundle's name
MAX_IMAGES = 8  # in one batch of the camera graph: as many as a rig has cameras (camera.rig)
GRAPHS = ("camera", "bev", "planner")  # that every network bundle has
OPTIONAL_GRAPHS = ("language", "reward")  # that it may have
MAX_TOLERANCE = 0.05  # of golden answers: a bundle that asks for more calls a fault a rounding
MAX_TOLERANCES = {"fp32": 0.005}  # of variants that need less: processors add in other orders

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
        if not 0.0 < self.tolerance <= MAX_TOLERANCE:
            raise ValueError(
                f"tolerance: expected above 0 and at most {MAX_TOLERANCE}, got {self.tolerance}"
            )


@dataclass(frozen=True, kw_only=True)
class GraphSpec:
    """What enters and leaves a graph, and its variants by precision ("fp32", "int8-trt", ..)."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    variants: dict[str, Variant]

    def __post_init__(self) -> None:
        for name, variant in self.variants.items():
            limit = MAX_TOLERANCES.get(name, MAX_TOLERANCE)
            if variant.tolerance > limit:
                raise ValueError(
                    f"variant '{name}': tolerance: expected at most {limit}, got "
                    f"{variant.tolerance}"
                )


@dataclass(frozen=True, kw_only=True)
class Vocabulary(SceneClasses):
    """Names of the classes, in the order of their indices; also of the Command's. A list has no
    default: a bundle keeps its own words when this version learns new ones."""

    speed: tuple[str, ...]
    path: tuple[str, ...]

    @staticmethod
    def of(classes: SceneClasses) -> Vocabulary:
        """These classes, and the commands of this version."""
        return Vocabulary(
            agents=classes.agents, map=classes.map, seg=classes.seg,
            speed=SPEED_COMMANDS, path=PATH_COMMANDS,
        )  # fmt: skip


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
    graphs: GRAPHS, and of OPTIONAL_GRAPHS those that it has
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

    def variants(self) -> tuple[Variant, ...]:
        """Of all graphs, at every precision."""
        return tuple(v for graph in self.graphs.values() for v in graph.variants.values())


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
        if not (1 <= len(self.name) <= LONGEST_NAME and self.name.isprintable()):
            raise ValueError(
                f"name: expected 1 to {LONGEST_NAME} printable characters, got {brief(self.name)}"
            )
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
        variants = self.network.variants()
        report = () if self.network.quantisation is None else (self.network.quantisation.report,)
        files = [name for variant in variants for name in (variant.onnx, variant.golden)]
        return (self.network.weights, self.network.equality, *files, *report)

    def onnx_files(self) -> tuple[str, ...]:
        """The graphs, at every precision."""
        variants = () if self.network is None else self.network.variants()
        return tuple(variant.onnx for variant in variants)

    def label(self, taken: Iterable[str]) -> str:
        """Its name in a table beside others: never one of theirs, whatever it is called."""
        others = {_as_read(name) for name in taken}
        return f"{self.name} (bundle)" if _as_read(self.name) in others else self.name


def _as_read(name: str) -> str:
    """A name as a reader takes it."""
    return " ".join(name.replace("_", " ").split()).casefold()


def refuse_path(name: str) -> None:
    """ValueError unless `name` is a plain relative path of a source file inside the bundle."""
    parts = name.split("/")
    if not _NAME.fullmatch(name) or parts[0] in {ENGINES, MANIFEST}:
        raise ValueError(
            f"file '{name}': expected a plain relative path of letters, digits, '.', '_', '-' "
            f"and '/', not under {ENGINES}/"
        )


def graph_ios(preset: Preset, classes: SceneClasses = CLASSES) -> dict[str, GraphIo]:
    """What enters and leaves each graph, as this version of the library exports it."""
    ios = (camera_io(preset), bev_io(preset, classes), planner_io(preset))
    return {io.graph: io for io in ios}


def _check_network(network: NetworkPart) -> None:
    """ValueError where the bundle and this library would mean different things. Sizes and classes
    are the bundle's own; this version asks for the tensors that it fills and reads."""
    if network.scene_tokens not in READABLE_TOKENS:
        raise ValueError(
            f"scene_tokens: this version reads '{', '.join(READABLE_TOKENS)}', got "
            f"'{network.scene_tokens}'. A newer version of irl-vla is needed"
        )
    _check_names(network.graphs)
    for name, io in graph_ios(network.preset, network.vocabulary).items():
        graph = network.graphs[name]
        _check_tensors(name, "inputs", graph.inputs, io.inputs, io.optional)
        for tensor in graph.inputs:
            if tensor.name not in {known.name for known in io.inputs}:
                raise ValueError(
                    f"graph '{name}', inputs: this version knows no '{tensor.name}'. "
                    f"A newer version of irl-vla is needed"
                )
        older = network.scene_tokens == FIRST_TOKENS
        optional = io.optional if older else io.optional - {"closed"}  # what /2 is for
        _check_tensors(name, "outputs", graph.outputs, io.outputs, optional)


def _check_names(graphs: dict[str, GraphSpec]) -> None:
    for name in GRAPHS:
        if name not in graphs:
            raise ValueError(f"graphs: expected {', '.join(GRAPHS)}, got {', '.join(graphs)}")
    for name, graph in graphs.items():
        if name not in (*GRAPHS, *OPTIONAL_GRAPHS):
            raise ValueError(
                f"graphs: this version knows no '{name}', only {', '.join(GRAPHS)}, and "
                f"optionally {', '.join(OPTIONAL_GRAPHS)}. A newer version of irl-vla is needed"
            )
        if not graph.variants:
            raise ValueError(f"graph '{name}': expected at least one variant such as 'fp32'")


def _check_tensors(
    graph: str, side: str, got: tuple[TensorSpec, ...], needed: tuple[TensorSpec, ...],
    optional: frozenset[str],
) -> None:  # fmt: skip
    """Each tensor that is needed must be there, as the bundle's own preset and vocabulary say.
    Others are a newer bundle's business."""
    there = {tensor.name: tensor for tensor in got}
    for want in needed:
        have = there.get(want.name)
        if have is None and want.name not in optional:
            raise ValueError(
                f"graph '{graph}', {side}: '{want.name}' is missing, got {', '.join(there)}"
            )
        if have is not None and have != want:
            raise ValueError(
                f"graph '{graph}', {side}, '{want.name}': the bundle's preset and vocabulary ask "
                f"for {want.dtype} {list(want.shape)}, got {have.dtype} {list(have.shape)}"
            )


def to_bytes(manifest: Manifest) -> bytes:
    """The one spelling in which this library writes."""
    text = json.dumps(_spelled(manifest), sort_keys=True, ensure_ascii=True, indent=1)
    return f"{text}\n".encode("ascii")


def _spelled(value: Any) -> Any:
    """A value as JSON has it, without the settings that have their default."""
    if is_dataclass(value):
        return {
            entry.name: _spelled(getattr(value, entry.name))
            for entry in fields(value)
            if entry.default is MISSING or getattr(value, entry.name) != entry.default
        }
    if isinstance(value, dict):
        return {key: _spelled(item) for key, item in value.items()}
    return [_spelled(item) for item in value] if isinstance(value, tuple) else value


def from_bytes(content: bytes, where: str) -> Manifest:
    """Bytes as stored -> Manifest. Raises InputError, also for one that a newer version wrote."""
    try:
        data = json.loads(
            content.decode("utf-8"), parse_constant=_refuse_constant,
            object_pairs_hook=without_twins,
        )  # fmt: skip
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not a JSON manifest: {cut(error)}") from None
    if not isinstance(data, dict):
        raise InputError(f"{where}: expected a JSON object, got {type(data).__name__}")
    _refuse_other_format(data, where)
    try:
        return from_json(Manifest, data, where)
    except UnknownSetting as error:
        raise InputError(
            f"{error} The bundle was made by '{data.get('made_by')}', this is irl-vla "
            f"{__version__}: a newer version of irl-vla is needed to read it"
        ) from None


def _refuse_other_format(data: dict[str, Any], where: str) -> None:
    """Said first: another format would otherwise be reported as some unknown setting."""
    found = data.get("format")
    if found == FORMAT:
        return
    what = f"{where}: format: expected '{FORMAT}', got {brief(found)}"
    if found == f"{FAMILY}1":
        raise InputError(
            f"{what}, which is not read any more. Export the policy again: `irl-vla export "
            "--preset NAME --seed N --out FOLDER`"
        )
    if isinstance(found, str) and found.startswith(FAMILY):
        raise InputError(f"{what}. A newer version of irl-vla is needed to read it")
    raise InputError(f"{what}. This is not a bundle of irl-vla")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
