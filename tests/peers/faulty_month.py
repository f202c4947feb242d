"""A faulty month, checked by `phds check` and by frictionless with the Table Schema that `phds dictionary` prints.

Each rule that both can express must be broken by the same lines of the same columns. Rows of the wrong shape, rules over
several columns or rows, and open codelists are not in a Table Schema, and not planted here.
Usage: faulty_month.py PHDS
"""

import csv
import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from frictionless import Resource, Schema

PERIOD = "2024-12"

# Column, value, and the rule that it breaks; without a rule, both must take it.
PLANTED = [
    ("CLIENT ID", "", "PHDS-F01"),
    ("CLIENT ID", "NULL", "PHDS-F01"),
    ("BIRTH DATE", "", "PHDS-F01"),
    ("VACCINATION DATE", "null", "PHDS-F01"),
    ("BIRTH DATE", "15 June 2021", "PHDS-F03"),
    ("BIRTH DATE", "2021-02-30", "PHDS-F03"),
    ("BIRTH DATE", "2020-02-29", None),
    ("VACCINATION DATE", "2022-13-01", "PHDS-F03"),
    ("ORDINAL POSITION", "1.5", "PHDS-F04"),
    ("ORDINAL POSITION", "-1", "PHDS-F04"),
    ("ORDINAL POSITION", "1000", "PHDS-F04"),
    ("ORDINAL POSITION", "0", None),
    ("ORDINAL POSITION", "007", None),
    ("AGE IN MONTHS", "twelve", "PHDS-F04"),
    ("AGE IN MONTHS", "1801", "PHDS-F04"),
    ("CVX CODE", "997", "PHDS-F05"),
    ("CVX CODE", "MMR", "PHDS-F05"),
    ("CVX CODE", "3", None),
    ("SEX CODE", "Q", "PHDS-F05"),
    ("SEX CODE", "female", None),
    ("ZIP CODE", "7870", "PHDS-F07"),
    ("ZIP CODE", "78701-12", "PHDS-F07"),
    ("ZIP CODE", "787011234", None),
    ("PROVIDER ZIP CODE", "ABCDE", "PHDS-F07"),
    ("PROVIDER CITY", "A" * 101, "PHDS-F08"),
    ("PROVIDER CITY", "A" * 100, None),
    ("SHORT NAME", "B" * 101, "PHDS-F08"),
]
TIMES = 3

# The lists of sexes and of CVX codes are complete here, so that there are enumerations.
CLOSED = "".join(f"[[field]]\nname = '{name}'\nunlisted = 'reject'\n" for name in ("sex", "cvx_code"))
ONE_FORMAT = CLOSED + "".join(f"[[field]]\nname = '{name}'\nformats = ['iso']\n" for name in ("birth_date", "vaccination_date"))

# A field of several date formats is a text with a pattern, which does not know how long a month is.
CASES = {"one date format": (ONE_FORMAT, set()), "three date formats": (CLOSED, {"2021-02-30"})}

RULES = {"required": "PHDS-F01", "minimum": "PHDS-F04", "maximum": "PHDS-F04", "enum": "PHDS-F05", "maxLength": "PHDS-F08"}


def plant(month: Path) -> dict:
    """Puts every value of PLANTED into TIMES rows of their own; returns (column, rule) → {line: value}."""
    with month.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    planted = defaultdict(dict)
    places = iter(range(0, len(rows), len(rows) // (len(PLANTED) * TIMES)))
    for column, value, rule in PLANTED * TIMES:
        row = next(places)
        rows[row][header.index(column)] = value
        if rule:
            planted[column, rule][row + 2] = value
    with month.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return planted


def by_phds(phds: str, folder: Path) -> dict:
    subprocess.run([phds, "check", "month.csv", "--period", PERIOD, "--report", "out", "-q"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    report = json.loads((folder / "out/report.json").read_text(encoding="utf-8"))
    wanted = {rule for _, _, rule in PLANTED}
    found = {}
    for rule in report["rules"]:
        for column in rule.get("by_column", []) if rule["code"] in wanted else []:
            if column["failed"]:
                assert len(column["first_lines"]) == column["failed"], "more findings than lines that are told"
                found[column["column"], rule["code"]] = set(column["first_lines"])
    return found


def by_frictionless(schema: dict, month: Path) -> dict:
    found = defaultdict(set)
    is_date = {field["name"]: "date" in field["phds:role"] for field in schema["fields"]}
    report = Resource(path=month.name, basepath=str(month.parent), schema=Schema.from_descriptor(schema)).validate(limit_errors=10**6)
    for error in (error for task in report.tasks for error in task.errors):
        column = error.field_name
        constraint = re.match(r'constraint "(\w+)"', error.note)
        if error.type == "type-error":
            rule = "PHDS-F03" if is_date[column] else "PHDS-F04"
        elif error.type == "constraint-error" and constraint[1] == "pattern":
            rule = "PHDS-F03" if is_date[column] else "PHDS-F07"
        elif error.type == "constraint-error":
            rule = RULES[constraint[1]]
        else:
            sys.exit(f"failed: frictionless says {error.type}, which nobody planted")
        found[column, rule].add(error.row_number)
    return found


def main(phds: str) -> None:
    passed = 0
    for case, (overlay, beyond) in CASES.items():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "ours.toml").write_text(overlay, encoding="utf-8")
            (folder / "phds.toml").write_text("[dictionary]\nfile = 'ours.toml'\n[check]\nmax_rejected_share = 1.0\n", encoding="utf-8")
            subprocess.run([phds, "synth", "--clients", "100", "--period", PERIOD, "--out", "month.csv", "-q"], cwd=folder, check=True, stderr=subprocess.DEVNULL)
            planted = plant(folder / "month.csv")
            printed = subprocess.run([phds, "dictionary", "--format", "table-schema"], cwd=folder, check=True, capture_output=True)
            ours = by_phds(phds, folder)
            theirs = by_frictionless(json.loads(printed.stdout), folder / "month.csv")
        if ours.keys() | theirs.keys() != planted.keys():
            sys.exit(f"failed: {case}: {sorted((ours.keys() | theirs.keys()) ^ planted.keys())}")
        for (column, rule), lines in sorted(planted.items()):
            expressible = {line for line, value in lines.items() if value not in beyond}
            if ours[column, rule] != set(lines) or theirs.get((column, rule), set()) != expressible:
                sys.exit(f"failed: {case}: {rule} of {column}: planted {sorted(lines)}, phds {sorted(ours[column, rule])}, frictionless {sorted(theirs[column, rule])}")
            passed += 1
            print(f"ok  {case}: {rule} {column}: {len(lines)} by phds, {len(expressible)} by frictionless")
    print(f"frictionless: {passed} checks passed")


if __name__ == "__main__":
    main(str(Path(sys.argv[1]).resolve()))
