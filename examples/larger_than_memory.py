"""Rows in a Parquet file that is larger than the memory that the process may take.

The file holds twelve million visits to a shop: the minute of the day, what was spent, and how many were made before.
Once it is written the process forbids itself to take more than a part of what its rows would need. To read them all
fails, then; to fit a mixture to them does not: each pass reads the file anew, a block at a time. With the checkpoint
the fit could go on if the machine were switched off meanwhile.

    python examples/larger_than_memory.py --output FOLDER
"""

import resource
import tempfile
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import numpy as np

import cgmm
from _common import output_folder, panels, save
from cgmm import GMM

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError:
    raise SystemExit("This example needs pyarrow: pip install 'compiled-gmm[arrow]'") from None

GROUPS, GROUP = 96, 131072
MIB = 2**20
MEMORY = 160 * MIB
COLUMNS = ["minute", "log_spent", "visits"]
MEANS = np.array([[540, 1.2, 3.0], [760, 2.4, 6.0], [1080, 3.4, 2.0]])
DEVIATIONS = np.array([[45, 0.5, 0.8], [60, 0.4, 1.0], [90, 0.6, 0.7]])
SHARES = np.array([0.25, 0.4, 0.35])


def write(path, rng):
    """The visits, a group of rows at a time: early coffee, lunch, and shopping after work."""
    schema = pa.schema([(name, pa.float64()) for name in COLUMNS])
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for _ in range(GROUPS):
            kind = rng.choice(3, size=GROUP, p=SHARES)
            rows = MEANS[kind] + DEVIATIONS[kind] * rng.standard_normal((GROUP, 3))
            writer.write_table(pa.table(list(rows.T), schema=schema))


@contextmanager
def at_most(more):
    """No more memory than that, in bytes, beside what is taken already."""
    before, limit = resource.getrlimit(resource.RLIMIT_DATA), status("VmData") + more
    resource.setrlimit(resource.RLIMIT_DATA, (limit, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_DATA, before)


def status(name):
    """A figure of the process in bytes, as Linux counts it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def read_all(path):
    return np.column_stack([column.to_numpy() for column in pq.read_table(path).columns])


def some_rows(path, step=100):
    """Every hundredth row, for the picture: read a group at a time."""
    return np.concatenate([block.rows[::step].copy() for block in cgmm.table(path).blocks()])


def draw(model, rows, path):
    figure, axes = panels(1, 1, (8, 4.5))
    ax = axes[0, 0]
    cgmm.plot.density(model, pa.table(list(rows.T), names=COLUMNS), feature="minute", ax=ax)
    ax.set_xlabel("minute of the day")
    ax.set_title(f"{GROUPS * GROUP:,} visits, of which memory never held more than a part", loc="left")
    save(figure, path)


def fit_within(path, memory):
    """A mixture of the file's rows, and what it took."""
    size = path.stat().st_size
    GMM(2, random_state=0).fit(np.random.default_rng(0).normal(size=(1000, 3)))  # what is loaded late, is
    print(f"The file has {size / MIB:.0f} MiB; {memory / MIB:.0f} MiB of memory may be taken.")
    with at_most(memory):
        try:
            read_all(path)
        except (MemoryError, pa.ArrowMemoryError):
            print("To read it all: no memory.")
        before, start = status("VmRSS"), perf_counter()
        model = GMM(3, random_state=0, checkpoint=path.with_name("fit")).fit(cgmm.table(path))
        seconds, passes = perf_counter() - start, model.diagnostics_.passes
    print(f"To fit a mixture: {passes} passes in {seconds:.1f} s, {passes * size / seconds / 1e9:.2f} GB a second,")
    print(f"with {(status('VmHWM') - before) / MIB:.0f} MiB more than before.\n")
    return model


def main(argv=None):
    folder = output_folder(argv, __doc__)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "visits.parquet"
        write(path, np.random.default_rng(0))
        model, rows = fit_within(path, MEMORY).sorted("minute"), some_rows(path)
    for c in range(3):
        hours, minutes = divmod(round(model.means_[c, 0]), 60)
        print(
            f"{model.weights_[c]:6.1%} of visits about {hours}:{minutes:02}, "
            f"spending {np.exp(model.means_[c, 1]):5.2f} (median), after {model.means_[c, 2]:.1f} visits"
        )
    draw(model, rows, folder / "larger_than_memory.png")


if __name__ == "__main__":
    main()
