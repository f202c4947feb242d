"""Tries phds_release on tiny releases, sound and broken. Run: python test_phds_release.py"""

import csv
import hashlib
import io
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet

from phds_release import ReleaseError, month_folders, read_release, releases_folder
from phds_release.figure import classes_of, middle_of, rates_by_row, read_shapes

COUNT, SHARE = "count", "share"
RATE = {"rate": SHARE, "ci_low": SHARE, "ci_high": SHARE}
SHARES = {"numerator": COUNT, "denominator": COUNT} | RATE
FUNNEL = SHARES | {"limit_998_low": SHARE, "limit_95_low": SHARE, "limit_95_high": SHARE, "limit_998_high": SHARE}
CURVE = {"age_months": COUNT, "at_risk": COUNT, "events": COUNT, "censored": COUNT} | RATE
DOSES = {"persons": COUNT, "doses": COUNT}

SHOWN = "Travis,m,30,40,0.75,0.6,0.86,shown,internal\n"
ZERO = "Unknown,m,0,40,0,0,0.09,zero,internal\n"
UNRELIABLE = "Hays,m,12,12,1,0.73,1,unreliable,internal\n"
SUPPRESSED = "Loving,m,,,,,,suppressed,internal\n"
SOUND = SHOWN + ZERO + UNRELIABLE + SUPPRESSED
POPULATION = {"denominators": [{"source": "population:p", "description": "d"}]}
passed = 0


def release(
    folder, rows=SOUND, name="table.csv", form="csv", beside="release.json", numbers=SHARES, labels=("county",), content=None, **changes
):
    """Write a release and return its folder. `changes` are to release.json; None takes a key out."""
    doses = numbers is DOSES
    columns = [*labels, *([] if doses else ["measure"]), *numbers, "status", "audience"]
    content = content or (",".join(columns) + "\n" + rows).encode()
    metadata = {
        "schema_version": 2, "release_id": "r", "audience": "internal", "marking": "INTERNAL",
        "tool": {"name": "phds", "version": "0"}, "indicator": "doses" if doses else "coverage", "indicator_definition": "d",
        "measure": None if doses else {"id": "m", "title": "M", "definition": "d", "version": "1", "fingerprint": "f"},
        "cohort": {"description": "c", "as_of": "2026-10-31"},
        "denominators": [{"source": "clients", "description": "d"}],
        "dimensions": [{"id": "county", "title": "County"}], "labels": list(labels),
        "numbers": [{"name": number, "title": number, "unit": unit} for number, unit in numbers.items()],
        "interval": None if doses else {"method": "wilson", "level": 0.95}, "reporting_period": "2026-10", "delivery": {"sha256": "0"},
        "dictionary": {"fingerprint": "f"}, "disclosure": {"k": 11, "fingerprint": "f"}, "caveats": [],
        "table": {"format": form, "file": name, "sha256": hashlib.sha256(content).hexdigest(), "rows": rows.count("\n"), "columns": columns},
    }  # fmt: skip
    metadata = {key: value for key, value in (metadata | changes).items() if value is not None}
    (folder / name).write_bytes(content)
    (folder / beside).write_text(json.dumps(metadata))
    return folder


def check(name, holds):
    global passed
    if not holds:
        raise SystemExit(f"failed: {name}")
    passed += 1
    print(f"ok  python reader: {name}")


def accepts(name, *rows, **changes):
    with tempfile.TemporaryDirectory() as folder:
        table, _ = read_release(release(Path(folder), "".join(row + "\n" for row in rows), **changes))
        check(f"accepts {name}", table.num_rows == len(rows))


def refuses(name, words, prepare):
    """`prepare` gets an empty folder and returns the path to read; the refusal must say `words`."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            read_release(prepare(Path(folder)))
        except ReleaseError as refusal:
            check(f"refuses {name}", words in str(refusal) and "77" not in str(refusal).replace(folder, ""))
        else:
            raise SystemExit(f"failed: accepts {name}")


def says(name, words, ask):
    try:
        ask()
    except ReleaseError as refusal:
        check(name, words in str(refusal))
    else:
        raise SystemExit(f"failed: {name}")


def with_row(row):
    return lambda folder: release(folder, SHOWN + row + "\n")


def of(numbers, *rows, **changes):
    return lambda folder: release(folder, "".join(row + "\n" for row in rows), numbers=numbers, **changes)


def tampered(folder):
    table = release(folder) / "table.csv"
    table.write_text(table.read_text().replace("30,40", "31,40"))
    return folder


def without(name):
    def prepare(folder):
        (release(folder) / name).unlink()
        return folder

    return prepare


def outside(folder):
    file = release(folder) / "release.json"
    file.write_text(file.read_text().replace('"table.csv"', '"../table.csv"'))
    return folder


def binary(table, form):
    """A release with `table` in another format than CSV."""
    buffer = io.BytesIO()
    if form == "json":
        buffer.write(json.dumps(table.to_pylist()).encode())
    elif form == "parquet":
        pa.parquet.write_table(table, buffer)
    else:
        pa.feather.write_feather(table, buffer)
    return lambda folder: release(folder, name=f"table.{form}", form=form, content=buffer.getvalue())


with tempfile.TemporaryDirectory() as folder:
    path = release(Path(folder))
    table, metadata = read_release(path)
    rows = {row["status"]: row for row in table.to_pylist()}
    check("reads a folder", table.num_rows == 4 and metadata["measure"]["id"] == "m")
    check("keeps a suppressed row null", all(rows["suppressed"][name] is None for name in SHARES))
    check("keeps a zero a zero", rows["zero"]["numerator"] == 0 and rows["zero"]["rate"] == 0)
    check("reads the rate of an unreliable row", rows["unreliable"]["rate"] == 1)
    check("reads a table by its path", read_release(path / "table.csv")[0].equals(table))

with tempfile.TemporaryDirectory() as folder:
    release(Path(folder), beside="table.csv.release.json", release_id="own")
    release(Path(folder), release_id="shared")
    check("takes <file>.release.json first", read_release(Path(folder) / "table.csv")[1]["release_id"] == "own")

for form in ("json", "parquet", "arrow"):
    with tempfile.TemporaryDirectory() as folder:
        check(f"reads {form} as it reads csv", read_release(binary(table, form)(Path(folder)))[0].equals(table))

leaking = pa.Table.from_pylist(table.to_pylist()[:3] + [table.to_pylist()[3] | {"numerator": 77}], schema=table.schema)
refuses("a tampered table", "SHA-256 differs", tampered)
refuses("a suppressed row with a number", "row 2 is withheld", with_row("Loving,m,77,,,,,suppressed,internal"))
refuses("a suppressed row with an interval", "ci_low", with_row("Loving,m,,,,0.77,,suppressed,internal"))
refuses("a suppressed row with zero in it", "numerator", with_row("Loving,m,0,,,,,suppressed,internal"))
refuses("a row of nobody with a rate", "carries a number in rate", with_row("Loving,m,,,0.77,,,not_applicable,internal"))
refuses("a suppressed row with a number in parquet", "is withheld", binary(leaking, "parquet"))
refuses("a suppressed row with a number in json", "is withheld", binary(leaking, "json"))
refuses("json of another form", "cannot be read as json", lambda folder: release(folder, form="json", content=b'[{"county": "a"}, 77]'))
refuses("a table for people", "not for programs", lambda folder: release(folder, form="md"))
refuses("a missing folder", "no release at", lambda folder: folder / "none")
refuses("a missing release.json", "no release.json", without("release.json"))
refuses("a missing table", "no table", without("table.csv"))
refuses("another table's release.json", "does not describe", lambda f: (release(f) / "table.csv").rename(f / "other.csv"))
refuses("a table outside the folder", "without a folder", outside)
refuses("schema_version 1", "use the notebooks of the phds version", lambda f: release(f, schema_version=1))
refuses("release.json without a marking", "nothing under marking", lambda f: release(f, marking=None))
refuses("rates without a measure", "nothing under measure.id", lambda f: release(f, measure=None))
refuses("a number of another unit", "count or share", lambda f: release(f, numbers=SHARES | {"rate": "percent"}))
refuses("other columns", "columns must be", lambda f: release(f, labels=["county"], content=b"zip,status\n"))
refuses("an unknown status", "unknown status", with_row("Loving,m,,,,,,hidden,internal"))
refuses("a row without a label", "has no county", with_row(",m,30,40,0.75,0.6,0.86,shown,internal"))
refuses("a row for another audience", "another audience", with_row("Loving,m,,,,,,suppressed,public"))
refuses("a row of another measure", "another measure", with_row("Loving,n,,,,,,suppressed,internal"))
refuses("a rate in percent", "outside 0 to 1", with_row("Hays,m,30,40,77,60,86,shown,internal"))
refuses("a number that is text", "no readable number", with_row("Hays,m,x77,40,0.75,0.6,0.86,shown,internal"))
refuses("half a client", "no readable number", with_row("Hays,m,0.77,40,0.75,0.6,0.86,shown,internal"))
refuses("a shown row without a number", "no numerator", with_row("Hays,m,,,,,,shown,internal"))
refuses("a numerator above its denominator", "more numerator than denominator", with_row("Hays,m,77,40,0.75,0.6,0.86,shown,internal"))
refuses("a rate outside its interval", "outside its interval", with_row("Hays,m,30,40,0.77,0.8,0.86,shown,internal"))
refuses("half an interval", "half an interval", with_row("Hays,m,30,40,0.77,0.6,,shown,internal"))
refuses("a zero that is none", "status zero", with_row("Hays,m,30,40,0.75,0.6,0.86,zero,internal"))
refuses("a row told twice", "repeats", with_row(SHOWN.strip()))
refuses("a row that is cut short", "fewer fields", with_row("Hays,m,30"))

# Each kind has numbers of its own.
accepts("more of a population than it has", "Hays,m,45,40,1.125,0.91,1,shown,internal", **POPULATION)
accepts(
    "denominators side by side",
    "Hays,population:p,m,45,40,1.125,0.91,1,shown,internal",
    "Hays,clients,m,30,40,0.75,0.6,0.86,shown,internal",
    labels=["county", "denominator_source"],
)
refuses(
    "more than all clients beside a population",
    "outside 0 to 1",
    of(SHARES, "Hays,clients,m,45,40,1.125,0.91,1,shown,internal", labels=["county", "denominator_source"]),
)
refuses("an interval above 1 of a population", "ci_high outside", of(SHARES, "Hays,m,45,40,1.125,0.91,1.2,shown,internal", **POPULATION))
accepts("limits", "Hays,m,30,40,0.75,0.6,0.86,0.6,0.7,0.9,0.95,shown,internal", numbers=FUNNEL)
refuses("limits that cross", "limits that do not rise", of(FUNNEL, "Hays,m,30,40,0.75,0.6,0.86,0.7,0.6,0.9,0.95,shown,internal"))
CURVE_2021 = "2021,m,12,90,0,0,0,,,shown,internal", "2021,m,13,90,45,0,0.5,0.4,0.6,shown,internal"
accepts("a curve", *CURVE_2021, "2022,m,,,,,,,,suppressed,internal", numbers=CURVE)
refuses("a curve that goes back in age", "rise with age", of(CURVE, *reversed(CURVE_2021)))
refuses("a curve that falls", "rise with age", of(CURVE, *CURVE_2021, "2021,m,14,45,0,0,0.4,0.3,0.5,shown,internal"))
refuses("more events than are at risk", "more events than at_risk", of(CURVE, "2021,m,13,40,77,0,0.5,0.4,0.6,shown,internal"))
accepts("doses", "2024-01,30,40,shown,internal", "2024-02,,,suppressed,internal", numbers=DOSES, denominators=[])
refuses("more persons than doses", "more persons than doses", of(DOSES, "2024-01,77,40,shown,internal", denominators=[]))


# What would make a zero of a withheld number is refused.
with tempfile.TemporaryDirectory() as folder:
    sound = read_release(release(Path(folder)))
    frame = sound.to_pandas()
    check("counts rows by status", sound.statuses == {"shown": 1, "zero": 1, "unreliable": 1, "suppressed": 1})
    check("gives the caveats", sound.caveats == [])
    check("arithmetic on a withheld number is missing", (frame["numerator"] / frame["denominator"]).isna().tolist() == [False] * 3 + [True])
    for name, zero in {
        "a sum": lambda: frame["numerator"].sum(),
        "a sum by numpy": lambda: np.sum(frame["numerator"]),
        "a sum by name": lambda: frame["numerator"].agg("sum"),
        "a sum of the frame": lambda: frame.sum(),
        "a running sum": lambda: frame["numerator"].cumsum(),
        "zeros in gaps": lambda: frame["rate"].fillna(0),
        "zeros in gaps of a part": lambda: frame[["county", "rate"]].fillna({"rate": 0}),
        "groups": lambda: frame.groupby("audience")["numerator"].sum(),
        "groups of a column": lambda: frame["numerator"].groupby(frame["audience"]).sum(),
        "a pivot table": lambda: frame.pivot_table("numerator", "audience", aggfunc="sum"),
    }.items():
        says(f"refuses {name} with a withheld row", "would count them as zero", zero)
    told = frame[frame["status"] != "suppressed"]
    check(
        "adds up rows that all have numbers", told["numerator"].sum() == 42 and told.groupby("audience")["numerator"].sum().tolist() == [42]
    )
    check("counts words, missing or not", frame["status"].eq("suppressed").sum() == 1)

    zeroed = pd.DataFrame(frame).fillna({"rate": 0.0})
    says("draws no withheld row that has got a number", "got a number on the way", lambda: rates_by_row(sound, "county", rows=zeroed))

# A map: classes around all rates, borders out of steps, and the middle of an L of three squares.
with tempfile.TemporaryDirectory() as folder:
    check("finds classes around all rates", (classes_of([0.501, 0.85]), classes_of([0.5])) == ([50, 60, 70, 80, 90], [50, 51]))
    (Path(folder) / "shapes.csv").write_text("label,rings\nL,1000 2000 2000 0 0 1000 -1000 0 0 1000 -1000 0\n")
    [ring] = read_shapes(Path(folder) / "shapes.csv")["L"]
    check("reads the borders of a shape", np.allclose(ring, [(1, 2), (3, 2), (3, 3), (2, 3), (2, 4), (1, 4)]))
    check("finds the middle of a shape", np.allclose(middle_of(ring), (1 + 5 / 6, 2 + 5 / 6, 2, 2)))

# Labels that a spreadsheet would compute come with an apostrophe, in CSV alone.
GUARDED = ["'=1+1", "'+1", "'-1", "'@a", "'\ta", "'\ra", "'a", "''=", "O'Brien", "=1"]
TRUE = ["=1+1", "+1", "-1", "@a", "\ta", "\ra", "'a", "'=", "O'Brien", "=1"]


def named(names):
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([name, *SUPPRESSED.strip().split(",")[1:]] for name in names)
    return text.getvalue()


with tempfile.TemporaryDirectory() as folder:
    header = ",".join(sound.table.column_names) + "\n"
    sizes = sound.metadata["table"] | {"format": "csv", "file": "table.csv", "rows": len(GUARDED)}
    for name, content in {
        "a label": header + named(GUARDED),
        "a label after a byte order mark": "\ufeff" + header + named(GUARDED),
    }.items():
        digest = {"sha256": hashlib.sha256(content.encode()).hexdigest()}
        path = release(Path(folder), content=content.encode(), table=sizes | digest)
        check(f"takes the apostrophe off {name}", read_release(path).table["county"].to_pylist() == TRUE)
    parquet = sound.table.set_column(0, "county", [["'=a", "b", "c", "d"]])
    check("keeps an apostrophe in parquet", read_release(binary(parquet, "parquet")(Path(folder))).table["county"][0].as_py() == "'=a")

with tempfile.TemporaryDirectory() as folder:
    os.environ["PHDS_RELEASES"] = folder
    says("names the question file when there is no month", "phds query notebooks/monthly.toml", month_folders)
    for name in ("2024-12", "2024-11", "by_county"):
        (Path(folder) / name).mkdir()
    check("finds the months in their order", [month.name for month in month_folders()] == ["2024-11", "2024-12"])
says("names the command when there are no releases", "cargo run --release -- demo", lambda: releases_folder("by_county"))
print(f"{passed} checks passed")
