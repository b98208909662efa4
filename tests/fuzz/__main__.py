"""``python -m tests.fuzz [--cases N]``: every property with many random examples, then the parser by coverage.

The second part needs atheris, which is not installed by default: ``pip install atheris``.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import time

from hypothesis import HealthCheck, Phase, given, settings

from tests.fuzz.properties import PROPERTIES, Property


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000, help="of all properties together")
    parser.add_argument("--coverage-runs", type=int, default=1_000_000, help="of the parser, with atheris")
    options = parser.parse_args()
    total = sum(try_out(name, tested, round(options.cases * tested.share)) for name, tested in PROPERTIES.items())
    print(f"{total} cases, every property held")
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed: the parser was not fuzzed by coverage")
        return 0
    command = [sys.executable, "-m", "tests.fuzz.by_coverage", f"-runs={options.coverage_runs}", "-max_len=600"]
    return subprocess.run([*command, "-print_final_stats=1"], check=False).returncode


def try_out(name: str, tested: Property, cases: int) -> int:
    """Raises what an example raised, made as small as possible."""
    tried = 0

    def counted(example: object) -> None:
        nonlocal tried
        tried += 1
        tested.holds(example)

    many = settings(
        max_examples=cases,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    started = time.monotonic()
    many(given(tested.inputs)(counted))()
    print(f"{name}: {tried} cases in {time.monotonic() - started:.0f} s", flush=True)
    return tried


if __name__ == "__main__":
    sys.exit(main())
