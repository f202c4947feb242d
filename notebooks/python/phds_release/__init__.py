"""Read a phds release: the table, and what `release.json` says about it.

A release is a table of aggregates that has passed disclosure control. This module reads
releases and nothing else. It refuses, with a `ReleaseError`, whatever is not a whole and
unaltered release, and its messages name places (file, row, column), never a cell's number.

    release = read_release("demo/releases/by_county")
    release.table     # a pyarrow.Table of text, int64 and float64, which Polars and DuckDB take as it is
    release.metadata  # release.json
    release.to_pandas()

A number that is withheld is missing, never zero, and stays missing in arithmetic. The pandas frame refuses `sum`,
`fillna` and `groupby` while a withheld row is in it, because each of them would make a zero of it.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

if TYPE_CHECKING:
    from .frame import Frame

__all__ = ["WITH_NUMBERS", "Release", "ReleaseError", "month_folders", "read_release", "releases_folder"]

Metadata = dict[str, Any]
Row = dict[str, Any]

SCHEMA_VERSION = 2
WITH_NUMBERS = {"shown", "zero", "unreliable"}
STATUSES = WITH_NUMBERS | {"suppressed", "not_applicable"}
UNITS = {"count": pa.int64(), "share": pa.float64()}
INTERVAL = ("ci_low", "ci_high")
RISING = ("limit_998_low", "limit_95_low", "limit_95_high", "limit_998_high")
REQUIRED = [
    "schema_version", "release_id", "audience", "marking", "tool.name", "tool.version", "indicator", "indicator_definition",
    "cohort.description", "cohort.as_of", "denominators", "dimensions", "labels", "numbers", "reporting_period",
    "delivery.sha256", "dictionary.fingerprint", "disclosure.k", "disclosure.fingerprint", "caveats",
    "table.format", "table.file", "table.sha256", "table.rows", "table.columns",
]  # fmt: skip
REQUIRED_OF_RATES = [
    "measure.id",
    "measure.title",
    "measure.definition",
    "measure.version",
    "measure.fingerprint",
    "interval.method",
    "interval.level",
]
# The apostrophe that phds writes in CSV before a label that a spreadsheet would take for a formula, behind any apostrophes.
GUARD = re.compile(r"^'(?='*[=+\-@\t\r])")
MAKE_DEMO = "cargo run --release -- demo"
MAKE_MONTH = "phds query notebooks/monthly.toml --store STORE --period YYYY-MM --out RELEASES/YYYY-MM"


class ReleaseError(Exception):
    """A release that must not be used. The message says what is wrong and what to do."""

    def _render_traceback_(self) -> list[str]:
        """Jupyter shows the sentence alone, without the stack."""
        return [f"ReleaseError: {self}"]


class Release(NamedTuple):
    """A release that was verified: `table, metadata = read_release(path)`, or by name."""

    table: pa.Table
    """Labels, measure, numbers, status and audience, one row for each group. Withheld numbers are null."""
    metadata: Metadata
    """`release.json`: what the numbers are, of whom, as of when, and what they do not say."""

    @property
    def caveats(self) -> list[str]:
        """What must be said with the numbers, a sentence or two each."""
        return list(self.metadata["caveats"])

    @property
    def statuses(self) -> dict[str, int]:
        """Rows by status: shown, zero, unreliable, suppressed, not_applicable; those that there are."""
        counted = self.table.column("status").value_counts().to_pylist()
        return {entry["values"]: entry["counts"] for entry in sorted(counted, key=lambda entry: -entry["counts"])}

    def to_pandas(self) -> Frame:
        """The table as pandas holds it: whole numbers stay whole, and what is withheld is <NA>, which nothing here makes zero."""
        from .frame import of_arrow  # the reader itself needs no pandas

        return of_arrow(self.table)


def releases_folder(*needed: str) -> Path:
    """The folder of releases, which has the folders `needed`.

    PHDS_RELEASES names it; else it is `demo/releases`, which the demonstration makes, in the working folder or above it.
    """
    named = os.environ.get("PHDS_RELEASES")
    above = [folder / "demo" / "releases" for folder in (Path.cwd(), *Path.cwd().parents)]
    folder = Path(named) if named else next((demo for demo in above if demo.is_dir()), above[0])
    for name in needed or [""]:
        if not (folder / name).is_dir():
            raise ReleaseError(
                f"no release folder `{name}` in {folder}\n"
                f"hint: run `{MAKE_DEMO}` in the top folder of phds, or set PHDS_RELEASES to a folder that has it"
            )
    return folder


def month_folders() -> list[Path]:
    """The folders of the releases of each month, the earliest first: those called YYYY-MM in the folder of releases."""
    months = sorted(releases_folder().glob("[0-9][0-9][0-9][0-9]-[0-9][0-9]"))
    if not months:
        raise ReleaseError(f"no folder of a month in {releases_folder()}\nhint: run `{MAKE_MONTH}`")
    return months


def read_release(path: str | Path) -> Release:
    """The release at `path`: its folder, or its table (CSV, JSON, Parquet or Arrow) with the description beside it.

    Raises `ReleaseError` when the table is not the one that `release.json` describes (SHA-256, columns, rows), when a
    withheld row carries a number, or when a number cannot be.
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
    columns, rows = _parse(content, metadata["table"]["format"], table_file)
    schema = _schema(metadata, metadata_file)
    if columns != schema.names:
        raise ReleaseError(f"{table_file}: columns must be {', '.join(schema.names)}")
    if metadata["table"]["columns"] != columns or metadata["table"]["rows"] != len(rows):
        raise ReleaseError(f"{table_file}: release.json tells of other columns or rows than the table has")
    if metadata["table"]["format"] == "csv":
        rows = [row | {name: _label(row[name]) for name in metadata["labels"]} for row in rows]
    return Release(pa.Table.from_pylist(_check(rows, metadata, table_file), schema=schema), metadata)


def _locate(path: Path) -> tuple[Path | None, Path]:
    table = path if path.is_file() else None
    if path.is_dir():
        candidates = [path / "release.json"]
    elif table:
        candidates = [path.with_name(path.name + ".release.json"), path.with_name("release.json")]
    else:
        raise ReleaseError(f"no release at {path}\nhint: `{MAKE_DEMO}` makes the demonstration releases, `{MAKE_MONTH}` those of a month")
    for candidate in candidates:
        if candidate.is_file():
            return table, candidate
    raise ReleaseError(f"no release.json with {path}\nhint: a table without its release.json is not a release")


def _read_metadata(file: Path) -> Metadata:
    try:
        metadata: Metadata = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        raise ReleaseError(f"{file} is not JSON") from None
    if _value(metadata, "schema_version") != SCHEMA_VERSION:
        raise ReleaseError(
            f"{file}: schema_version must be {SCHEMA_VERSION}\nhint: use the notebooks of the phds version that made the release"
        )
    required = REQUIRED + (REQUIRED_OF_RATES if metadata.get("indicator") != "doses" else [])
    absent = [key for key in required if _value(metadata, key) in (None, "")]
    if absent:
        raise ReleaseError(f"{file}: nothing under {', '.join(absent)}")
    return metadata


def _value(metadata: Any, dotted: str) -> Any:
    for key in dotted.split("."):
        metadata = metadata.get(key) if isinstance(metadata, dict) else None
    return metadata


def _bare_name(name: str, file: Path) -> str:
    if Path(name).name != name or name in ("", ".", ".."):
        raise ReleaseError(f"{file}: table.file must be a file name, without a folder")
    return name


def _schema(metadata: Metadata, file: Path) -> pa.Schema:
    """Labels, measure, numbers, status and audience, as release.json says them."""
    try:
        texts = [*metadata["labels"], *(["measure"] if "measure" in metadata else [])]
        numbers = [(number["name"], UNITS[number["unit"]]) for number in metadata["numbers"]]
    except (TypeError, KeyError):
        raise ReleaseError(f"{file}: each entry of numbers needs a name, and count or share as its unit") from None
    return pa.schema([(name, pa.string()) for name in texts] + numbers + [(name, pa.string()) for name in ("status", "audience")])


def _parse(content: bytes, form: str, file: Path) -> tuple[list[str], list[Row]]:
    """The names of the columns, and each row by these names."""
    try:
        if form == "csv":
            columns, *rows = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
            if any(len(row) != len(columns) for row in rows):
                raise ReleaseError(f"{file}: a row has more or fewer fields than the header")
            return columns, [dict(zip(columns, row)) for row in rows]
        if form == "json":
            rows = json.loads(content)
            columns = list(rows[0]) if rows else []
            if any(list(row) != columns for row in rows):
                raise ReleaseError(f"{file}: a row has other columns than the first")
            return columns, rows
        if form == "parquet":
            table = pa.parquet.read_table(pa.BufferReader(content))
        elif form == "arrow":
            table = pa.ipc.open_file(pa.BufferReader(content)).read_all()
        else:
            raise ReleaseError(
                f"{file}: a table of the format {form} is not for programs\nhint: ask for it with --format csv, json, parquet or arrow"
            )
    except (ValueError, TypeError, csv.Error, OSError, pa.ArrowException):
        raise ReleaseError(f"{file} cannot be read as {form}") from None  # their texts may show a row
    return table.column_names, table.to_pylist()


def _label(text: str) -> str:
    """A label as it is, without the apostrophe that keeps a spreadsheet from computing it."""
    return GUARD.sub("", text)


def _check(rows: list[Row], metadata: Metadata, file: Path) -> list[Row]:
    """The rows with their numbers as numbers, when all of them can be."""
    units = {number["name"]: number["unit"] for number in metadata["numbers"]}
    read: list[Row] = []
    told: set[tuple[str, ...]] = set()
    ends: dict[tuple[str, ...], tuple[int, float]] = {}
    for at, row in enumerate(rows, 1):
        row = row | {name: _number(row[name], units[name]) for name in units}
        labels = tuple(row[name] for name in metadata["labels"])
        faults = list(_faults(row, units, metadata))
        if "age_months" in units and not faults and row["status"] in WITH_NUMBERS:
            age, rate = ends.get(labels, (0, 0))
            if row["age_months"] <= age or row["rate"] < rate:
                faults.append("is of a curve that does not rise with age")
            ends[labels] = row["age_months"], row["rate"]
        elif labels in told:
            faults.append("repeats an earlier row")
        told.add(labels)
        if faults:
            raise ReleaseError(f"{file}: row {at} {faults[0]}\nhint: do not use this release; report it")
        read.append(row)
    return read


def _number(value: Any, unit: str) -> float | None:
    """None for an empty cell; NaN for one that holds no number of this unit."""
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return math.nan
    if unit == "share":
        return number if math.isfinite(number) else math.nan
    return int(number) if number.is_integer() and number >= 0 else math.nan


def _faults(row: Row, units: dict[str, str], metadata: Metadata) -> Iterator[str]:
    """What is wrong with one row, the worst first."""
    filled = [name for name in units if row[name] is not None]
    if row["status"] not in STATUSES:
        yield "has an unknown status"
    # Before anything is said of a number: a withheld row that carries one is a leak.
    elif row["status"] not in WITH_NUMBERS and filled:
        yield f"is withheld (suppressed or not applicable) and carries a number in {filled[0]}"
    measures = [metadata[key]["id"] for key in ("from_measure", "measure") if key in metadata]
    for name, one in (("audience", metadata["audience"]), ("measure", " to ".join(measures))):
        if row.get(name, one) != one:
            yield f"has another {name} than release.json"
    yield from (f"has no {name}" for name in metadata["labels"] if row[name] in (None, ""))
    if row["status"] not in WITH_NUMBERS:
        return

    empty = [name for name in units if row[name] is None and name not in INTERVAL]
    unread = [name for name in filled if math.isnan(row[name])]
    if empty or unread:
        yield f"has no {empty[0]}" if empty else f"has no readable number in {unread[0]}"
        return
    source = row.get("denominator_source") or "".join(denominator["source"] for denominator in metadata["denominators"])
    of_population = source.startswith("population:")  # another source of counts than the file: it may be the smaller one
    for name in filled:
        if units[name] == "share" and not (0 <= row[name] <= 1 or (of_population and name == "rate" and row[name] > 1)):
            yield f"has a {name} outside 0 to 1"
    for part, whole in (("numerator", "denominator"), ("events", "at_risk"), ("persons", "doses")):
        if part in units and row[part] > row[whole] and not of_population:
            yield f"has more {part} than {whole}"
    if row["status"] == "zero" and row.get("numerator", row.get("persons")) != 0:
        yield "has status zero and another number"
    low, high = row.get(INTERVAL[0]), row.get(INTERVAL[1])
    if (low is None) != (high is None):
        yield "has half an interval"
    elif low is not None and high is not None and not low - 1e-9 <= row["rate"] <= high + 1e-9 and not of_population:
        yield "has a rate outside its interval"
    limits = [row[name] for name in RISING if name in units]
    if limits != sorted(limits):
        yield "has limits that do not rise"
