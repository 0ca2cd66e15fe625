"""Which seeds the lab's tests prepare, and how many samples of each drive."""

SEEDS = range(1_990_000, 1_990_003)
PER_SEED = 6
