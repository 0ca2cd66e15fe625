"""Software cameras: pictures, depth, road users and classes of a moment for any rig.

In: Town, Actors, WorldState, Rig, seed
Out: colour (N, h, w, 3) uint8 RGB; depth [m], instance and class of every pixel
May import: types, frames, camera, scoring.compiled, world.
"""
