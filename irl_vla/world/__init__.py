"""World: scenes to drive in, imported or built in.
In:  a seed, or a file of a recorded scenario   Out: scoring scenes, pictures, ego motion, boxes
May import: types, frames, config, camera, scoring, language.labels."""
