"""Published scores of whole trajectory vocabularies (for example GTRS's navtrain_8192.pkl): ready
supervision for a reward model, without running the scorer.

Such a file is a pickle `{token: {metric: array of one score per vocabulary entry}}`, gigabytes
large. It is read once through the allow-list unpickler and written as Arrow, which is then mapped
row by row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from irl_vla.types import F32, InputError
from irl_vla.unpickle import load_pickle

ROWS_PER_BATCH = 64  # scenes; 64 x 8192 scores of 10 metrics are 21 MB as float32


def load_vocabulary_scores(path: Path) -> dict[str, dict[str, F32]]:
    """token -> metric -> (entries,) float32 scores. Raises InputError for anything else."""
    raw = load_pickle(path, "table of vocabulary scores")
    if not isinstance(raw, dict) or not raw:
        raise InputError(f"{path}: expected {{token: {{metric: scores}}}}, got {type(raw)}")
    first = next(iter(raw.values()))
    metrics = _metrics(path, "the first token", first)
    return {str(token): _scores(path, str(token), entry, metrics) for token, entry in raw.items()}


def _metrics(path: Path, token: str, entry: Any) -> dict[str, int]:
    if not isinstance(entry, dict) or not entry:
        raise InputError(f"{path}: {token}: expected {{metric: scores}}, got {type(entry)}")
    return {str(name): int(np.size(values)) for name, values in entry.items()}


def _scores(path: Path, token: str, entry: Any, metrics: Mapping[str, int]) -> dict[str, F32]:
    if _metrics(path, token, entry) != metrics:
        raise InputError(
            f"{path}: token {token} has other metrics or another vocabulary than the first: "
            f"{_metrics(path, token, entry)} instead of {dict(metrics)}"
        )
    try:
        scores = {str(n): np.asarray(v, np.float32).reshape(-1) for n, v in entry.items()}
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: token {token}: scores are no numbers: {error}") from None
    bad = [name for name, values in scores.items() if not np.isfinite(values).all()]
    if bad:
        raise InputError(f"{path}: token {token}: '{bad[0]}' holds NaN or infinite scores")
    return scores


def write_vocabulary_scores(scores: Mapping[str, Mapping[str, F32]], path: Path) -> None:
    """Writes the table as one Arrow file (beside and renamed)."""
    metrics = list(next(iter(scores.values())))
    fields = [("token", pa.string()), *((name, pa.list_(pa.float32())) for name in metrics)]
    schema, draft = pa.schema(fields), path.with_suffix(".draft")
    tokens = list(scores)
    with pa.OSFile(str(draft), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for start in range(0, len(tokens), ROWS_PER_BATCH):
            rows = [{"token": t, **scores[t]} for t in tokens[start : start + ROWS_PER_BATCH]]
            writer.write_batch(pa.RecordBatch.from_pylist(rows, schema))
    draft.replace(path)


def read_vocabulary_scores(path: Path) -> Iterator[tuple[str, dict[str, F32]]]:
    """token, metric -> (entries,), one scene at a time, from what `write_...` wrote."""
    try:
        with pa.memory_map(str(path)) as stream:
            reader = pa.ipc.open_file(stream)
            for index in range(reader.num_record_batches):
                batch = reader.get_batch(index)
                for row in range(batch.num_rows):
                    yield (
                        batch["token"][row].as_py(),
                        {
                            name: batch[name][row].values.to_numpy()
                            for name in batch.schema.names
                            if name != "token"
                        },
                    )
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"{path}: no vocabulary table of ours ({error})") from None
