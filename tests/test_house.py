"""The house rules that a machine can check: import arrows, packaging, sizes, exit codes."""

from __future__ import annotations

import ast
import fnmatch
import inspect
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from flexp import errors

ROOT = Path(__file__).resolve().parent.parent
ARROWS = ("errors", "catalog", "profiler", "planner", "runtime", "cli")  # each sees those before it
TORCH_FREE = (
    "planner/*.py",
    "catalog/*.py",
    "profiler/profile.py",
    "profiler/cache.py",
    "cli/*.py",
)
MAX_LINES = 400


def modules() -> list[Path]:
    """Every module of the package, as a path relative to the root."""
    found = [Path("__init__.py"), Path("errors.py")]
    for package in ARROWS[1:]:
        found += [path.relative_to(ROOT) for path in sorted((ROOT / package).rglob("*.py"))]
    return found


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of each import, lazy ones included; names inside flexp drop "flexp."."""
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.removeprefix("flexp.")
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = path.parent.parts[: len(path.parent.parts) - node.level + 1]
                base = ".".join((*parents, *base.split("."))).strip(".")
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}".removeprefix("flexp.").strip(".")


@pytest.mark.parametrize("path", modules(), ids=str)
def test_imports_follow_the_arrows(path: Path) -> None:
    owner = path.parts[0].removesuffix(".py")
    if owner == "__init__":
        assert list(imported(path)) == []
        return
    wrong = [
        f"{path}:{line}: {owner} imports {name}"
        for line, name in imported(path)
        if name.split(".")[0] in ARROWS and ARROWS.index(name.split(".")[0]) > ARROWS.index(owner)
    ]
    assert wrong == []


def torch_free_modules() -> list[str]:
    paths = [path for pattern in TORCH_FREE for path in sorted(ROOT.glob(pattern))]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths]
    return [f"flexp.{name.removesuffix('.__init__')}" for name in names]


def test_planner_and_contracts_start_without_torch() -> None:
    script = (
        f"import importlib, sys\nfor name in {torch_free_modules()!r}:\n"
        "    importlib.import_module(name)\n"
        "print(sorted({'torch', 'transformers', 'peft'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_planner_never_imports_torch_even_lazily() -> None:
    users = [
        f"{path}:{line}"
        for path in modules()
        if path.parts[0] == "planner"
        for line, name in imported(path)
        if name.split(".")[0] in ("torch", "transformers", "peft")
    ]
    assert users == []


def setuptools_settings() -> dict[str, dict[str, list[str]]]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "setuptools"
    ]


def test_every_package_is_installed() -> None:
    folders = {
        ".".join(("flexp", *path.parent.parts))
        for path in modules()
        if path.name == "__init__.py" or len(path.parts) > 1
    }
    assert sorted(setuptools_settings()["packages"]) == sorted(folders)


def test_every_data_file_is_installed() -> None:
    missing = []
    for package, patterns in setuptools_settings()["package-data"].items():
        folder = ROOT.joinpath(*package.split(".")[1:])
        for pattern in patterns:
            assert list(folder.glob(pattern)), f"{package}: no file matches {pattern}"
    for package in ARROWS[1:]:
        patterns = setuptools_settings()["package-data"].get(f"flexp.{package}", [])
        for path in (ROOT / package).rglob("*"):
            name = str(path.relative_to(ROOT / package))
            code = path.suffix in (".py", ".pyc") or path.is_dir()
            if not code and not any(fnmatch.fnmatch(name, pattern) for pattern in patterns):
                missing.append(f"{package}/{name}")
    assert missing == []


def test_modules_stay_small() -> None:
    paths = [*(ROOT / path for path in modules()), *(ROOT / "tests").rglob("*.py")]
    long = [
        f"{path.relative_to(ROOT)}: {lines} lines"
        for path in [*paths, *(ROOT / "benchmarks").rglob("*.py")]
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_LINES
    ]
    assert long == []


def exit_codes() -> dict[str, int]:
    classes = inspect.getmembers(errors, inspect.isclass)
    return {name: kind.exit_code for name, kind in classes if issubclass(kind, errors.FlexpError)}


def test_exit_codes_are_distinct_and_leave_typers_own_alone() -> None:
    codes = list(exit_codes().values())
    assert len(set(codes)) == len(codes)
    assert not {0, 2, 130} & set(codes)


def test_exit_codes_in_the_docstring() -> None:
    drawn = re.findall(r"(\w+Error) +(\d+) ", errors.__doc__ or "")
    assert {name: int(code) for name, code in drawn} == exit_codes()


def test_exit_codes_in_the_documentation() -> None:
    text = (ROOT / "docs" / "exit-codes.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \|(?: (\w+))? \|", text, re.MULTILINE)
    assert {name: int(code) for code, name in rows if name} == exit_codes()
    assert {int(code) for code, name in rows if not name} == {0, 2, 130}


def test_only_the_planners_own_highs_is_run() -> None:
    """PuLP's runs with as many threads as there are cores. HiGHS takes the number of the first run
    in a process and refuses another one later: no program would be solved any more."""
    users = [
        str(path)
        for path in modules()
        if "pulp.HiGHS(" in (ROOT / path).read_text(encoding="utf-8")
    ]
    assert users == []
