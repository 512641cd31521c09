"""Lines of text: cells in quotes, line breaks in them, and the number of the line in which something is wrong."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import cgmm
from cgmm.tables import text


@pytest.fixture(params=[1, 30, 1 << 22])
def block(request, monkeypatch):
    """Blocks of a line, of a few, of all."""
    monkeypatch.setattr(text, "BLOCK_CHARACTERS", request.param)


@pytest.fixture
def file(tmp_path):
    def write(content):
        path = tmp_path / "data.csv"
        path.write_text(content)
        return path

    return write


def read(path, columns=None, **options):
    return np.concatenate([found.rows for found in cgmm.table(path, columns, **options).blocks()])


def test_line_breaks_in_cells(file, block):
    path = file('id,note\n1,"a\nb"\n2,"c, ""d""\n\n# e\n"\n\n# no row\n3,f\n')
    assert_array_equal(read(path, "id"), [[1], [2], [3]])


@pytest.mark.parametrize("note", ['"a\nb"', '"a\n\n\nb"', '"\n# b"', '"a\r\nb"', '"a"', "a"])
@pytest.mark.parametrize("bad", ["x,f", ",f", "3", "3,4,5", '"1,5",f'])
@pytest.mark.parametrize("missing", ["error", "marginal"])
def test_the_line_of_what_is_wrong(file, block, note, bad, missing):
    before = f"id,note\n1,{note}\n# no row\n2,c\n5,{note}\n"
    path = file(before + bad + "\n9,9\n")
    if missing == "marginal" and bad == ",f":
        assert np.isnan(read(path, "id", missing=missing)).sum() == 1
        return
    number = before.replace("\r\n", "\n").count("\n") + 1
    with pytest.raises(ValueError, match=rf"data.csv, line {number}[:,]"):
        read(path, "id", missing=missing)


def test_names_with_line_breaks(file, block):
    path = file('"length\nin cm","x,y"\n1,2\n')
    assert cgmm.table(path).names == ("length\nin cm", "x,y")
    assert_array_equal(read(path, '"x,y","length\nin cm"'), [[2, 1]])
    for columns in ("length\nin cm", '"length', 'x"y,"z'):
        with pytest.raises(ValueError, match="is no list of columns: put double quotes about a name"):
            read(path, columns)


@pytest.mark.parametrize("columns", ["", []])
def test_no_columns(file, columns):
    with pytest.raises(ValueError, match=r"data.csv: no column is chosen; it has 'a', 'b'"):
        cgmm.table(file("a,b\n1,2\n"), columns)


@pytest.mark.parametrize("end", ["", "\n", "\n1,2\n3,4\n"])
def test_a_quote_that_is_not_closed(file, block, end):
    """It hides rows, or what was lost of the file."""
    with pytest.raises(ValueError, match=r"the quote that is opened in line 3 is not closed"):
        read(file('1,2\n3,4\n5,"6' + end))


def test_quotes_after_a_space(file, block):
    """Of a row that has one, and only of that, other columns were read: NumPy sees no quotes there."""
    assert_array_equal(read(file('a,t,b\n1, "2,3,5",4\n7,x,9\n'), "a,b"), [[1, 4], [7, 9]])
    assert_array_equal(read(file('a,t,b\n1,x"y,4\n7,"8"9,9\n'), "a,b"), [[1, 4], [7, 9]])


def test_other_marks_between_spaces(file, block):
    """What is one cell is no two numbers."""
    for mark in ("\t", "\x0b", "\xa0", "\u2003"):
        with pytest.raises(ValueError, match=r"data.csv, line 2, column 1: .* is not a number"):
            read(file(f"1 2\n3 4{mark}5\n"))


@pytest.mark.parametrize("content", ['1\n""\n3\n', '"1"\n" "\n"3"\n', 'a,b\n"x",1\n"y",""\n'])
def test_an_empty_cell_is_no_row_left_out(file, block, content):
    with pytest.raises(ValueError, match="the cell is empty"):
        read(file(content), "b" if "b" in content else None)


def test_a_name_may_begin_as_an_archive(file):
    assert cgmm.table(file("PK,x\n1,2\n")).names == ("PK", "x")


def test_long_lines(file, monkeypatch):
    monkeypatch.setattr(text, "BLOCK_CHARACTERS", 3)
    monkeypatch.setattr(text, "LONGEST_LINE", 100, raising=False)
    with pytest.raises(ValueError, match=r"data.csv cannot be read: line 2 is longer than 100 characters"):
        read(file("1,2\n" + "1" * 100 + ",2\n3,4\n"))


def test_many_columns(tmp_path):
    """To look for names that are there twice takes no longer than to read them."""
    d = 200_000
    path = tmp_path / "wide.csv"
    path.write_text(",".join(f"x{j}" for j in range(d)) + "\n" + ",".join("1" * d) + "\n")
    assert read(path).shape == (1, d)
