"""Files of a table, and tables that the command line prints."""

import io

import numpy as np
import pandas as pd


def written(frame, path, **columns):
    """The path of a file of the frame and further columns, in the format of its ending."""
    frame = frame.assign(**columns)
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".npy":
        np.save(path, frame.to_numpy(dtype=float))
    else:
        frame.to_csv(path, index=False)
    return path


def read(printed):
    return pd.read_csv(io.StringIO(printed))
