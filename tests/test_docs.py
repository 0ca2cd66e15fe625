"""What documents and docstrings say is there: links, anchors, files, modules and names."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
# What docstrings and documents may mention though it is not in this tree:
FOREIGN = {  # names of other projects, and symbols of formulas
    "bbox_3d_isvalid", "rosbag2_storage_sqlite3", "randn_clip_value", "entry_lanes", "mean_hw",
    "pdm_comfort_metrics", "ese_vovnet19b_dw", "ese_vovnet19b_slim_dw", "x_to_message",
    "x_from_message", "first_now", "first_previous", "follow_now", "follow_previous",
    "built_in_episodes", "recorded_episodes", "base_from_cam", "ego_from_base", "point_then",
    "point_now", "shared_memory", "v_base", "v_child", "navtrain_8192", "f_1x1", "y_goal",
    "w_class", "p_truth",
}  # fmt: skip
FOREIGN_WORDS = {  # in documents, between backticks
    "humble", "helpers", "p3tinydisplay", "e924167", "index_add", "_aws", "core.symlinks",
    "utils", "misc", "infer", "pdm_comfort_metrics", "disable_telemetry_events",
}  # fmt: skip
FOREIGN_FILES = {  # files of other projects, of results and of users
    "model/diffusion/diffusion_ppo.py", "docs/splits.md", "docs/submission.md", "cli.py",
    "docs/en/advanced_guides/datasets/nuscenes.md", "RIG.yaml", "FILE.md", "bench2drive220.xml",
    "docs/decisions/NNN.md", "metadata.yaml", "summary.json", "suite.json", "engines/index.json",
    "recipe.yaml",
}  # fmt: skip
FILE = r"\w(?:[\w./-]*\w)?\.(?:py|md|yaml|xml|rviz|msg|srv|j2)"


class Said(NamedTuple):
    """A piece of text and where it stands."""

    path: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@cache
def tracked() -> tuple[Path, ...]:
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return tuple(p for n in names.splitlines() if (ROOT / (p := Path(n))).is_file())


@cache
def content(path: Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def documents() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".md"]


def modules() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py"]


@cache
def sources() -> list[Path]:
    """Modules that define names; this one lists names that nothing defines."""
    return [path for path in modules() if path.name != Path(__file__).name]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(content(path))


def comments(path: Path) -> Iterator[Said]:
    """Docstrings and comments of a module."""
    for node in ast.walk(tree(path)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            text = ast.get_docstring(node)
            if text:
                yield Said(path, getattr(node, "lineno", 1), text)
    for token in tokenize.generate_tokens(io.StringIO(content(path)).readline):
        if token.type == tokenize.COMMENT:
            yield Said(path, token.start[0], token.string)


def lines(path: Path) -> Iterator[Said]:
    return (Said(path, n, text) for n, text in enumerate(content(path).splitlines(), start=1))


@cache
def all_comments() -> tuple[Said, ...]:
    return tuple(said for path in modules() for said in comments(path))


def all_prose() -> Iterator[Said]:
    yield from (said for path in documents() for said in lines(path))
    yield from all_comments()


# ------------------------------------------------------------------ links


def anchors(path: Path) -> set[str]:
    """As GitHub makes them: lower case, spaces to hyphens, other punctuation gone."""
    found = set(re.findall(r'<a (?:id|name)="([\w-]+)">', content(path)))
    in_code = False
    for line in content(path).splitlines():
        in_code ^= line.startswith("```")
        if not in_code and (heading := re.match(r"#+ (.*)", line)):
            text = re.sub(r"[^\w\s-]", "", heading[1].lower())
            found.add(text.strip().replace(" ", "-"))
    return found


def missing_target(source: Path, target: str) -> str | None:
    """What is wrong with a link, or None."""
    name, _, anchor = target.partition("#")
    path = (ROOT / source).parent / name if name else ROOT / source
    if not path.exists():
        return f"no file '{name}'"
    if anchor and anchor not in anchors(path.resolve().relative_to(ROOT)):
        return f"no anchor '#{anchor}' in {name or source}"
    return None


def test_every_link_of_a_document_leads_somewhere() -> None:
    wrong = []
    for path in documents():
        for said in lines(path):
            for target in re.findall(r"\]\(([^()\s]+)\)", said.text):
                if not target.startswith(("http://", "https://")):
                    why = missing_target(path, target)
                    wrong += [f"{said}: {why}"] if why else []
    assert not wrong, "\n".join(wrong)


def test_every_document_and_section_that_is_cited_exists() -> None:
    wrong = []
    for said in all_prose():
        for name, anchor, section in re.findall(
            r'\b(docs/[\w/-]+\.md)(#[\w-]+)?(?:,\s+"([^"]+)")?', said.text
        ):
            if name in FOREIGN_FILES:
                continue
            why = missing_target(Path("README.md"), name + anchor)
            if not why and section and f" {section}".lower() not in heads(name).lower():
                why = f"no section '{section}' in {name}"
            wrong += [f"{said}: {why}"] if why else []
    assert not wrong, "\n".join(wrong)


def heads(name: str) -> str:
    return "\n".join(re.findall(r"^#+ .*$", content(Path(name)), re.MULTILINE))


# ------------------------------------------------------------------ files and names


@cache
def file_names() -> frozenset[str]:
    """Every tail of every path: rig.py, camera/rig.py, irl_vla/camera/rig.py."""
    parts = (path.parts for path in tracked())
    return frozenset("/".join(p[i:]) for p in parts for i in range(len(p)))


def test_every_file_that_is_named_exists() -> None:
    wrong = []
    quoted = (
        said._replace(text=text)
        for path in documents()
        for said in lines(path)
        for text in re.findall(r"`([^`]+)`", said.text)
        if re.fullmatch(FILE, text)
    )
    for said in [*all_comments(), *quoted]:
        for name in re.findall(rf"(?<![\w./<-]){FILE}\b", said.text):
            short = name.removeprefix("../shared/")
            beside = (ROOT / said.path).parent / name
            if short == name and name not in file_names() | FOREIGN_FILES and not beside.exists():
                wrong.append(f"{said}: {name}")
    assert not wrong, "\n".join(wrong)


@cache
def names_of(path: Path) -> frozenset[str]:
    """Everything that a module defines, uses or spells."""
    found = {path.stem, *path.parts}
    for node in ast.walk(tree(path)):
        for key in ("id", "attr", "name", "arg", "asname"):
            value = getattr(node, key, None)
            if isinstance(value, str):
                found |= set(value.split("."))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 200:
            found |= set(re.findall(r"\w+", node.value))
    return frozenset(found)


@cache
def all_names() -> frozenset[str]:
    found = {part for path in tracked() for part in (*path.parts, path.stem)}
    for path in sources():
        found |= names_of(path)
    for path in tracked():
        if path.suffix in {".yaml", ".msg", ".srv", ".xml", ".json", ".toml"}:
            found |= set(re.findall(r"\w+", content(path)))
    return frozenset(found)


@cache
def rooms_and_modules() -> dict[str, frozenset[str]]:
    """Stem of a module, or name of a package -> the names in it."""
    found: dict[str, frozenset[str]] = {}
    for path in sources():
        found[path.stem] = found.get(path.stem, frozenset()) | names_of(path)
        for folder in path.parents:
            child = frozenset({path.stem, *path.relative_to(folder).parts})
            found[folder.name] = found.get(folder.name, frozenset()) | child
    return found


def broken_chain(dotted: str) -> bool:
    """Whether a.b.c names a module or package of ours, and one step leads nowhere."""
    parts = dotted.split(".")
    known = rooms_and_modules()
    return any(a in known and b not in known[a] for a, b in pairwise(parts))


def test_dotted_names_in_docstrings_lead_somewhere() -> None:
    wrong = []
    for said in all_comments():
        own = names_of(said.path)
        for dotted in re.findall(r"(?<![\w./@])[a-z_]{2,}(?:\.[A-Za-z_]\w+)+\b(?!\.)", said.text):
            first = dotted.split(".")[0]
            if re.search(r"\.(py|md|org|de|gz|mcap|npz|onnx|j2|json|jsonl|yaml)$", dotted):
                continue
            known = first in own or first in all_names() or first in sys.stdlib_module_names
            if not known or (first not in own and broken_chain(dotted)):
                wrong.append(f"{said}: {dotted}")
    assert not wrong, "\n".join(wrong)


def test_module_paths_in_documents_lead_somewhere() -> None:
    wrong = [
        f"{said}: {dotted}"
        for path in documents()
        for said in lines(path)
        for dotted in re.findall(r"\birl_vla(?:_nodes|_training)?(?:\.\w+)+", said.text)
        if broken_chain(dotted)
    ]
    assert not wrong, "\n".join(wrong)


def test_names_between_backticks_in_documents_are_names_of_something() -> None:
    wrong = []
    for path in documents():
        for said in lines(path):
            for name in re.findall(r"`([A-Za-z_]\w*(?:\.\w+)*)(?:\([^`]*\))?`", said.text):
                last = name.split(".")[-1]
                known = name.startswith("download_") or last in all_names() | all_words()
                if not known and name not in FOREIGN_WORDS | FOREIGN_FILES:
                    wrong.append(f"{said}: {name}")
    assert not wrong, "\n".join(wrong)


@cache
def all_words() -> frozenset[str]:
    """Of files that are neither prose nor Python: Makefile, scripts, pages."""
    rest = [p for p in tracked() if p.suffix in {"", ".j2", ".sh", ".cfg"}]
    return frozenset(re.findall(r"\w+", "\n".join(content(path) for path in rest)))


def test_words_with_underscores_in_docstrings_are_names_of_something() -> None:
    wrong = []
    for said in all_comments():
        for word in re.findall(r"(?<![\w/<*])[a-z]\w*_\w+", said.text):
            is_symbol = re.match(r"\w{1,5}_\w{1,2}$", word)  # of a formula: v_i, abar_s
            if not is_symbol and word not in all_names() | FOREIGN:
                wrong.append(f"{said}: {word}")
    assert not wrong, "\n".join(wrong)


def test_every_room_and_module_on_a_door_plate_exists() -> None:
    wrong = []
    for said in all_comments():
        for listed in re.findall(r"May import: ((?:[\w ,;\n]|\.\w)*)", said.text):
            for name in re.split(r"[,;\s]+", listed):
                known = all(part in rooms_and_modules() for part in name.split("."))
                if re.fullmatch(r"[a-z]\w*(\.\w+)+", name) and not known:
                    wrong.append(f"{said}: {name}")
    assert not wrong, "\n".join(wrong)
