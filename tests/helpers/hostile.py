"""Hostile files: made by rules, and from honest ones by random changes; and a process that must survive them."""

import contextlib
import gzip
import io
import json
import os
import re
import select
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path

import numpy as np

from programs import FOLDER

SECONDS = 30  # that a case may take on a busy machine; one that hangs takes longer than any
MOST = 1 << 28  # bytes of memory that a case may cost: a bomb's content, its numbers, and what is between
BOMB = 1 << 19  # bytes that a bomb unpacks to


def npy(array):
    data = io.BytesIO()
    np.save(data, array)
    return data.getvalue()


def zipped(members, **options):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", **options) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return data.getvalue()


def text(rows, mark=",", end="\n", head=None, quote=""):
    lines = [] if head is None else [mark.join(head)]
    lines += [mark.join(f"{quote}{cell!r}{quote}" for cell in row) for row in rows.tolist()]
    return (end.join(lines) + end).encode()


def honest():
    """Files that can be read, by kind."""
    from cgmm import GMM

    X = np.random.default_rng(0).normal(size=(60, 2))
    files = {
        "csv": text(X, head=["a", "b"]),
        "tsv": b"# made by hand\n\n" + text(X, "\t", "\r\n"),
        "semicolons": text(X, ";", head=["a", "größe"]),
        "spaces": text(X, "  "),
        "quoted": text(X, head=['"a, of ""it"""', '"b"'], quote='"'),
        "labels": b'"name","x","y"\n' + b"".join(b'"row %d, of\n""it""",%d,2\n' % (i, i) for i in range(60)),
        "gaps": text(X, head=["a", "b"]).replace(b",0.", b",").replace(b",-", b",NA"),
        "csv.gz": gzip.compress(text(X, head=["a", "b"])),
        "npy": npy(X),
        "fortran npy": npy(np.asfortranarray(X.astype(np.float32))),
        "integers": npy((100 * X).astype(np.int16)),
        "one column": npy(X[:, 0]),
        "npy.gz": gzip.compress(npy(X)),
        "npz": zipped({"x.npy": npy(X)}),
        "packed npz": zipped({"x.npy": npy(X)}, compression=zipfile.ZIP_DEFLATED),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        model = GMM(2, random_state=0).partial_fit(np.tile(X, (20, 1)))
        model.save(path)
        files["model"] = path.read_bytes()
    with contextlib.suppress(ImportError):
        import pyarrow as pa
        import pyarrow.parquet as pq

        data = io.BytesIO()
        pq.write_table(pa.table({"a": X[:, 0], "b": X[:, 1].astype(np.float32)}), data, row_group_size=25)
        files["parquet"] = data.getvalue()
    return files


def ruled():
    """Files that are hostile by a rule, by what is wrong."""
    header = "{'descr': '%s', 'fortran_order': %s, 'shape': %s}"

    def claimed(shape, descr="<f8", order=False):
        return np.lib.format.magic(1, 0) + _length(header % (descr, order, shape)) + bytes(960)

    zeros = bytes(BOMB)
    return {
        "nothing": b"",
        "a byte": b"P",
        "zeros": bytes(5000),
        "random": np.random.default_rng(0).bytes(5000),
        "a line without end": b"1," * (BOMB // 8),
        "a row of commas": b"," * 100_000,
        "a wide header": b",".join(b"x%d" % j for j in range(20_000)) + b"\n1,2\n",
        "many lines of nothing": b"\n" * BOMB,
        "many comments": b"#\n" * (BOMB // 2),
        "a quote": b'"',
        "an open quote": b'a,b\n1,"2\n' + b"3,4\n" * 50_000,
        "many quotes": b'"' * 1_000_000,
        "a long cell": b"1" * 1_000_000 + b",2\n",
        "long exponents": b"1e" + b"9" * 5000 + b",2\n3,4\n",
        "other digits": "١,٢\n٣,٤\n".encode(),
        "utf-16": "a,b\n1,2\n3,5\n".encode("utf-16"),
        "utf-32": "a,b\n1,2\n3,5\n".encode("utf-32"),
        "latin-1": "größe,b\n1,2\n".encode("latin-1"),
        "half a mark of order": b"\xef\xbb1,2\n3,4\n",
        "other ends of lines": "a,b\u20281,2\x853,4\x0b5,6\x0c".encode(),
        "ends of all kinds": b"1,2\r3,4\n5,6\r\n\r\n7,8\n\r9,1",
        "escapes": b"\x1b[31ma\x1b]0;title\x07,b\n1,\x1b[2J\n",
        "too large": b"1e308,-1e308\n" * 9,
        "too small": b"1e-320,0\n2e-320,0\n" * 9,
        "wide claim": claimed((3, 2**31)),
        "very wide claim": claimed((3, 2**62)),
        "long claim": claimed((2**62, 2)),
        "columns first": claimed((2**40, 2), order=True),
        "empty and wide": claimed((0, 2**40)),
        "no columns": claimed((2**40, 0)),
        "negative": claimed((-60, 2)),
        "large items": claimed((60, 2), "<U100000000"),
        "objects": claimed((60, 2), "|O"),
        "records": claimed((60,), "f8,f8"),
        "packed claim": gzip.compress(claimed((2**40, 2))),
        "archived claim": zipped({"x.npy": claimed((2**40, 2))}),
        "a bomb of text": gzip.compress(b"1,2\n" * (BOMB // 4)),
        "a bomb of a line": gzip.compress(zeros),
        "a bomb of a bomb": gzip.compress(gzip.compress(zeros)),
        "a bomb of rows": gzip.compress(np.lib.format.magic(1, 0) + _length(header % ("<f8", False, (1, 9))) + zeros),
        "a bomb in an archive": zipped({"x.npy": zeros}, compression=zipfile.ZIP_DEFLATED),
        "a bomb of zeros": zipped({"x.npy": npy(np.zeros((BOMB // 16, 2)))}, compression=zipfile.ZIP_DEFLATED),
        "many members": zipped({f"{i}.npy": b"" for i in range(2000)}),
        "members of one name": _twice(),
        "a zipped table": zipped({"data.csv": "a,b\n1,2\n"}),
        "an empty archive": zipped({}),
        "an archive's end": zipped({"x.npy": npy(np.ones((9, 2)))})[-60:],
        "pages of nothing": b"PAR1" + bytes(5000) + b"PAR1",
        "a long footer": b"PAR1" + bytes(20) + b"\xff\xff\xff\x7fPAR1",
        "gzip of nothing": gzip.compress(b""),
        "the beginning of gzip": b"\x1f\x8b",
        "deflate": zlib.compress(b"1,2\n" * 99),
    }


def _length(text):
    padded = text + " " * (-(len(text) + 11) % 64) + "\n"
    return len(padded).to_bytes(2, "little") + padded.encode()


def _twice():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as file:
            for _ in range(2):
                file.writestr("x.npy", npy(np.ones((9, 2))))
        return data.getvalue()


# Random changes

NUMBERS = [b"0", b"-1", b"9" * 9, b"9" * 19, b"4294967296", b"1e999", b"nan", b"0x10", b"1_0"]
PIECES = [b'"', b"\n", b"\r", b",", b";", b"\t", b" ", b"#", b"\0", b"\xff", b"\xef\xbb\xbf", b"'", b"-", b"e", b"NA"]


def changed(content, rng, others):
    """Content after one to three random changes."""
    for _ in range(rng.integers(1, 4)):
        content = CHANGES[rng.integers(len(CHANGES))](bytearray(content), rng, others)
    return bytes(content)


def _at(content, rng):
    """A place: anywhere, or near the beginning or the end, where headers are."""
    size = len(content)
    return int(rng.choice([rng.integers(size + 1), min(size, rng.integers(130)), max(0, size - rng.integers(130))]))


def _cut(content, rng, _):
    return content[: _at(content, rng)]


def _behead(content, rng, _):
    return content[_at(content, rng) :]


def _flip(content, rng, _):
    for _ in range(rng.integers(1, 9)):
        if content:
            content[min(_at(content, rng), len(content) - 1)] ^= 1 << int(rng.integers(8))
    return content


def _overwrite(content, rng, _):
    at = _at(content, rng)
    new = rng.bytes(int(rng.integers(1, 9))) if rng.random() < 0.5 else bytes([rng.choice([0, 127, 255])]) * 4
    content[at : at + len(new)] = new
    return content


def _insert(content, rng, _):
    at = _at(content, rng)
    return content[:at] + PIECES[rng.integers(len(PIECES))] * int(rng.choice([1, 2, 1000])) + content[at:]


def _delete(content, rng, _):
    at = _at(content, rng)
    return content[:at] + content[at + int(rng.integers(1, 50)) :]


def _repeat(content, rng, _):
    a, b = sorted((_at(content, rng), _at(content, rng)))
    return content[:b] + content[a:b] * int(rng.integers(1, 4)) + content[b:]


def _number(content, rng, _):
    """A number of a text or of a header becomes another."""
    found = list(re.finditer(rb"\d+", content[:2000]))
    if not found:
        return content
    a, b = found[rng.integers(len(found))].span()
    return content[:a] + NUMBERS[rng.integers(len(NUMBERS))] + content[b:]


def _splice(content, rng, others):
    other = others[rng.integers(len(others))]
    return content[: _at(content, rng)] + other[_at(other, rng) :]


def _mark(content, rng, _):
    old, new = (PIECES[rng.integers(len(PIECES))] for _ in range(2))
    return content.replace(old, new)


def _pack(content, rng, _):
    return gzip.compress(bytes(content)) if rng.random() < 0.5 else zipped({"x.npy": bytes(content)})


def _encode(content, rng, _):
    return content.decode("latin-1").encode(str(rng.choice(["utf-8", "utf-16", "utf-8-sig", "utf-32"])))


CHANGES = [_cut, _behead, _flip, _flip, _overwrite, _insert, _delete, _repeat, _number, _number, _splice, _mark, _pack]
CHANGES.append(_encode)


# What must survive


class Victim:
    """A process that reads file after file; one that dies or hangs is told of, and another takes its place."""

    def __init__(self, folder):
        self.folder, self.process = Path(folder), None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._end()

    def faults(self, content):
        """What is wrong with what becomes of a file of that content: none, as it should be."""
        (self.folder / "hostile").write_bytes(content)
        if self.process is None:
            self._begin()
        self.process.stdin.write(b"go\n")
        self.process.stdin.flush()
        if not select.select([self.process.stdout], [], [], SECONDS)[0]:
            self._end()
            return [f"it takes more than {SECONDS} seconds"]
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            self._end()
            return [f"the process ends with {code}"]
        return json.loads(line)

    def _begin(self):
        here = str(Path(__file__).parent)
        path = os.pathsep.join(filter(None, (FOLDER, here, os.environ.get("PYTHONPATH"))))
        program = f"import victim; victim.serve({str(self.folder)!r}, {MOST})"
        environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )

    def _end(self):
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None
            for left in self.folder.glob(".cgmm-*"):  # nothing can remove it that is killed so
                left.unlink()
