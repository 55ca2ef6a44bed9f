"""Compile the messages under protos/ into auditor/protobuf/.

    python protos/compile.py           write the modules
    python protos/compile.py --check   exit 1 if what is committed is not what protos/ compiles to

Needs the pinned grpcio-tools of the extra `dev`: another protoc writes other bytes.
"""

import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

PROTOS = Path(__file__).resolve().parent
TARGET = PROTOS.parent / "auditor" / "protobuf"


def compile_into(folder: Path) -> dict[str, bytes]:
    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
    include = str(files("grpc_tools") / "_proto")
    command = ["protoc", f"-I{PROTOS}", f"-I{include}", f"--python_out={folder}", f"--pyi_out={folder}"]
    if code := protoc.main([*command, *sources]):
        raise SystemExit(code)
    return {path.name: path.read_bytes() for path in (folder / "auditor" / "protobuf").iterdir()}


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        compiled = compile_into(Path(folder))
    compiled["__init__.py"] = b'"""Generated from protos/ by protos/compile.py."""\n'
    present = {path.name: path.read_bytes() for path in TARGET.iterdir() if path.is_file()} if TARGET.exists() else {}
    if "--check" in sys.argv[1:]:
        differing = sorted(name for name in compiled.keys() | present.keys() if compiled.get(name) != present.get(name))
        for name in differing:
            print(f"auditor/protobuf/{name} is not what protos/ compiles to: run python protos/compile.py")
        return 1 if differing else 0
    TARGET.mkdir(exist_ok=True)
    for name in present.keys() - compiled.keys():
        (TARGET / name).unlink()
    for name, content in compiled.items():
        (TARGET / name).write_bytes(content)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
