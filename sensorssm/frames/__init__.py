"""The one door for data: any table in, a `Window` of plain arrays, an answer in the caller's kind.

numpy arrays, Polars (eager and lazy), pandas and Arrow tables come in through narwhals; nothing
else in the library knows what a frame is. A frame's time and asset columns are taken off here,
because scikit-learn would silently read a datetime column as one more sensor.
"""

from sensorssm.frames.native import column_names, is_frame, like, replaced
from sensorssm.frames.window import Table, Window, open_table, to_window, window_of

__all__ = [
    "Table",
    "Window",
    "column_names",
    "is_frame",
    "like",
    "open_table",
    "replaced",
    "to_window",
    "window_of",
]
