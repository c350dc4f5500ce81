"""`tools/names.py`: a missing import is found, a shape's words are none."""

from names import undefined


def test_what_is_nowhere_defined_is_found_in_code_only(tmp_path):
    code = 'def f(x: "Float[batch keypoints]"):\n    return _table(x)\n'
    (tmp_path / "module.py").write_text(code)
    assert [line.split(":", 1)[1] for line in undefined(str(tmp_path))] == ["2: Undefined name `_table`"]
