"""Releases of an invented month as Data Packages, held to their tables by frictionless.

Usage: packages.py PHDS
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from frictionless import Package

PERIOD = "2024-12"
QUESTIONS = Path(__file__).parents[2] / "notebooks/monthly.toml"


def problems(package: Path) -> list:
    """What frictionless has to say against a package and its tables."""
    return Package(str(package)).validate().flatten(["name", "type", "note"])


def main(phds: str) -> None:
    passed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = lambda *words: subprocess.run([phds, "-q", *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        run("synth", "--clients", "20000", "--period", PERIOD, "--out", "month.csv")
        run("load", "month.csv", "--period", PERIOD, "--store", "store")
        for form in [["csv"], ["csv", "--bom"], ["json"]]:
            out = "-".join(["out", *form])
            run("query", str(QUESTIONS), "--store", "store", "--out", out, "--format", *form)
            package = folder / out / "datapackage.json"
            found = problems(package)
            if found:
                sys.exit(f"failed: {' '.join(form)}: {found}")
            resources = json.loads(package.read_text(encoding="utf-8"))["resources"]
            print(f"ok  {' '.join(form)}: {len(resources)} releases")
            passed += len(resources)
            # A table that is not the one described must be found, or nothing was looked at.
            table = package.parent / resources[0]["path"]
            table.write_bytes(table.read_bytes().replace(b"shown", b"shone"))
            if not problems(package):
                sys.exit(f"failed: {' '.join(form)}: a changed table passes")
            passed += 1
    print(f"frictionless: {passed} checks passed")


if __name__ == "__main__":
    main(str(Path(sys.argv[1]).resolve()))
