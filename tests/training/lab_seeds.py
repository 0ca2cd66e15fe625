"""Which seeds the lab's tests prepare, how many samples of each drive, and what commands need."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'training'}"}
SEEDS = range(1_990_000, 1_990_003)
PER_SEED = 6
