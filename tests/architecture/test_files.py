"""The tree keeps its form: small modules, no drawers, nothing of the machine that it was written on."""

import re

import pytest

from tests.architecture.source_tree import project_files, read, written_modules

LONGEST_MODULE_LINES = 300
DRAWERS = {"utils", "util", "helpers", "helper", "common", "base", "misc"}

PATHS = re.compile(r"(?<![\w.{}-])/(?:work|home|root|Users)/(?!\.cache/pip\b)\w[^\s`'\",;)]*")
HOSTS = re.compile(
    r"https?://[^\s/]*(?:pypi|pythonhosted|artifactory|nexus|devpi|registry|mirror|proxy|pkg|wheels?\.|download\.)[^\s]*"
    r"|https?://(?!127\.0\.0\.1|0\.0\.0\.0)\d+\.\d+\.\d+\.\d+[^\s]*"
    r"|--(?:extra-)?index-url[ =]\S*//\S*|\S+/simple/?(?=[\s'\"]|$)",
    flags=re.IGNORECASE,
)


def test_no_module_is_long() -> None:
    """A module of services or shared has at most 300 lines: one idea each."""
    modules = [path for path in written_modules() if path.parts[0] in ("services", "shared")]
    lengths = {str(path): len(read(path).splitlines()) for path in modules}
    assert len(lengths) > 10
    assert {name: length for name, length in lengths.items() if length > LONGEST_MODULE_LINES} == {}


def test_no_module_is_a_drawer() -> None:
    """No module or package has a name that would take in anything."""
    assert [str(path) for path in written_modules() if DRAWERS & {path.stem, *path.parts[:-1]}] == []


def test_every_module_says_what_it_is() -> None:
    """Every module of services, shared and tests that holds code opens with a docstring."""
    silent = [
        str(path)
        for path in written_modules()
        if read(path).strip() and not read(path).lstrip().startswith(('"""', 'r"""', "#!"))
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (PATHS, "see /ho" + "me/someone/data"),
        (PATHS, "cd /wo" + "rk/tree && make"),
        (HOSTS, "http" + "://pypi.example.com/packages"),
        (HOSTS, "http" + "://10.0.0.7:8080/x"),
        (HOSTS, "pip install --index" + "-url https://example.com/index"),
        (HOSTS, "= https://example.com/root/sim" + "ple/"),
    ],
)
def test_the_patterns_catch(pattern: re.Pattern[str], text: str) -> None:
    """The patterns of the next test do catch what they are made for."""
    assert pattern.search(text)


def test_no_file_knows_a_machine() -> None:
    """No file names a folder of somebody's machine, a package registry or an address."""
    found = [
        f"{path}:{number}: {match[0]}"
        for path in project_files()
        for number, line in enumerate(read(path).splitlines(), start=1)
        for pattern in (PATHS, HOSTS)
        if (match := pattern.search(line))
    ]
    assert found == []
