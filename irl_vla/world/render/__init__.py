"""Software cameras: pictures, depth, road users, classes and lamps of a moment for any rig.

In: Town, Actors, WorldState, Rig, seed
Out: colour (N, h, w, 3) uint8 RGB; depth [m], instance, class and lamp of every pixel
May import: types, frames, camera, scoring.compiled, world.
"""
