"""Tries phds_release.py on tiny releases, sound and broken. Run: python test_phds_release.py"""

import hashlib
import io
import json
import os
import tempfile
from pathlib import Path

import pandas as pd

from phds_release import ReleaseError, read_release, releases_folder

HEADER = "county,measure,numerator,denominator,rate,ci_low,ci_high,status,audience\n"
SHOWN = "Travis,m,30,40,0.75,0.6,0.86,shown,internal\n"
ZERO = "Unknown,m,0,40,0,0,0.09,zero,internal\n"
SUPPRESSED = "Loving,m,,,,,,suppressed,internal\n"
SOUND = HEADER + SHOWN + ZERO + SUPPRESSED
passed = 0


def release(folder, table=SOUND, name="table.csv", form="csv", beside=None, **changes):
    """Write a release and return its folder. `changes` are to release.json; None takes a key out."""
    content = table if isinstance(table, bytes) else table.encode()
    columns = HEADER.strip().split(",")
    rows = 3 if isinstance(table, bytes) else table.count("\n") - 1
    metadata = {
        "schema_version": 1, "release_id": "r", "audience": "internal", "marking": "INTERNAL",
        "tool": {"name": "phds", "version": "0"},
        "measure": {"id": "m", "title": "M", "definition": "d", "version": "1", "fingerprint": "f"},
        "cohort": {"description": "c", "as_of": "2026-10-31"},
        "denominator": {"source": "s", "description": "d"},
        "dimensions": [{"id": "county", "title": "County"}],
        "interval": {"method": "wilson", "level": 0.95}, "delivery": {"sha256": "0"},
        "dictionary": {"fingerprint": "f"}, "disclosure": {"k": 11, "fingerprint": "f"}, "caveats": [],
        "table": {"format": form, "file": name, "sha256": hashlib.sha256(content).hexdigest(), "rows": rows, "columns": columns},
    }  # fmt: skip
    metadata = {key: value for key, value in (metadata | changes).items() if value is not None}
    (folder / name).write_bytes(content)
    (folder / (beside or "release.json")).write_text(json.dumps(metadata))
    return folder


def check(name, holds):
    global passed
    if not holds:
        raise SystemExit(f"failed: {name}")
    passed += 1
    print(f"ok  python reader: {name}")


def refuses(name, words, prepare):
    """`prepare` gets an empty folder and returns the path to read; the refusal must say `words`."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            read_release(prepare(Path(folder)))
        except ReleaseError as refusal:
            check(f"refuses {name}", words in str(refusal) and "77" not in str(refusal).replace(folder, ""))
        else:
            raise SystemExit(f"failed: accepts {name}")


def with_row(row):
    return lambda folder: release(folder, HEADER + SHOWN + row + "\n")


def tampered(folder):
    table = release(folder) / "table.csv"
    table.write_text(SOUND.replace("30,40", "31,40"))
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


with tempfile.TemporaryDirectory() as folder:
    path = release(Path(folder))
    frame, metadata = read_release(path)
    hidden = frame[frame["status"] == "suppressed"]
    check("reads a folder", len(frame) == 3 and metadata["measure"]["id"] == "m")
    check("keeps a suppressed cell missing", hidden[["numerator", "denominator", "rate", "ci_low", "ci_high"]].isna().all(axis=None))
    check("keeps a zero a zero", frame.loc[1, "numerator"] == 0 and frame.loc[1, "rate"] == 0)
    check("reads a table by its path", read_release(path / "table.csv")[0].equals(frame))

with tempfile.TemporaryDirectory() as folder:
    release(Path(folder), beside="table.csv.release.json", release_id="own")
    release(Path(folder), release_id="shared")
    check("takes <file>.release.json first", read_release(Path(folder) / "table.csv")[1]["release_id"] == "own")

typed = pd.read_csv(io.StringIO(SOUND)).astype({"numerator": "Int64", "denominator": "Int64"})
for form, write in (("parquet", typed.to_parquet), ("arrow", typed.to_feather)):
    with tempfile.TemporaryDirectory() as folder:
        buffer = io.BytesIO()
        write(buffer)
        path = release(Path(folder), buffer.getvalue(), f"table.{form}", form)
        check(f"reads {form} as it reads csv", read_release(path)[0].equals(frame))

typed.loc[2, "numerator"] = 77
leaking = io.BytesIO()
typed.to_parquet(leaking)
refuses("a tampered table", "SHA-256 differs", tampered)
refuses("a suppressed cell with a number", "row 2 is withheld", with_row("Loving,m,77,,,,,suppressed,internal"))
refuses("a suppressed cell with an interval", "ci_low", with_row("Loving,m,,,,0.77,,suppressed,internal"))
refuses("a suppressed cell with zero in it", "numerator", with_row("Loving,m,0,,,,,suppressed,internal"))
refuses("an unreliable cell with a rate", "carries a number in rate", with_row("Loving,m,,,0.77,,,unreliable,internal"))
refuses("a suppressed cell with a number in parquet", "is withheld", lambda f: release(f, leaking.getvalue(), "table.parquet", "parquet"))
refuses("a missing folder", "no release at", lambda folder: folder / "none")
refuses("a missing release.json", "no release.json", without("release.json"))
refuses("a missing table", "no table", without("table.csv"))
refuses("another table's release.json", "does not describe", lambda f: (release(f) / "table.csv").rename(f / "other.csv"))
refuses("a table outside the folder", "without a folder", outside)
refuses("another schema_version", "schema_version", lambda f: release(f, schema_version=2))
refuses("release.json without a marking", "nothing under marking", lambda f: release(f, marking=None))
refuses("other columns", "columns must be", lambda f: release(f, SOUND.replace("county,", "zip,", 1)))
refuses("an unknown status", "unknown status", with_row("Loving,m,,,,,,hidden,internal"))
refuses("a row for another audience", "another audience", with_row("Loving,m,,,,,,suppressed,public"))
refuses("a rate in percent", "outside 0 to 1", with_row("Hays,m,30,40,77,60,86,shown,internal"))
refuses("a number that is text", "no readable number", with_row("Hays,m,x77,40,0.75,0.6,0.86,shown,internal"))
refuses("a shown cell without a number", "no numerator", with_row("Hays,m,,,,,,shown,internal"))
refuses("a row told twice", "repeats", with_row(SHOWN.strip()))
refuses("a row that is cut short", "fewer fields", with_row("Hays,m,30"))

os.environ["PHDS_RELEASES"] = "/nowhere"
try:
    releases_folder()
except ReleaseError as refusal:
    check("names the command when there are no releases", "cargo run --release -- demo" in str(refusal))
else:
    raise SystemExit("failed: finds releases in /nowhere")
print(f"{passed} checks passed")
