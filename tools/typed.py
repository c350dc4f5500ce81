"""The share of public names whose types are fully known, as basedpyright sees them from outside (`--verifytypes`).

python tools/typed.py [--list]     needs the packages installed from wheels, in the environment that runs this

Public is every name without an underscore in every module. A name whose type can only be inferred, such as `self.size = size`,
does not count as known: other type checkers may infer something else.
"""

import json
import subprocess
import sys

FLOORS = {  # per cent; raise them as gaps are closed
    "lp_core": 93,
    "lp_io": 95,
    "lp_backbones": 92,
    "lp_heads": 85,
    "lp_losses": 82,
    "lp_detectors": 87,
    "lp_data": 85,
    "lp_data_dali": 99,
    "lp_train": 89,
    "lp_infer": 93,
    "lp_viz": 96,
    "lp_apps": 95,
}


def verified(package: str) -> list[dict]:
    """Public symbols of a package, with what is missing of their types."""
    words = ["basedpyright", "--verifytypes", package, "--ignoreexternal", "--outputjson"]
    found = json.loads(subprocess.run(words, capture_output=True, text=True).stdout)
    if found["summary"]["filesAnalyzed"] == 0:
        sys.exit(f"{package} is not installed from a wheel here: run `nox -s surface`.")
    return [s for s in found["typeCompleteness"]["symbols"] if s["isExported"]]


def share(symbols: list[dict]) -> float:
    """Fully known, per cent."""
    return 100 * sum(s["isTypeKnown"] for s in symbols) / len(symbols)


def row(package: str, symbols: list[dict]) -> str:
    """A line of the table."""
    unknown = sum(not s["isTypeKnown"] and not s["isTypeAmbiguous"] for s in symbols)
    inferred = sum(not s["isTypeKnown"] and s["isTypeAmbiguous"] for s in symbols)
    return f"{package:14}{len(symbols):8}{share(symbols):9.1f} %{inferred:10}{unknown:9}"


def gaps(symbols: list[dict]) -> list[str]:
    """Names with a gap of their own, and the gap."""
    lacking = [s for s in symbols if not s["isTypeKnown"] and s["diagnostics"]]
    return [f"{s['name']}: {s['diagnostics'][0]['message'].splitlines()[0]}" for s in lacking]


def main(words: list[str]) -> int:
    """Print the table; 1 if a package is below its floor."""
    print(f"{'package':14}{'names':>8}{'known':>11}{'inferred':>10}{'unknown':>9}")
    everything, fallen = [], []
    for package, floor in FLOORS.items():
        symbols = verified(package)
        everything += symbols
        print(row(package, symbols), *(gaps(symbols) if "--list" in words else ()), sep="\n  ", flush=True)
        if share(symbols) < floor:
            fallen.append(f"{package} has fewer fully typed public names than {floor} %: `--list` shows the gaps.")
    print(row("all", everything), *fallen, sep="\n")
    return bool(fallen)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
