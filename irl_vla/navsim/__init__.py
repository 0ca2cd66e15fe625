"""NAVSIM at home: folders of the benchmark -> windows, maps, scoring scenes, scores.

In: logs, follow-up scenes, split files, sensor files and nuPlan maps as they are downloaded.
Out: Window (what a planner sees), CityMap (what the roads are), `epdms-scene/1` (what the scorer
reads), tables of scores. No nuplan-devkit and no navsim is imported.
May import: ground, irl_vla.camera, irl_vla.scoring."""
