"""Read a phds release: the table, and what `release.json` says about it.

A release is a table of aggregates that has passed disclosure control. This module reads
releases and nothing else. It refuses, with a `ReleaseError`, whatever is not a whole and
unaltered release, and its messages name places (file, row, column), never a cell's number.

    frame, metadata = read_release("demo/releases/by_county")
"""

import csv
import hashlib
import io
import json
import math
import os
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

SCHEMA_VERSION = 1
NUMBERS = ["numerator", "denominator", "rate", "ci_low", "ci_high"]
COLUMNS = ["measure", *NUMBERS, "status", "audience"]
WITH_NUMBERS = {"shown", "zero"}
STATUSES = WITH_NUMBERS | {"suppressed", "not_applicable", "unreliable"}
AUDIENCES = {"internal", "public"}
REQUIRED = [
    "schema_version", "release_id", "audience", "marking", "tool.name", "tool.version",
    "measure.id", "measure.title", "measure.definition", "measure.version", "measure.fingerprint",
    "cohort.description", "cohort.as_of", "denominator.source", "denominator.description",
    "dimensions", "interval.method", "interval.level", "delivery.sha256", "dictionary.fingerprint",
    "disclosure.k", "disclosure.fingerprint", "caveats",
    "table.format", "table.file", "table.sha256", "table.rows", "table.columns",
]  # fmt: skip
MAKE_DEMO = "cargo run --release -- demo"


class ReleaseError(Exception):
    """A release that must not be used. The message says what is wrong and what to do."""

    def _render_traceback_(self):
        """Jupyter shows the sentence alone, without the stack."""
        return [f"ReleaseError: {self}"]


def releases_folder():
    """The folder of releases: PHDS_RELEASES, else the one that the demonstration makes."""
    named = os.environ.get("PHDS_RELEASES")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "demo" / "releases"
    for name in ("by_county", "by_birth_year"):
        if not (folder / name).is_dir():
            raise ReleaseError(
                f"no release folder `{name}` in {folder}\n"
                f"hint: run `{MAKE_DEMO}` in the top folder of phds, or set PHDS_RELEASES "
                "to a folder that has by_county/ and by_birth_year/"
            )
    return folder


def read_release(path):
    """Return (table, metadata) of the release at `path`: its folder, or its table.

    Suppressed, unreliable and not applicable cells are missing (`<NA>`), never zero. Do not
    add cells up: a sum skips the missing ones, and so counts them as zero after all.
    """
    table_file, metadata_file = _locate(Path(path))
    metadata = _read_metadata(metadata_file)
    if table_file is None:
        table_file = metadata_file.parent / _bare_name(metadata["table"]["file"], metadata_file)
    elif metadata_file.name == "release.json" and metadata["table"]["file"] != table_file.name:
        raise ReleaseError(f"{metadata_file} does not describe the table {table_file.name}")
    if not table_file.is_file():
        raise ReleaseError(f"no table {table_file}\nhint: make the release again")

    content = table_file.read_bytes()  # read once: what is verified is what is used
    if hashlib.sha256(content).hexdigest() != str(metadata["table"]["sha256"]).lower():
        raise ReleaseError(
            f"{table_file} is not the table that {metadata_file.name} describes (its SHA-256 differs)\n"
            "hint: a release is never edited; make it again"
        )
    frame = _parse(content, metadata["table"]["format"], table_file)
    _check_columns(frame, metadata, table_file)
    return _check_cells(frame, metadata, table_file), metadata


def _locate(path):
    if path.is_dir():
        table, candidates = None, [path / "release.json"]
    elif path.is_file():
        table = path
        candidates = [path.with_name(path.name + ".release.json"), path.with_name("release.json")]
    else:
        raise ReleaseError(f"no release at {path}\nhint: `{MAKE_DEMO}` makes the demonstration releases")
    for candidate in candidates:
        if candidate.is_file():
            return table, candidate
    raise ReleaseError(f"no release.json with {path}\nhint: a table without its release.json is not a release")


def _read_metadata(file):
    try:
        metadata = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        raise ReleaseError(f"{file} is not JSON") from None
    version = metadata.get("schema_version") if isinstance(metadata, dict) else None
    if str(version).split(".")[0] != str(SCHEMA_VERSION):
        raise ReleaseError(f"{file}: schema_version must be {SCHEMA_VERSION}\nhint: use the notebooks of the phds version that made the release")
    absent = [key for key in REQUIRED if _value(metadata, key) in (None, "")]
    if absent:
        raise ReleaseError(f"{file}: nothing under {', '.join(absent)}")
    if metadata["audience"] not in AUDIENCES:
        raise ReleaseError(f"{file}: audience must be internal or public")
    return metadata


def _value(metadata, dotted):
    for key in dotted.split("."):
        metadata = metadata.get(key) if isinstance(metadata, dict) else None
    return metadata


def _bare_name(name, file):
    if Path(name).name != name or name in ("", ".", ".."):
        raise ReleaseError(f"{file}: table.file must be a file name, without a folder")
    return name


def _parse(content, form, file):
    try:
        if form == "csv":
            header, *rows = csv.reader(io.StringIO(content.decode("utf-8"), newline=""), strict=True)
            if any(len(row) != len(header) for row in rows):
                raise ReleaseError(f"{file}: a row has more or fewer fields than the header")
            return pd.DataFrame(rows, columns=header, dtype=str)
        buffer = pa.BufferReader(content)
        if form == "parquet":
            return pa.parquet.read_table(buffer).to_pandas()
        if form == "arrow":
            try:
                return pa.ipc.open_file(buffer).read_all().to_pandas()
            except pa.ArrowInvalid:
                return pa.ipc.open_stream(pa.BufferReader(content)).read_all().to_pandas()
    except (ValueError, csv.Error, OSError, pa.ArrowException):
        raise ReleaseError(f"{file} cannot be read as {form}") from None  # their texts may show a row
    raise ReleaseError(f"{file}: table.format must be csv, parquet or arrow")


def _check_columns(frame, metadata, file):
    try:
        expected = [dimension["id"] for dimension in metadata["dimensions"]] + COLUMNS
    except (TypeError, KeyError):
        raise ReleaseError(f"{file}: each entry of dimensions in release.json needs an id") from None
    if list(frame.columns) != expected:
        raise ReleaseError(f"{file}: columns must be {', '.join(expected)}")
    if metadata["table"]["columns"] not in (expected, len(expected)):
        raise ReleaseError(f"{file}: release.json lists other columns than the table has")
    if metadata["table"]["rows"] != len(frame):
        raise ReleaseError(f"{file}: release.json counts other rows than the table has")


def _check_cells(frame, metadata, file):
    def refuse(bad, why):
        if bad.any():
            raise ReleaseError(f"{file}: row {int(bad.to_numpy().argmax()) + 1} {why}\nhint: do not use this release; report it")

    keys = [column for column in frame.columns if column not in NUMBERS]
    frame = frame.reset_index(drop=True).astype({key: "string" for key in keys})
    for key in keys:
        refuse(frame[key].isna() | (frame[key] == ""), f"has no {key}")
    refuse(~frame["status"].isin(STATUSES), "has an unknown status")
    refuse(frame["audience"] != metadata["audience"], "has another audience than release.json")
    refuse(frame["measure"] != metadata["measure"]["id"], "has another measure than release.json")
    refuse(frame.duplicated(keys[:-2]), "repeats an earlier row")

    # First of all, before any number is parsed: a withheld cell that carries anything is a leak.
    withheld = ~frame["status"].isin(WITH_NUMBERS)
    for column in NUMBERS:
        filled = frame[column].notna() & (frame[column].astype("string").fillna("") != "")
        refuse(withheld & filled, f"is withheld (suppressed, unreliable or not applicable) and carries a number in {column}")
        numbers = pd.to_numeric(frame[column].where(filled), errors="coerce").astype(float)
        refuse(filled & ~numbers.map(math.isfinite), f"has no readable number in {column}")
        frame[column] = numbers

    n, d = frame["numerator"], frame["denominator"]
    low, rate, high = frame["ci_low"], frame["rate"], frame["ci_high"]
    refuse(~withheld & n.isna(), "has no numerator")
    refuse((frame["status"] == "zero") & (n != 0), "has status zero and another numerator")
    refuse((n % 1 > 0) | (d % 1 > 0) | (n < 0) | (n > d), "has a numerator and denominator that cannot be")
    for column in ("rate", "ci_low", "ci_high"):
        refuse((frame[column] < 0) | (frame[column] > 1), f"has a {column} outside 0 to 1")
    refuse(low.isna() != high.isna(), "has half an interval")
    refuse((low > rate + 1e-9) | (high < rate - 1e-9), "has a rate outside its interval")
    return frame.astype({"numerator": "Int64", "denominator": "Int64", "rate": "Float64", "ci_low": "Float64", "ci_high": "Float64"})
