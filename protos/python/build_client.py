"""`make client`: the wheel `tagsmith-client`, generated from the protos at their canonical paths.

The services' own stubs (`shared.stubs`) hold the same messages under another import path. A process must import only one of
the two: protobuf knows each message once.
"""

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import grpc_tools
from grpc_tools import protoc

_HERE = Path(__file__).resolve().parent
_PROTOS = _HERE.parent
_ROOT = _PROTOS.parent


def generate(target: Path) -> None:
    """Write the package `tagsmith` into `target`: messages, their types, and gRPC stubs."""
    files = sorted(path.relative_to(_PROTOS).as_posix() for path in (_PROTOS / "tagsmith").rglob("*.proto"))
    outputs = (f"--python_out={target}", f"--pyi_out={target}", f"--grpc_python_out={target}")
    # google.rpc and google.api lie in the wheel of their stubs, google.protobuf in that of protoc.
    sources = (_PROTOS, sysconfig.get_path("purelib"), Path(grpc_tools.__file__).parent / "_proto")
    includes = [f"-I{source}" for source in sources]
    if protoc.main(["protoc", *includes, *outputs, *files]) != 0:
        raise SystemExit("protoc failed")
    for folder in {parent for name in files for parent in Path(name).parents if parent != Path()}:
        (target / folder / "__init__.py").write_text("", "utf-8")
    (target / "tagsmith" / "py.typed").write_text("", "utf-8")


def build(work: Path, out: Path) -> None:
    """Generate into the folder `work`, which is emptied first, and put the wheel into `out`."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    generate(work)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(_HERE / name, work)
    version = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(work)],
        env={**os.environ, "TAGSMITH_VERSION": version},
        check=True,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=_ROOT / "build" / "client")
    parser.add_argument("--out", type=Path, default=_ROOT / "dist")
    arguments = parser.parse_args()
    build(arguments.work, arguments.out)
