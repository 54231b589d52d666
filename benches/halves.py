"""Results by the widest vectors that engines had: on a machine with AVX-512 all are also measured held to AVX2.

A half is a file, `results/<bench>-<vectors>.json`, and a section of `results/<bench>.md`. A half that can't be measured
here keeps its date and processor.
"""

import json
import os
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benches" / "results"
HELD_TO_AVX2 = {
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "",  # those of the name; else Numba adds all that the processor has
    "OPENBLAS_CORETYPE": "Haswell",
    "CT2_FORCE_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
}
VECTORS = {"avx512f": "AVX-512", "avx2": "AVX2", "avx": "AVX", "sse2": "SSE2", "neon": "NEON"}
TITLES = {"avx2": "AVX2", "avx512": "AVX-512"}
Found = dict[str, Any]


def machine() -> Found:
    """The processor, its widest vectors, and how many cores this process may use."""
    has = llvm.get_host_cpu_features()
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return {
        "processor": f"{[*named, platform.processor() or platform.machine()][0]} ({llvm.get_host_cpu_name()})",
        "vectors": next((name for feature, name in VECTORS.items() if has.get(feature)), "unknown"),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
    }


def halves() -> dict[str, dict[str, str]]:
    """The halves that can be measured here, and the environment that makes each; at their best, engines are let be."""
    best = machine()["vectors"].lower().replace("-", "")
    return {"avx2": HELD_TO_AVX2, best: {}} if best == "avx512" else {best: {}}


def now() -> Found:
    """When a run began, and how busy the machine was."""
    return {"date": datetime.now(UTC).isoformat(" ", "minutes")[:16], "load_before": os.getloadavg()[0]}


def keep(folder: Path, bench: str, half: str, case: str, found: Found) -> None:
    """Put a case into its half. Cases of another machine go: a half never mixes two."""
    path = folder / f"{bench}-{half}.json"
    new = {"machine": machine(), "held": halves()[half], "cases": {}}
    old = json.loads(path.read_text()) if path.exists() else new
    kept = old if {**old, "cases": {}} == new else new
    kept["cases"][case] = found
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(kept, indent=1) + "\n")


def read(folder: Path, bench: str) -> dict[str, Found]:
    """The halves that there are."""
    paths = folder.glob(f"{bench}-*.json")
    return {path.stem.removeprefix(f"{bench}-"): json.loads(path.read_text()) for path in paths}


def page(about: list[str], found: dict[str, Found], section: Callable[[Found], list[str]]) -> str:
    """Markdown: a section for each half, with its machine, versions and dates."""
    lines = about
    for half in dict.fromkeys([*TITLES, *sorted(found)]):
        lines = [*lines, "", f"## {TITLES.get(half, half)}", ""]
        if half in found:
            lines += [*heading(found[half]), "", *section(found[half]), "", *footnotes(found[half])]
        else:
            lines += [f"Not measured yet: this half waits for a machine with {TITLES[half]}."]
    return "\n".join(lines) + "\n"


def heading(half: Found) -> list[str]:
    """Processor, vectors, cores, versions."""
    here = half["machine"]
    held = ", all engines held to AVX2" if half["held"] else ""
    engines = [engine for case in half["cases"].values() for engine in case["engines"].values()]
    versions = sorted({f"{name} {version}" for engine in engines for name, version in engine["versions"].items()})
    return [
        f"{here['processor']}, {here['cores']} cores, widest vectors {here['vectors']}{held}. Python {here['python']}, "
        f"{', '.join(versions)}."
    ]


def footnotes(half: Found) -> list[str]:
    """How each case was run."""
    lines = []
    for name, case in half["cases"].items():
        how = f"{case['rounds']} rounds, load {case['load_before']:.1f} before. {case['note']}"
        lines.append(f"* {name}, {case['date']}: {how}".rstrip())
    return lines
