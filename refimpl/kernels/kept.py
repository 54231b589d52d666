"""Compiled code on disk: where it is kept, for which machine and which sources it is good, and how it is loaded.

The code lies beside the sources, in the user's cache folder if that cannot be written, or where NUMBA_CACHE_DIR says.
Where none can be written, each process compiles anew. A full disk or a damaged file costs time only.

Spec: kernels.cache
"""

import importlib.util
import json
import os
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import llvmlite.binding as llvm

_FOLDER = Path(__file__).parent
_NOT_CODE = ("NUMBA_CACHE_DIR", "NUMBA_NUM_THREADS")  # what does not change the code
Kinds = tuple[str, ...]  # of each argument: "int", "float", or an array's element type and number of dimensions
_engines: list[Any] = []  # they own the code that was loaded


class Code(NamedTuple):
    """Machine code, the name of the function that is called from outside, and the names that it calls outside."""

    symbol: str
    outside: list[str]
    object: bytes


def load(name: str, kinds: Kinds) -> int:
    """The address of a function whose code was kept, 0 if there is none that is good here."""
    stamp = _stamp()
    for folder in _folders():
        with suppress(Exception):  # there is none, or it is damaged in one of many ways
            head, _, code = (folder / _file(name, kinds)).read_bytes().partition(b"\n")
            about = json.loads(head)
            if about["stamp"] == stamp and about["sum"] == zlib.crc32(code):
                return _linked(Code(about["symbol"], about["outside"], code))
    return 0


def keep(name: str, kinds: Kinds, code: Code) -> None:
    """Write the code of a function to the first folder that can be written."""
    about = {"stamp": _stamp(), "symbol": code.symbol, "outside": code.outside, "sum": zlib.crc32(code.object)}
    for folder in _folders():
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            handle, path = tempfile.mkstemp(dir=folder)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(json.dumps(about).encode() + b"\n" + code.object)
                Path(path).replace(folder / _file(name, kinds))  # another process sees all of it or nothing
            except OSError:
                Path(path).unlink()
                raise
            return


def _linked(code: Code) -> int:
    """Put machine code into this process, 0 if it calls what is not there."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    triple = llvm.get_process_triple()
    module = llvm.parse_assembly(f'target triple = "{triple}"')
    engine = llvm.create_mcjit_compiler(module, llvm.Target.from_triple(triple).create_target_machine(jit=True))
    for name in code.outside:
        if llvm.address_of_symbol(name) is None:
            if not name.startswith("NRT_"):
                return 0
            # Numba's own: it frees arrays that compiled code made, and ours makes none.
            llvm.add_symbol(name, llvm.address_of_symbol("abort"))
    engine.add_object_file(llvm.ObjectFileRef.from_data(code.object))
    engine.finalize_object()
    _engines.append(engine)
    return int(engine.get_function_address(code.symbol))


def _folders() -> Iterator[Path]:
    """Where code may be kept, in the order in which it is tried."""
    place = f"refimpl-{zlib.crc32(str(_FOLDER).encode()):08x}"  # each installation has its own
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(chosen) / place
        return
    yield _FOLDER / "__pycache__"
    home = {"win32": "LOCALAPPDATA", "darwin": ""}.get(sys.platform, "XDG_CACHE_HOME")
    default = "~/Library/Caches" if sys.platform == "darwin" else "~/.cache"
    with suppress(RuntimeError):  # no home
        yield Path(os.environ.get(home) or default).expanduser() / "refimpl" / place


def _file(name: str, kinds: Kinds) -> str:
    return f"{name}-{zlib.crc32(' '.join(kinds).encode()):08x}.code"


def _stamp() -> str:
    """What the code depends on: all sources of kernels, the compiler and its settings, and the processor."""
    files = sorted(_FOLDER.glob("*.py"))
    for package in ("numba", "llvmlite"):
        found = importlib.util.find_spec(package)  # does not import it
        files.append(Path(str(found and found.origin)).with_name("_version.py"))
    stats = [(file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files if file.exists()]
    settings = {key: value for key, value in os.environ.items() if key.startswith("NUMBA_") and key not in _NOT_CODE}
    return repr((stats, sorted(settings.items()), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()))
