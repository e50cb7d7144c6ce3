"""The layout of the packages: folder and module sizes, import cycles, HTML in templates only."""

import ast
import re
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("geocells", "geoloc", "training", "demo")
MOST_MODULES = 14
MOST_LINES = 300
FEWEST_LINES = 40
MOST_FUNCTION_LINES = 50

SHORT_FOR_A_REASON = {
    "geoloc/__main__.py": "python -m geoloc",
    "training/__main__.py": "python -m training, which torchrun starts",
    "geocells/types.py": "names of array types",
    "geoloc/types.py": "names of array types",
    "training/types.py": "names of array types",
    "demo/space/app.py": "the file that a Hugging Face Space runs",
}
"""Modules under 40 lines, and why they stand alone."""

MARKUP = re.compile(r"</?(a|b|div|em|h[1-6]|head|html|li|p|section|span|strong|table|td|tr|ul)[ >]")


def modules() -> list[Path]:
    """Python files of the packages, relative to the root."""
    return sorted(
        path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py")
    )


def test_no_folder_has_more_than_fourteen_modules():
    count = Counter(path.parent.as_posix() for path in modules())
    assert {folder: n for folder, n in count.items() if n > MOST_MODULES} == {}


def test_no_import_cycle_is_left():
    """Imports inside functions and for type checkers count as well."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert "geoloc.answer.ranker" in imports
    assert len(imports) > 200
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(error.args[1]))


def test_a_cycle_would_be_found():
    with pytest.raises(CycleError):
        TopologicalSorter({"a": {"b"}, "b": {"a"}}).prepare()


def test_modules_are_neither_long_nor_tiny():
    lines = {
        path.as_posix(): len((ROOT / path).read_text("utf-8").splitlines()) for path in modules()
    }
    assert {name: n for name, n in lines.items() if n > MOST_LINES} == {}
    tiny = {
        name for name, n in lines.items() if n < FEWEST_LINES and not name.endswith("__init__.py")
    }
    assert tiny == set(SHORT_FOR_A_REASON)


def test_functions_fit_on_a_screen():
    long = {}
    for path in modules():
        for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                body = node.body[0]
                if ast.get_docstring(node):
                    length -= (body.end_lineno or body.lineno) - body.lineno + 1
                if length > MOST_FUNCTION_LINES:
                    long[f"{path}:{node.name}"] = length
    assert long == {}


def test_markup_is_in_templates_only():
    found = {}
    for path in modules():
        tree = ast.parse((ROOT / path).read_text("utf-8"))
        documentation = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and ast.get_docstring(node) is not None
        }
        found |= {
            f"{path}:{node.lineno}": node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in documentation
            and MARKUP.search(node.value)
        }
    assert found == {}
