"""World: scenes to drive in, built in or imported.
In: a seed, or a file of a recorded scenario   Out: scoring scenes, pictures, ego motion, boxes
May import: types, frames, config, unpack, unpickle, camera, scoring, language.labels.
"""
