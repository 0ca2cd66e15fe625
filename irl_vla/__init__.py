"""IRL-VLA: a camera-only driving policy that sees, reasons and acts.

This package is what one imports: pure algorithms, no ROS, no training loop. Each room (sub-package)
says on its
door plate what enters, what leaves and what it may import; `tests/test_house.py` keeps that.
"""

import os

# The onnxruntime wheel tells its vendor of every process: it writes a device id and a database of
# events into the home folder and looks up a host. Only this variable stops it, and only before the
# library is loaded (its own switch comes too late), so it is set with the first import of ours.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__version__ = "0.1.0"
