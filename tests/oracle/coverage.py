#!/usr/bin/env python3
"""An independent oracle for immunization coverage by 24 months (NIS-like).

It was written from the definition alone, to be read and to be believed, not to
be fast.  Python 3.11, standard library only.

    coverage.py FILE.csv --period YYYY-MM --measure ID --by county,birth_year
                [--as-of YYYY-MM-DD] [--skip-lines FILE] [--counties FILE]
    coverage.py --self-test
"""

import argparse
import csv
import re
import sys
from datetime import date, timedelta

# --------------------------------------------------------------- definition

COLUMNS = [
    "CLIENT ID", "FIRST NAME", "LAST NAME", "MIDDLE NAME", "BIRTH DATE", "SEX CODE",
    "RACE AND ETHNICITY", "STATE CODE", "CLIENT COUNTY", "ZIP CODE", "IMMUNIZATION ID",
    "IMMUNFACT ID", "VACCINE ID", "VACCINATION DATE", "CVX CODE", "VACCINE GROUP",
    "ORDINAL POSITION", "AGE IN MONTHS", "GIVEN BY ORG ID", "PROVIDER NAME", "SHORT NAME",
    "RESPONSIBLE ENTITY", "PROVIDER STREET ADDRESS", "PROVIDER CITY", "PROVIDER STATE",
    "PROVIDER ZIP CODE",
]

# The codes of each antigen, written as two or more digits.
DTAP = set("01 20 22 50 102 106 107 110 120 130 132 146 170 198".split())
DT_PEDIATRIC = set("28".split())
POLIO = set("02 10 89 110 120 130 132 146 170 195".split())
POLIO_INADVERTENT = set("178 179 182".split())
MMR_FULL = set("03 94".split())
HIB_PRP_OMP = set("49 51".split())
HIB_OTHER = set("17 22 46 47 48 50 102 120 132 146 148 170 198".split())
HEPB = set("08 42 43 44 45 51 102 104 110 132 146 193 198".split())
VARICELLA = set("21 94".split())
PCV = set("100 109 133 152 177 215 216".split())
NOT_ADMINISTERED = "998"

FIRST_BIRTH_DATE = date(2018, 1, 1)


def add_months(day, months):
    """CDSi: an impossible date becomes the first day of the next month."""
    count = day.year * 12 + (day.month - 1) + months
    year, month = count // 12, count % 12 + 1
    try:
        return date(year, month, day.day)
    except ValueError:  # such as 30 February; December has 31 days, so month < 12 here
        return date(year, month + 1, 1)


def dates_of(doses, codes):
    """The distinct dates, in order, on which any of the codes was given."""
    return sorted({day for day, code in doses if code in codes})


# Each measure takes the birth date and the client's doses by 24 months, a list
# of (date, code), and answers whether the client is covered.

def dtap4(birth, doses):
    return len(dates_of(doses, DTAP | DT_PEDIATRIC)) >= 4


def polio3(birth, doses):
    return len(dates_of(doses, POLIO | POLIO_INADVERTENT)) >= 3


def mmr1(birth, doses):
    return len(dates_of(doses, MMR_FULL)) >= 1


def hepb3(birth, doses):
    return len(dates_of(doses, HEPB)) >= 3


def var1(birth, doses):
    first_birthday = add_months(birth, 12)
    return any(day >= first_birthday for day in dates_of(doses, VARICELLA))


def pcv4(birth, doses):
    return len(dates_of(doses, PCV)) >= 4


def hib_full(birth, doses):
    days = dates_of(doses, HIB_PRP_OMP | HIB_OTHER)
    if len(days) >= 4:
        return True
    # On each of the first two Hib dates, PRP-OMP and no other Hib code.
    other_days = dates_of(doses, HIB_OTHER)
    return len(days) == 3 and days[0] not in other_days and days[1] not in other_days


SEVEN = [dtap4, polio3, mmr1, hib_full, hepb3, var1, pcv4]


def combined7(birth, doses):
    return all(measure(birth, doses) for measure in SEVEN)


MEASURES = {
    "nis.dtap4": dtap4,
    "nis.polio3": polio3,
    "nis.mmr1": mmr1,
    "nis.hepb3": hepb3,
    "nis.var1": var1,
    "nis.pcv4": pcv4,
    "nis.hib_full": hib_full,
    "nis.4313314": combined7,
}


# ------------------------------------------------------------------ reading

class InputError(Exception):
    """Something the definition does not cover; better no answer than a wrong one."""


KNOWN_DATES = {}


def read_date(text):
    if text not in KNOWN_DATES:
        american = re.fullmatch(r"([0-9]{2})/([0-9]{2})/([0-9]{4})", text)
        iso = "{2}-{0}-{1}".format(*american.groups()) if american else text
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", iso):
            raise InputError(f"not a date written YYYY-MM-DD or MM/DD/YYYY: {text!r}")
        try:
            KNOWN_DATES[text] = date.fromisoformat(iso)
        except ValueError:
            raise InputError(f"no such day: {text!r}") from None
    return KNOWN_DATES[text]


def read_code(text):
    """`3`, `03` and `003` are one code.  Anything but digits is in no list."""
    return (text.strip().lstrip("0") or "0").zfill(2)


def records(lines):
    """(number of the line on which the record starts, fields); blank lines too."""
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(lines)
    while True:
        start = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(f"line {start}: {error}") from None
        yield start, fields


class Client:
    def __init__(self):
        self.latest = None  # latest vaccination date so far
        self.birth = None   # these three are from the row with that date
        self.sex = None
        self.county = None
        self.doses = []     # (date, code), whatever the date


def read_clients(lines, skip=frozenset()):
    """{CLIENT ID: Client} of all records that are not skipped."""
    rows = records(lines)
    _, header = next(rows, (1, []))
    if sorted(header) != sorted(COLUMNS):
        raise InputError(f"the header is not the 26 columns; differing: "
                         f"{sorted(set(header) ^ set(COLUMNS))}")
    (at_id, at_birth, at_sex, at_county, at_day, at_code) = (header.index(name) for name in (
        "CLIENT ID", "BIRTH DATE", "SEX CODE", "CLIENT COUNTY", "VACCINATION DATE", "CVX CODE"))

    clients = {}
    unused = set(skip)
    for start, fields in rows:
        unused.discard(start)
        if start in skip or not fields:  # [] is a blank line
            continue
        if len(fields) != len(COLUMNS):
            raise InputError(f"line {start}: {len(fields)} fields, not {len(COLUMNS)}")
        try:
            birth = read_date(fields[at_birth])
            day = read_date(fields[at_day])
        except InputError as error:
            raise InputError(f"line {start}: {error}") from None
        client = clients.setdefault(fields[at_id], Client())
        if client.latest is None or day >= client.latest:  # equal: the later row wins
            client.latest = day
            client.birth = birth
            client.sex = fields[at_sex]
            client.county = fields[at_county]
        code = read_code(fields[at_code])
        if code != NOT_ADMINISTERED:
            client.doses.append((day, code))
    if unused:
        print(f"warning: {len(unused)} lines to skip start no record, the first is "
              f"{min(unused)}", file=sys.stderr)
    return clients


def read_skip_lines(lines):
    table = csv.DictReader(lines)
    if "line" not in (table.fieldnames or []):
        raise InputError("the file of lines to skip has no column `line`")
    try:
        return {int(row["line"]) for row in table}
    except (TypeError, ValueError) as error:
        raise InputError(f"lines to skip: {error}") from None


def county_key(text):
    return text.strip().casefold()


def read_counties(lines):
    """{name to compare by: name to print}"""
    table = csv.DictReader(lines)
    if "label" not in (table.fieldnames or []):
        raise InputError("the file of counties has no column `label`")
    return {county_key(row["label"]): row["label"] for row in table}


# ----------------------------------------------------------------- counting

def county_of(client, counties):
    """Without a list of counties every text but the empty one is a county."""
    if counties is None:
        return client.county.strip() or "Unknown"
    return counties.get(county_key(client.county), "Unknown")


def group_of(client, by, counties):
    value = {
        "county": county_of(client, counties),
        "birth_year": f"{client.birth.year:04}",
        "sex": client.sex or "Unknown",
    }
    return tuple(value[name] for name in by)


def coverage(clients, measure, by, as_of, counties=None):
    """Rows (by..., numerator, denominator), sorted."""
    is_covered = MEASURES[measure]
    counts = {}
    for client in clients.values():
        second_birthday = add_months(client.birth, 24)
        if client.birth < FIRST_BIRTH_DATE or second_birthday > as_of:
            continue
        doses = [dose for dose in client.doses if dose[0] < second_birthday]
        count = counts.setdefault(group_of(client, by, counties), [0, 0])
        if is_covered(client.birth, doses):
            count[0] += 1
        count[1] += 1
    return [(*group, *counts[group]) for group in sorted(counts)]


def last_day(period):
    """2024-02 -> 2024-02-29"""
    first = read_date(period + "-01")
    return add_months(first, 1) - timedelta(days=1)


# ------------------------------------------------------------- command line

def open_text(path):
    # newline="\n": only LF ends a line, so that line numbers are those of `sed -n`.
    # surrogateescape: a rejected record may hold bytes that are not UTF-8.
    return open(path, encoding="utf-8-sig", errors="surrogateescape", newline="\n")


def list_of_by(text):
    names = text.split(",")
    if len(set(names)) != len(names) or not set(names) <= {"county", "birth_year", "sex"}:
        raise argparse.ArgumentTypeError("any of county, birth_year, sex, each once")
    return names


def main(arguments, out):
    parser = argparse.ArgumentParser(description="Coverage by 24 months, counted simply.")
    parser.add_argument("file")
    parser.add_argument("--period", required=True, metavar="YYYY-MM")
    parser.add_argument("--measure", required=True, choices=MEASURES)
    parser.add_argument("--by", required=True, type=list_of_by, metavar="county,birth_year,sex")
    parser.add_argument("--as-of", metavar="YYYY-MM-DD")
    parser.add_argument("--skip-lines", metavar="FILE")
    parser.add_argument("--counties", metavar="FILE")
    options = parser.parse_args(arguments)

    as_of = last_day(options.period)
    if options.as_of is not None:
        as_of = read_date(options.as_of)
    skip = frozenset()
    if options.skip_lines is not None:
        with open_text(options.skip_lines) as lines:
            skip = read_skip_lines(lines)
    counties = None
    if options.counties is not None:
        with open_text(options.counties) as lines:
            counties = read_counties(lines)
    with open_text(options.file) as lines:
        clients = read_clients(lines, skip)

    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*options.by, "numerator", "denominator"])
    writer.writerows(coverage(clients, options.measure, options.by, as_of, counties))


# ---------------------------------------------------------------- self-test

def table(*rows, header=COLUMNS):
    """Lines of a file.  A row is (client, birth, vaccination, code[, county[, sex]])."""
    import io
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for client, birth, day, code, *rest in rows:
        county, sex = (rest + ["Travis", "F"][len(rest):])
        value = {"CLIENT ID": client, "BIRTH DATE": birth, "VACCINATION DATE": day,
                 "CVX CODE": code, "CLIENT COUNTY": county, "SEX CODE": sex,
                 # Misleading on purpose: neither of the two may matter.
                 "VACCINE GROUP": "MMR", "AGE IN MONTHS": "999"}
        writer.writerow([value.get(name, "") for name in header])
    return text.getvalue().splitlines(keepends=True)


def self_test():
    import contextlib
    import io
    import os
    import tempfile

    passed, failed = 0, 0

    def check(name, got, wanted):
        nonlocal passed, failed
        if got == wanted:
            passed += 1
        else:
            failed += 1
            print(f"FAILED {name}: got {got!r}, wanted {wanted!r}")

    def fails(name, function, *arguments):
        try:
            function(*arguments)
        except InputError:
            check(name, True, True)
        else:
            check(name, "no error", "an error")

    def count(rows, measure, by=("birth_year",), as_of="2024-12-31", counties=None, skip=()):
        return coverage(read_clients(table(*rows), set(skip)), measure, by, read_date(as_of),
                        counties)

    def child(measure, doses, birth="2020-06-15"):
        """1 or 0: one child with these doses, written `date code, date code, ...`."""
        rows = [("A", birth, *dose.split()) for dose in doses.split(",")]
        (_, numerator, denominator), = count(rows, measure)
        check(f"one child in the denominator: {measure} {doses}", denominator, 1)
        return numerator

    # Dates
    for start, months, wanted in [
        ("2020-06-15", 24, "2022-06-15"),
        ("2020-12-31", 12, "2021-12-31"),
        ("2020-01-31", 24, "2022-01-31"),
        ("2020-02-29", 24, "2022-03-01"),
        ("2020-02-29", 12, "2021-03-01"),
        ("2020-02-29", 48, "2024-02-29"),
        ("2020-02-28", 24, "2022-02-28"),
        ("2000-03-31", 6, "2000-10-01"),
        ("2021-01-31", 1, "2021-03-01"),
        ("2021-10-31", 1, "2021-12-01"),
        ("2021-12-31", 2, "2022-03-01"),
        ("2021-11-30", 1, "2021-12-30"),
        ("2021-12-01", 1, "2022-01-01"),
    ]:
        check(f"{start} + {months} months", add_months(read_date(start), months),
              date.fromisoformat(wanted))
    for period, wanted in [("2024-02", "2024-02-29"), ("2023-02", "2023-02-28"),
                           ("2024-04", "2024-04-30"), ("2024-12", "2024-12-31")]:
        check(f"last day of {period}", last_day(period), date.fromisoformat(wanted))
    for text in ["2021-02-29", "20210228", "2021-2-8", "", " 2021-02-08", "2021-W01-1",
                 "2021-02-08\n"]:
        fails(f"date {text!r}", read_date, text)
    fails("period 2021-13", last_day, "2021-13")

    # Codes
    for text, wanted in [("3", "03"), ("03", "03"), ("003", "03"), ("20", "20"),
                         ("110", "110"), ("0", "00"), ("", "00"), (" 8 ", "08"), ("x", "0x")]:
        check(f"code {text!r}", read_code(text), wanted)

    # The day before, on, and after the second birthday
    check("day before 24 months", child("nis.mmr1", "2022-06-14 03"), 1)
    check("on the day of 24 months", child("nis.mmr1", "2022-06-15 03"), 0)
    check("day after 24 months", child("nis.mmr1", "2022-06-16 03"), 0)
    check("leap: 28 Feb is before", child("nis.mmr1", "2022-02-28 03", "2020-02-29"), 1)
    check("leap: 1 Mar is the day", child("nis.mmr1", "2022-03-01 03", "2020-02-29"), 0)
    check("leap: 2 Mar is after", child("nis.mmr1", "2022-03-02 03", "2020-02-29"), 0)
    check("born 28 Feb: 27 Feb is before", child("nis.mmr1", "2022-02-27 03", "2020-02-28"), 1)
    check("born 28 Feb: 28 Feb is the day", child("nis.mmr1", "2022-02-28 03", "2020-02-28"), 0)
    check("dose into a leap year", child("nis.mmr1", "2024-02-29 03", "2022-03-01"), 1)
    check("a dose that is not valid counts", child("nis.mmr1", "2020-06-15 03"), 1)
    check("even one before birth", child("nis.mmr1", "2020-06-14 03"), 1)
    check("late fourth dose", child(
        "nis.dtap4", "2020-08-15 20,2020-10-15 20,2020-12-15 20,2022-06-15 20"), 0)

    # Codes of each measure; 998 is nothing
    check("3 is 03", child("nis.mmr1", "2021-07-01 3"), 1)
    check("MMRV is MMR", child("nis.mmr1", "2021-07-01 94"), 1)
    check("measles alone is not MMR", child("nis.mmr1", "2021-07-01 05"), 0)
    check("MR is not MMR", child("nis.mmr1", "2021-07-01 04"), 0)
    check("998 is no dose", child("nis.mmr1", "2021-07-01 998"), 0)
    check("no code is no dose", count([("A", "2020-06-15", "2021-07-01", "")], "nis.mmr1"),
          [("2020", 0, 1)])

    # Distinct dates
    three = "2020-08-15 20,2020-10-15 20,2020-12-15 20,"
    check("dtap 3 dates", child("nis.dtap4", three + "2020-12-15 20"), 0)
    check("dtap 4 dates", child("nis.dtap4", three + "2021-10-15 20"), 1)
    check("dtap 5 dates", child("nis.dtap4", three + "2021-10-15 20,2021-12-15 20"), 1)
    check("two products on a day", child("nis.dtap4", three + "2020-12-15 110"), 0)
    check("two days in a row are two dates", child("nis.dtap4", three + "2020-12-16 110"), 1)
    check("DT counts", child("nis.dtap4", three + "2021-10-15 28"), 1)
    check("Tdap does not", child("nis.dtap4", three + "2021-10-15 115"), 0)
    check("DTP, code 1", child("nis.dtap4", three + "2021-10-15 1"), 1)
    check("polio 2 dates", child("nis.polio3", "2020-08-15 10,2020-10-15 10,2020-10-15 10"), 0)
    check("polio 3 dates", child("nis.polio3", "2020-08-15 10,2020-10-15 2,2020-11-15 89"), 1)
    check("inadvertent polio counts", child(
        "nis.polio3", "2020-08-15 178,2020-10-15 179,2020-11-15 182"), 1)
    check("fractional polio does not", child(
        "nis.polio3", "2020-08-15 10,2020-10-15 10,2020-11-15 324"), 0)
    check("hepb 2 dates", child("nis.hepb3", "2020-06-15 8,2020-08-15 08,2020-08-15 110"), 0)
    check("hepb 3 dates", child("nis.hepb3", "2020-06-15 8,2020-08-15 51,2020-10-15 110"), 1)
    check("pcv 3 dates", child(
        "nis.pcv4", "2020-08-15 133,2020-10-15 133,2020-12-15 133,2020-12-15 215"), 0)
    check("pcv 4 dates", child(
        "nis.pcv4", "2020-08-15 100,2020-10-15 133,2020-12-15 152,2021-07-15 216"), 1)
    check("PPSV23 is not PCV", child(
        "nis.pcv4", "2020-08-15 133,2020-10-15 133,2020-12-15 133,2021-07-15 33"), 0)

    # Every code of every list, alone on enough dates
    days = ["2021-07-01", "2021-08-01", "2021-09-01", "2021-10-01"]
    for measure, codes in [("nis.dtap4", DTAP | DT_PEDIATRIC), ("nis.mmr1", MMR_FULL),
                           ("nis.polio3", POLIO | POLIO_INADVERTENT), ("nis.hepb3", HEPB),
                           ("nis.hib_full", HIB_PRP_OMP | HIB_OTHER),
                           ("nis.var1", VARICELLA), ("nis.pcv4", PCV)]:
        for number in range(1000):
            code = f"{number:02}"
            doses = [(read_date(day), code) for day in days]
            got = MEASURES[measure](date(2020, 6, 15), doses)
            if got != (code in codes):  # a check only when it fails: there are 7,000
                check(f"{measure} with code {code} only", got, code in codes)
    check("how many codes", [len(codes) for codes in (
        DTAP, DT_PEDIATRIC, POLIO, POLIO_INADVERTENT, MMR_FULL, HIB_PRP_OMP, HIB_OTHER, HEPB,
        VARICELLA, PCV)], [14, 1, 10, 3, 2, 2, 13, 13, 2, 7])

    # A combination is each of its antigens
    vaxelis = "2020-08-15 146,2020-10-15 146,2020-12-15 146,2021-10-15 146"
    for measure, wanted in [("nis.dtap4", 1), ("nis.polio3", 1), ("nis.hepb3", 1),
                            ("nis.hib_full", 1), ("nis.mmr1", 0), ("nis.var1", 0),
                            ("nis.pcv4", 0), ("nis.4313314", 0)]:
        check(f"four doses of 146: {measure}", child(measure, vaxelis), wanted)
    pediarix = "2020-08-15 110,2020-10-15 110,2020-12-15 110,2021-10-15 110"
    check("110 has no Hib", child("nis.hib_full", pediarix), 0)
    check("110 is HepB", child("nis.hepb3", pediarix), 1)
    pentacel = pediarix.replace("110", "120")
    check("120 has Hib", child("nis.hib_full", pentacel), 1)
    check("120 has no HepB", child("nis.hepb3", pentacel), 0)
    for measure in ("nis.mmr1", "nis.var1"):
        check(f"94: {measure}", child(measure, "2021-06-15 94"), 1)

    # Varicella not before the first birthday
    check("var day before 12 months", child("nis.var1", "2021-06-14 21"), 0)
    check("var on the day of 12 months", child("nis.var1", "2021-06-15 21"), 1)
    check("var day after", child("nis.var1", "2021-06-16 21"), 1)
    check("var early and again", child("nis.var1", "2021-06-14 21,2021-09-14 94"), 1)
    check("var early and too late", child("nis.var1", "2021-06-14 21,2022-06-15 21"), 0)
    check("var day before 24 months", child("nis.var1", "2022-06-14 21"), 1)
    check("var leap: 28 Feb", child("nis.var1", "2021-02-28 21", "2020-02-29"), 0)
    check("var leap: 1 Mar", child("nis.var1", "2021-03-01 21", "2020-02-29"), 1)
    check("mmr before 12 months counts", child("nis.mmr1", "2021-06-14 94"), 1)

    # Hib
    for name, doses, wanted in [
        ("OMP OMP OMP", "2020-08-15 49,2020-10-15 49,2021-07-15 49", 1),
        ("OMP OMP other", "2020-08-15 49,2020-10-15 51,2021-07-15 48", 1),
        ("order in the file is nothing", "2021-07-15 48,2020-10-15 51,2020-08-15 49", 1),
        ("OMP other OMP", "2020-08-15 49,2020-10-15 48,2021-07-15 49", 0),
        ("other OMP OMP", "2020-08-15 48,2020-10-15 49,2021-07-15 49", 0),
        ("other other other", "2020-08-15 48,2020-10-15 48,2021-07-15 48", 0),
        ("unknown product is not OMP", "2020-08-15 17,2020-10-15 17,2021-07-15 17", 0),
        ("146 is not OMP here", "2020-08-15 146,2020-10-15 146,2021-07-15 146", 0),
        ("other x 4", "2020-08-15 48,2020-10-15 48,2020-12-15 48,2021-07-15 48", 1),
        ("mixed x 4", "2020-08-15 48,2020-10-15 49,2020-12-15 49,2021-07-15 49", 1),
        ("other x 4, one too late", "2020-08-15 48,2020-10-15 48,2020-12-15 48,2022-06-15 48", 0),
        ("OMP OMP", "2020-08-15 49,2020-10-15 49", 0),
        ("OMP OMP and again that day", "2020-08-15 49,2020-10-15 49,2020-10-15 51", 0),
        ("OMP OMP, third too late", "2020-08-15 49,2020-10-15 49,2022-06-15 49", 0),
        ("both OMP codes on day 1", "2020-08-15 49,2020-08-15 51,2020-10-15 49,2021-07-15 48", 1),
        ("OMP and other on day 1", "2020-08-15 49,2020-08-15 48,2020-10-15 49,2021-07-15 49", 0),
        ("other and OMP on day 2", "2020-08-15 49,2020-10-15 120,2020-10-15 49,2021-07-15 49", 0),
        ("OMP and other on day 3", "2020-08-15 49,2020-10-15 49,2021-07-15 49,2021-07-15 48", 1),
        ("code without Hib on day 1", "2020-08-15 49,2020-08-15 20,2020-10-15 49,2021-07-15 48", 1),
        ("998 on day 1", "2020-08-15 49,2020-08-15 998,2020-10-15 49,2021-07-15 48", 1),
    ]:
        check(f"Hib {name}", child("nis.hib_full", doses), wanted)

    # All seven, and each one missing
    seven = {
        "dtap": "2020-08-15 20,2020-10-15 20,2020-12-15 20,2021-10-15 20",
        "polio": "2020-08-15 10,2020-10-15 10,2020-12-15 10",
        "mmr": "2021-06-15 03",
        "hib": "2020-08-15 49,2020-10-15 49,2021-07-15 49",
        "hepb": "2020-06-15 08,2020-08-15 08,2020-12-15 08",
        "var": "2021-06-15 21",
        "pcv": "2020-08-15 133,2020-10-15 133,2020-12-15 133,2021-07-15 133",
    }
    check("all seven", child("nis.4313314", ",".join(seven.values())), 1)
    for missing in seven:
        doses = ",".join(text for name, text in seven.items() if name != missing)
        check(f"all but {missing}", child("nis.4313314", doses), 0)
    check("all seven, the fourth pcv too late", child(
        "nis.4313314", ",".join(seven.values()).replace("2021-07-15 133", "2022-06-15 133")), 0)

    # Cohort
    def denominator(birth, as_of):
        return sum(row[-1] for row in count([("A", birth, "2021-07-01", "03")], "nis.mmr1",
                                            as_of=as_of))
    for birth, as_of, wanted in [
        ("2017-12-31", "2024-12-31", 0),
        ("2018-01-01", "2024-12-31", 1),
        ("2018-01-02", "2024-12-31", 1),
        ("2022-06-29", "2024-06-30", 1),
        ("2022-06-30", "2024-06-30", 1),
        ("2022-07-01", "2024-06-30", 0),
        ("2020-02-29", "2022-02-28", 0),
        ("2020-02-29", "2022-03-01", 1),
        ("2020-02-28", "2022-02-28", 1),
        ("2022-02-28", "2024-02-28", 1),
        ("2022-03-01", "2024-02-29", 0),
    ]:
        check(f"born {birth} as of {as_of}", denominator(birth, as_of), wanted)

    # Groups
    check("three clients, two groups", count([
        ("A", "2020-12-31", "2021-07-01", "03"),
        ("B", "2021-01-01", "2022-07-01", "03"),
        ("C", "2021-01-02", "2022-07-01", "10"),
    ], "nis.mmr1"), [("2020", 1, 1), ("2021", 1, 2)])
    check("nobody", count([], "nis.mmr1"), [])
    check("one client, many rows", count([("A", "2020-12-31", "2021-07-01", "94")] * 3,
                                         "nis.mmr1"), [("2020", 1, 1)])
    check("only 998 is in the denominator", count(
        [("A", "2020-06-15", "2021-07-01", "998")], "nis.mmr1"), [("2020", 0, 1)])
    check("sex as it is", count([
        ("A", "2020-06-15", "2021-07-01", "03", "Travis", "M"),
        ("B", "2020-06-15", "2021-07-01", "03", "Travis", "m"),
        ("C", "2020-06-15", "2021-07-01", "03", "Travis", ""),
    ], "nis.mmr1", ["sex"]), [("M", 1, 1), ("Unknown", 1, 1), ("m", 1, 1)])
    mixed = [
        ("A", "2020-06-15", "2021-07-01", "03", "Travis", "M"),
        ("B", "2019-06-15", "2020-07-01", "03", "Hays", "F"),
        ("C", "2019-06-15", "2020-07-01", "10", "Travis", "F"),
    ]
    check("by in the order asked", count(mixed, "nis.mmr1", ["birth_year", "sex", "county"]),
          [("2019", "F", "Hays", 1, 1), ("2019", "F", "Travis", 0, 1),
           ("2020", "M", "Travis", 1, 1)])
    check("by county first", count(mixed, "nis.mmr1", ["county", "birth_year"]),
          [("Hays", "2019", 1, 1), ("Travis", "2019", 0, 1), ("Travis", "2020", 1, 1)])

    # The row that speaks for the client
    def county(*rows):
        return count([("A", "2020-06-15", *row) for row in rows], "nis.mmr1", ["county"])
    check("later row, later date", county(("2021-07-01", "03", "Hays"),
                                          ("2021-08-01", "10", "Travis")), [("Travis", 1, 1)])
    check("later row, earlier date", county(("2021-08-01", "03", "Hays"),
                                            ("2021-07-01", "10", "Travis")), [("Hays", 1, 1)])
    check("equal dates: the last row", county(("2021-08-01", "03", "Travis"),
                                              ("2021-08-01", "10", "Hays"),
                                              ("2021-07-01", "10", "Bexar")), [("Hays", 1, 1)])
    check("a row after 24 months speaks too", county(("2021-08-01", "03", "Hays"),
                                                     ("2023-07-01", "10", "Travis")),
          [("Travis", 1, 1)])
    check("even after the as-of date", county(("2021-08-01", "03", "Hays"),
                                              ("2025-07-01", "10", "Travis")),
          [("Travis", 1, 1)])
    check("a row with 998 speaks too", county(("2021-08-01", "03", "Hays"),
                                              ("2021-09-01", "998", "Travis")),
          [("Travis", 1, 1)])
    check("an empty county on the latest row", county(("2021-08-01", "03", "Hays"),
                                                      ("2021-09-01", "10", "")),
          [("Unknown", 1, 1)])
    check("the latest row's birth date decides, into the numerator", count([
        ("A", "2020-06-15", "2022-06-20", "03"),
        ("A", "2020-07-15", "2022-07-20", "10")], "nis.mmr1"), [("2020", 1, 1)])
    check("and out of it", count([
        ("A", "2020-07-15", "2022-06-20", "03"),
        ("A", "2020-06-15", "2022-07-20", "10")], "nis.mmr1"), [("2020", 0, 1)])
    check("and out of the cohort", count([
        ("A", "2018-01-01", "2019-06-20", "03"),
        ("A", "2017-12-31", "2019-07-20", "10")], "nis.mmr1"), [])
    check("sex and year from that row too", count([
        ("A", "2020-12-31", "2021-06-20", "03", "Hays", "F"),
        ("A", "2021-01-01", "2021-07-20", "10", "Hays", "M")], "nis.mmr1",
        ["birth_year", "sex"]), [("2021", "M", 1, 1)])

    # Names of counties
    names = read_counties(["code,label\n", "48209,Hays\n", '48123,"DeWitt"\n'])
    for text, wanted in [("Hays", "Hays"), (" HAYS ", "Hays"), ("hays", "Hays"),
                         ("DEWITT", "DeWitt"), ("De Witt", "Unknown"),
                         ("Hays County", "Unknown"), ("Travis", "Unknown"), ("", "Unknown"),
                         ("  ", "Unknown"), ("48209", "Unknown")]:
        check(f"county {text!r} by the list", count(
            [("A", "2020-06-15", "2021-07-01", "03", text)], "nis.mmr1", ["county"],
            counties=names), [(wanted, 1, 1)])
    check("no list: the text itself", count([
        ("A", "2020-06-15", "2021-07-01", "03", "Nowhere"),
        ("B", "2020-06-15", "2021-07-01", "03", ""),
        ("C", "2020-06-15", "2021-07-01", "03", "  "),
    ], "nis.mmr1", ["county"]), [("Nowhere", 1, 1), ("Unknown", 2, 2)])
    fails("no label column", read_counties, ["code,name\n"])

    # Lines
    check("where records start", list(records(
        ["a,b\n", '"1\n', '2",3\n', "\r\n", '4,"5"\r\n', '"6""",7'])),
        [(1, ["a", "b"]), (2, ["1\n2", "3"]), (4, []), (5, ["4", "5"]), (6, ['6"', "7"])])
    rows = [
        ("A", "2020-06-15", "2021-07-01", "03", "Two\nlines"),          # lines 2 and 3
        ("B", "2020-06-15", "2021-07-01", "03", "X"),                   # line 4
        ("C", "not a date", "2021-07-01", "03", "X"),                   # line 5
    ]
    check("skip C", count(rows, "nis.mmr1", ["county"], skip=[5]),
          [("Two\nlines", 1, 1), ("X", 1, 1)])
    check("skip A and C", count(rows, "nis.mmr1", ["county"], skip=[2, 5]), [("X", 1, 1)])
    check("skip B and C", count(rows, "nis.mmr1", ["county"], skip=[4, 5]),
          [("Two\nlines", 1, 1)])
    fails("C is not skipped", count, rows, "nis.mmr1")
    check("a skipped row does not speak", count([
        ("A", "2020-06-15", "2021-07-01", "03", "Hays"),
        ("A", "2020-06-15", "2021-08-01", "10", "Travis")], "nis.mmr1", ["county"], skip=[3]),
        [("Hays", 1, 1)])
    check("a skipped row is no dose", count([
        ("A", "2020-06-15", "2021-07-01", "03"),
        ("A", "2020-06-15", "2021-08-01", "10")], "nis.mmr1", skip=[2]), [("2020", 0, 1)])
    check("a blank line is no record, but a line", coverage(read_clients(
        table(("A", "2020-06-15", "2021-07-01", "03"))
        + ["\n", "\r\n"] + table(("B", "x", "2021-07-01", "03"))[1:], {5}),
        "nis.mmr1", ["county"], date(2024, 1, 1)), [("Travis", 1, 1)])
    check("columns in another order", coverage(read_clients(
        table(("A", "2020-06-15", "2021-07-01", "03"), header=COLUMNS[::-1])),
        "nis.mmr1", ["county"], date(2024, 1, 1)), [("Travis", 1, 1)])
    fails("a column too few", read_clients, table(header=COLUMNS[1:]))
    fails("a column twice", read_clients, table(header=COLUMNS + ["ZIP CODE"]))
    fails("another name", read_clients, table(header=COLUMNS[1:] + ["CLIENT-ID"]))
    fails("an empty file", read_clients, [])
    fails("a field too few", read_clients, table() + ["A,B\n"])
    check("lines to skip", read_skip_lines(["rule,line\n", "x,5\n", "y,5\n", "z,7\n"]), {5, 7})
    fails("no line column", read_skip_lines, ["rule,row\n"])
    fails("line is no number", read_skip_lines, ["line\n", "x\n"])

    # The whole program, with files: BOM, CRLF, bytes that are not UTF-8
    with tempfile.TemporaryDirectory() as folder:
        data, lines, labels = (os.path.join(folder, name) for name in ("d", "s", "c"))
        text = "".join(table(
            ("A", "2020-06-30", "2021-07-01", "03", " hays"),      # line 2
            ("B", "2020-07-01", "2021-07-01", "03", "Travis"),     # line 3
            ("C", "2020-06-30", "2021-07-01", "10", "Ha%ys"),      # line 4
            ("?", "2020-06-30", "2021-07-01", "03", "Hays"),       # line 5, to be skipped
        )).replace("\n", "\r\n").encode().replace(b"?", b"\xff").replace(
            b"Ha%ys", b'"Hays\r"')  # CR alone ends no line
        for path, content in [(data, b"\xef\xbb\xbf" + text), (lines, b"line,why\n5,bytes\n"),
                              (labels, b"code,label\n48209,Hays\n48453,Travis\n")]:
            with open(path, "wb") as file:
                file.write(content)

        def run(*arguments):
            out = io.StringIO()
            main([data, "--measure", "nis.mmr1", *arguments], out)
            return out.getvalue()
        june = ["--period", "2022-06", "--skip-lines", lines, "--by", "county,birth_year"]
        head = "county,birth_year,numerator,denominator\n"
        check("program", run(*june, "--counties", labels), head + "Hays,2020,1,2\n")
        check("program, as of 1 July", run(*june, "--counties", labels, "--as-of", "2022-07-01"),
              head + "Hays,2020,1,2\nTravis,2020,1,1\n")
        check("program, no list of counties", run(*june),
              head + "Hays,2020,0,1\nhays,2020,1,1\n")
        check("program, nothing skipped", run("--period", "2022-06", "--by", "birth_year"),
              "birth_year,numerator,denominator\n2020,2,3\n")
        for bad in (["--by", "zip"], ["--by", "county,county"], ["--by", ""]):
            with contextlib.redirect_stderr(io.StringIO()):
                try:
                    run("--period", "2022-06", *bad)
                except SystemExit as stop:
                    check(f"program {bad}", stop.code, 2)
                else:
                    check(f"program {bad}", "accepted", "refused")

    print(f"{passed} passed, {failed} failed")
    return failed == 0


if __name__ == "__main__":
    if sys.argv[1:] == ["--self-test"]:
        sys.exit(0 if self_test() else 1)
    sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape", newline="\n")
    try:
        main(sys.argv[1:], sys.stdout)
    except (InputError, OSError) as problem:
        sys.exit(f"coverage.py: {problem}")
