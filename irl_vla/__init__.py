"""IRL-VLA: a camera-only driving policy that sees, reasons and acts.

This package is what one imports: pure algorithms, no ROS, no training loop. Each room (sub-package)
says on its
door plate what enters, what leaves and what it may import; `tests/test_house.py` keeps that.
"""

__version__ = "0.1.0"
