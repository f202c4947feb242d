#!/usr/bin/env python3
"""An independent oracle for the check: how often a month breaks each rule of docs/rules.md.

It was written from the texts of the rules, the dictionary and the codelists alone, to be read
and to be believed, not to be fast.  Python 3.11, standard library only.

    rules.py FILE.csv --period YYYY-MM [--knowledge dictionaries/phds]

It prints JSON: `totals` (read, accepted, rejected), `clients`, `rules` ({code: count}),
`columns` (the same by column, of the rules about single fields) and `lines` (the first twenty
lines of each rule).  A rule that it does not know is not in `rules`.  A file that is refused for
its header, has no row, or ends inside quotes in its last line, is refused here too.

Where the texts leave room:

- A value that is missing, unlisted, of the wrong form or too long is no value: a rule that needs
  it does not apply, and it is the same as no other.  Two missing vaccine groups are not the same.
- Ages are those of CDSi: who is born on the 31st is a month older on the first of the month
  after a shorter one.
- A quoted field may hold line ends.  A record of several lines whose quotes are wrong or whose
  fields are too few or too many was opened by mistake: its first line is out (S11).
- Each rule is counted alone, also on a row that another rule rejects; those across rows look at
  accepted rows.
- A dose is a row, also one of a code that is no vaccine (X08, X12).  "Before" is of days, not of
  lines.  Each row of the later day counts that is not there again.
- A client was born when the row says that describes the client (X05).  A row without a vaccine group is something else than hepatitis B vaccine (X13).
"""

import argparse
import csv
import json
import re
import sys
import tomllib
from datetime import date, timedelta
from pathlib import Path

HERE = Path(__file__).resolve().parent

DISASTER = (date(2020, 3, 1), date(2023, 6, 15))
FIRST_COVID_VACCINE = date(2020, 12, 11)
DISASTER_RECORDS_KEPT_UNTIL = date(2028, 6, 15)
FIRST_BIRTH = date(1890, 1, 1)
NOT_ADMINISTERED, UNKNOWN_VACCINE = "998", "999"
GRACE = timedelta(days=4)
MOST_DOSES = 150
WEEKS_APART = {"DTAP", "FLU", "HepA", "HepB", "HIB", "HPV", "MENING", "MeningB", "MMR",
               "PneumoPCV", "PneumoPPV", "POLIO", "ROTAVIRUS", "RSV", "Td", "TDAP", "VARICELLA",
               "ZOSTER"}
LEAST_INTERVAL = timedelta(days=24)
OLDEST_AT_BIRTH_DOSE = timedelta(days=3)
MOST_REJECTED = 0.05
LEAST_AGREEMENT = 0.95

SHAPE = ["PHDS-S06", "PHDS-S07", "PHDS-S08", "PHDS-S10", "PHDS-S11", "PHDS-S12"]
FIELD_REJECTS = ["PHDS-F01", "PHDS-F03", "PHDS-F04", "PHDS-F05"]
FIELD_REVIEWS = ["PHDS-F02", "PHDS-F06", "PHDS-F07", "PHDS-F08", "PHDS-F09"]
ROW_REJECTS = ["PHDS-R01", "PHDS-R02", "PHDS-R04", "PHDS-R18", "PHDS-D01", "PHDS-D04"]
ROW_REVIEWS = ["PHDS-R03", "PHDS-R05", "PHDS-R07", "PHDS-R08", "PHDS-R09", "PHDS-R10",
               "PHDS-R11", "PHDS-R12", "PHDS-R13", "PHDS-R14", "PHDS-R15", "PHDS-R16",
               "PHDS-R17", "PHDS-D02", "PHDS-D03", "PHDS-D05"]
ACROSS_ROWS = [f"PHDS-X{number:02}" for number in range(1, 14)]
WHOLE_FILE = ["PHDS-P01", "PHDS-H05"]
REJECTS = set(SHAPE + FIELD_REJECTS + ROW_REJECTS)
RULES = (SHAPE + FIELD_REJECTS + FIELD_REVIEWS + ROW_REJECTS + ROW_REVIEWS + ACROSS_ROWS
         + WHOLE_FILE)


class InputError(Exception):
    """Something the oracle does not cover; better no answer than a wrong one."""


# -------------------------------------------------------------------- dates

def add_months(day, months):
    """An impossible date becomes the first day of the next month (CDSi)."""
    count = day.year * 12 + (day.month - 1) + months
    year, month = count // 12, count % 12 + 1
    if year > date.max.year:
        return date.max
    try:
        return date(year, month, day.day)
    except ValueError:  # such as 30 February; December has 31 days, so month < 12 here
        return date(year, month + 1, 1)


def last_day(period):
    return add_months(date.fromisoformat(period + "-01"), 1) - timedelta(days=1)


def due_day(period):
    """The second Monday after the reporting period."""
    first = last_day(period) + timedelta(days=1)
    return first + timedelta(days=(7 - first.weekday()) % 7 + 7)


def completed_months(birth, day):
    months = (day.year - birth.year) * 12 + day.month - birth.month
    return months if add_months(birth, months) <= day else months - 1


FORMATS = {"iso": r"(?P<y>[0-9]{4})-(?P<m>[0-9]{2})-(?P<d>[0-9]{2})",
           "us": r"(?P<m>[0-9]{2})/(?P<d>[0-9]{2})/(?P<y>[0-9]{4})",
           "compact": r"(?P<y>[0-9]{4})(?P<m>[0-9]{2})(?P<d>[0-9]{2})"}


def read_date(text, formats):
    """(date, name of its format), or (None, None)."""
    for name in formats:
        parts = re.fullmatch(FORMATS[name], text)
        if parts:
            try:
                return date(int(parts["y"]), int(parts["m"]), int(parts["d"])), name
            except ValueError:
                return None, None
    return None, None


# ---------------------------------------------------------------- knowledge

def table(path):
    with open(path, encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def plain(header):
    """Headers match without case, spaces, underscores, hyphens and slashes."""
    return re.sub(r"[ _/-]", "", header).casefold()


class Knowledge:
    """The dictionary and the codelists."""

    def __init__(self, folder):
        with open(folder / "dictionary.toml", "rb") as file:
            dictionary = tomllib.load(file)
        lists = folder / "codelists"
        self.fields = dictionary["field"]
        self.first_day = date(dictionary["first_inclusion_year"], 1, 1)
        self.missing = {"", *(value.casefold() for value in dictionary["missing_values"])}
        self.codes = {}  # field: {what may be written: code}
        for field in self.fields:
            if "codelist" in field:
                self.codes[field["name"]] = spellings = {}
                for row in table(lists / (field["codelist"] + ".csv")):
                    written = [row["code"], *filter(None, row["aliases"].split("|"))]
                    if field.get("labels"):
                        written.append(row["label"])
                    spellings.update((text.casefold(), row["code"]) for text in written)

        self.vaccines = {}
        groups = self.codes["vaccine_group"]
        for row in table(lists / "cvx.csv"):
            self.vaccines[row["code"]] = {
                "nonvaccine": row["nonvaccine"] == "true",
                "unspecified": "unspecified" in re.findall(r"\w+", row["label"].casefold()),
                "groups": {groups[name.casefold()]
                           for name in filter(None, row["vaccine_groups"].split("|"))},
                "from": date.fromisoformat(row["in_use_from"] or "0001-01-01"),
                "to": date.fromisoformat(row["in_use_to"] or "9999-12-31"),
                "youngest": int(row["min_age_months"]) if row["min_age_months"] else None,
                "oldest": int(row["max_age_months"]) if row["max_age_months"] else None,
            }
        self.rsv_antibodies = {row["code"] for row in table(lists / "rsv_antibodies.csv")}
        items = table(lists / "disaster_items.csv")
        self.covid_vaccines = {row["code"] for row in items if row["item"] == "vaccine"}
        self.therapeutics = {row["code"] for row in items if row["item"] == "therapeutic"}
        self.covid_vaccines_after_the_disaster = {
            row["code"] for row in items
            if row["item"] == "vaccine" and row["market"] == "US" and row["introduced"]
            and date.fromisoformat(row["introduced"]) > DISASTER[1]}
        self.zip_counties = {(row["zip"], row["county"]) for row in table(lists / "zip_county.csv")}
        self.zips = {zip_code for zip_code, _ in self.zip_counties}

    def order(self, header):
        """The field of each column of the header."""
        names = {plain(text): field for field in self.fields
                 for text in [field["name"], field["header"], *field.get("aliases", [])]}
        fields = [names.get(plain(text)) for text in header]
        known = [field["name"] for field in fields if field]
        if sorted(known) != sorted(field["name"] for field in self.fields):
            raise InputError("the header is not the columns of the dictionary, each once")
        if None in fields:
            raise InputError("the header has a column that is not in the dictionary")
        return fields


# ----------------------------------------------------------------- findings

class Findings:
    """The lines on which each rule is broken; several times, when several columns break it."""

    def __init__(self):
        self.lines = {code: [] for code in RULES}
        self.columns = {}  # (code, header): count

    def add(self, code, line, header=None):
        self.lines[code].append(line)
        if header is not None:
            self.columns[code, header] = self.columns.get((code, header), 0) + 1

    def rejected_lines(self):
        return {line for code in REJECTS for line in self.lines[code]}


# ------------------------------------------------------------------ records

INSIDE_QUOTES = re.compile(rb'[^"]*(?:""[^"]*)*"')
OUTSIDE_QUOTES = re.compile(rb'[^,"\n]*')


def split_record(data, at):
    """The record at a byte: (its fields, the byte after it, fault).

    The fault is None, "stray" (a quote in the wrong place) or "open" (a quote that is never
    closed); with a fault, the other two mean nothing.  LF ends a line.
    """
    fields = []
    while True:
        if data[at:at + 1] == b'"':
            closed = INSIDE_QUOTES.match(data, at + 1)
            if closed is None:
                return None, None, "open"
            fields.append(data[at + 1:closed.end() - 1].replace(b'""', b'"'))
            at = closed.end()
            if data[at:at + 2] == b"\r\n":
                at += 1
        else:
            end = OUTSIDE_QUOTES.match(data, at).end()
            field = data[at:end]
            at = end
            if data[at:at + 1] == b"\n":
                field = field.removesuffix(b"\r")
            fields.append(field)
        after = data[at:at + 1]
        if after == b",":
            at += 1
        elif after in (b"\n", b""):
            return fields, at + len(after), None
        else:
            return None, None, "stray"


def records(data, width):
    """(line, bytes of the record, its fields, code of the fault in its quotes).

    A record of several lines that has not the right number of fields was opened by mistake.
    """
    at, line = 0, 1
    while at < len(data):
        line_end = data.find(b"\n", at) + 1 or len(data)
        first_line = data[at:line_end]
        if first_line in (b"\n", b"\r\n"):
            at, line = line_end, line + 1
            continue
        fields, end, fault = split_record(data, at)
        code = None
        if fault == "stray":
            # On its own, is the line right up to a quote that it leaves open?
            _, _, own = split_record(first_line, 0)
            code = "PHDS-S11" if own == "open" else "PHDS-S08"
        elif fault == "open":
            if line_end == len(data):
                raise InputError(f"line {line}: the file ends inside quotes")
            code = "PHDS-S11"
        elif end > line_end and len(fields) != width:
            code = "PHDS-S11"
        if code is not None:
            fields, end = None, line_end
        yield line, data[at:end], fields, code
        line += data.count(b"\n", at, end)
        at = end


def encoding_of(data):
    """UTF-8, unless no character is UTF-8 and all are Windows-1252."""
    if data.isascii():
        return "utf-8"
    text = data.decode("utf-8", errors="surrogateescape")
    if any(ord(char) > 127 and not 0xDC80 <= ord(char) <= 0xDCFF for char in text):
        return "utf-8"
    try:
        data.decode("windows-1252")
    except UnicodeDecodeError:
        return "utf-8"
    return "windows-1252"


def without_line_end(record):
    return record.removesuffix(b"\n").removesuffix(b"\r")


def is_text(record, encoding):
    try:
        record.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def has_control_character(record, encoding):
    text = record.decode(encoding, errors="replace").replace("\r\n", "").replace("\n", "")
    return any(char != "\t" and (char < " " or "\x7f" <= char <= "\x9f") for char in text)


def read_rows(data, knowledge, findings):
    """(rows of the right shape, rows read).  A row has `line`, `bytes` and each field's text.

    A row of the wrong shape breaks one rule: the first of S07, S10, S08 or S11, S06, S12.
    """
    data = data.removeprefix(b"\xef\xbb\xbf")
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")  # CR ends every line of such a file
    encoding = encoding_of(data)
    found = records(data, len(knowledge.fields))
    _, header_bytes, header, code = next(found, (1, b"", [], None))
    if code is not None:
        raise InputError("the header cannot be read")
    fields = knowledge.order([text.decode(encoding) for text in header])

    rows, read = [], 0
    for line, record, values, code in found:
        read += 1
        record = without_line_end(record)
        if not is_text(record, encoding):
            code = "PHDS-S07"
        elif has_control_character(record, encoding):
            code = "PHDS-S10"
        elif code is None and len(values) != len(fields):
            code = "PHDS-S06"
        elif record == without_line_end(header_bytes):
            code = "PHDS-S12"
        if code is not None:
            findings.add(code, line)
        else:
            texts = (value.decode(encoding).strip(" \t\r\n") for value in values)
            row = dict(zip((field["name"] for field in fields), texts))
            rows.append({"line": line, "bytes": record, **row})
    if read == 0:
        raise InputError("there is no row")
    return rows, read


# ------------------------------------------------------------------- fields

def read_fields(rows, knowledge, findings):
    """Puts into each row, in place of texts, what they mean; None is no value."""
    formats = {}  # field: [(line, format)]
    for row in rows:
        for field in knowledge.fields:
            name, header, text = field["name"], field["header"], row[field["name"]]
            row[name] = None
            if text.casefold() in knowledge.missing:
                if field["presence"] == "required":
                    findings.add("PHDS-F01", row["line"], header)
                elif field["presence"] == "expected":
                    findings.add("PHDS-F02", row["line"], header)
            elif field["type"] == "date":
                row[name], form = read_date(text, field["formats"])
                if form is None:
                    findings.add("PHDS-F03", row["line"], header)
                else:
                    formats.setdefault(header, []).append((row["line"], form))
            elif field["type"] == "integer":
                number = int(text) if re.fullmatch(r"-?[0-9]+", text) else None
                if number is not None and field["minimum"] <= number <= field["maximum"]:
                    row[name] = number
                else:
                    findings.add("PHDS-F04", row["line"], header)
            elif field["type"] == "code":
                row[name] = knowledge.codes[name].get(text.casefold())
                if row[name] is None:
                    code = {"reject": "PHDS-F05", "review": "PHDS-F06"}[field["unlisted"]]
                    findings.add(code, row["line"], header)
            elif "pattern" in field and not re.fullmatch(field["pattern"], text, re.ASCII):
                findings.add("PHDS-F07", row["line"], header)
            elif "max_length" in field and len(text) > field["max_length"]:
                findings.add("PHDS-F08", row["line"], header)
            else:
                row[name] = text[:field.get("keep_first")]

    for header, found in formats.items():
        names = [form for _, form in found]
        usual = max(FORMATS, key=names.count)  # of two that are as frequent, the one tried first
        for line, form in found:
            if form != usual:
                findings.add("PHDS-F09", line, header)


# ------------------------------------------------------------------ one row

def check_row(row, period_end, due, knowledge, add):
    """The rules that look at one row.  Without a value, a rule does not apply."""
    born, day, code = row["birth_date"], row["vaccination_date"], row["cvx_code"]
    group, county = row["vaccine_group"], row["county"]
    vaccine = knowledge.vaccines.get(code)
    is_therapeutic = group in knowledge.therapeutics
    no_product = code in (NOT_ADMINISTERED, UNKNOWN_VACCINE)

    if re.fullmatch(r"[0-9]+([.,][0-9]+)?[Ee]\+[0-9]+", row["client_id"] or ""):
        add("PHDS-R18")
    if born and born < FIRST_BIRTH:
        add("PHDS-R04")
    if born and day:
        if day < born:
            add("PHDS-R01")
        if born >= FIRST_BIRTH and completed_months(born, day) >= 121 * 12:
            add("PHDS-R07")
    if day:
        if day > due:
            add("PHDS-R02")
        if period_end < day <= due:
            add("PHDS-R03")
        if day < knowledge.first_day:
            add("PHDS-R05")

    if row["zip"] in knowledge.zips and county:
        if (row["zip"], county) not in knowledge.zip_counties:
            add("PHDS-R09")
    if county and row["state"] not in (None, "TX"):
        add("PHDS-R10")

    if vaccine:
        if group and vaccine["groups"] and group not in vaccine["groups"]:
            add("PHDS-R11")
        if vaccine["nonvaccine"] and not no_product and code not in knowledge.rsv_antibodies:
            add("PHDS-R12")
        if code == NOT_ADMINISTERED:
            add("PHDS-R13")
        if code == UNKNOWN_VACCINE and not is_therapeutic:
            add("PHDS-R14")
        if day and day < vaccine["from"]:
            add("PHDS-R15")
        if day and day > vaccine["to"] and not vaccine["unspecified"] and not no_product:
            add("PHDS-R16")
        months = completed_months(born, day) if born and day else None
        if months is not None and 0 <= months < 121 * 12 and not no_product:
            youngest, oldest = vaccine["youngest"], vaccine["oldest"]
            too_young = youngest is not None and day < add_months(born, youngest) - GRACE
            too_old = oldest is not None and months > oldest
            if too_young or too_old:
                add("PHDS-R17")

    in_disaster = day and DISASTER[0] <= day <= DISASTER[1]
    if is_therapeutic:
        if day and not in_disaster:
            add("PHDS-D01")
        if period_end > DISASTER_RECORDS_KEPT_UNTIL:
            add("PHDS-D05")
    if code in knowledge.covid_vaccines and day:
        if not in_disaster:
            add("PHDS-D02")
        if in_disaster and day < FIRST_COVID_VACCINE:
            add("PHDS-D03")
        if in_disaster and code in knowledge.covid_vaccines_after_the_disaster:
            add("PHDS-D04")


def check_ages(rows, findings):
    """PHDS-R08 for the one meaning that its example tells: completed months at vaccination."""
    told = [row for row in rows
            if row["birth_date"] and row["vaccination_date"] and row["age_in_months"] is not None
            and row["birth_date"] <= row["vaccination_date"]]
    wrong = [row["line"] for row in told if row["age_in_months"]
             != completed_months(row["birth_date"], row["vaccination_date"])]
    if len(told) - len(wrong) >= LEAST_AGREEMENT * len(told):
        findings.lines["PHDS-R08"] = wrong
    else:
        del findings.lines["PHDS-R08"]  # another meaning, or none


# -------------------------------------------------------------- across rows

def earlier_rows(rows, key):
    """(row, the earlier rows of the same key); rows whose key lacks a value are left out."""
    seen = {}
    for row in rows:
        found = key(row)
        if None not in found:
            yield row, seen.setdefault(found, [])
            seen[found].append(row)


def check_across_rows(rows, period_end, findings):
    """All of it is about accepted rows, in the order of the file.

    "An earlier row" of X03, X10 and X11 is the first one with the id: after the names A, B, A
    the third row agrees with the first.  A row that is there again (X01) is no other dose (X04).
    """
    for row, earlier in earlier_rows(rows, lambda row: (row["client_id"], row["bytes"])):
        if earlier:
            findings.add("PHDS-X01", row["line"])
    for row, earlier in earlier_rows(rows, lambda row: (row["immunfact_id"],)):
        if earlier:
            findings.add("PHDS-X02", row["line"])
    same_dose = ("client_id", "cvx_code", "vaccine_group", "vaccination_date")
    for row, earlier in earlier_rows(rows, lambda row: tuple(row[name] for name in same_dose)):
        if earlier and all(other["bytes"] != row["bytes"] for other in earlier):
            findings.add("PHDS-X04", row["line"])
    for code, name, by in [("PHDS-X03", "immunization_id", ("client_id", "vaccination_date")),
                           ("PHDS-X10", "org_id", ("provider_name",)),
                           ("PHDS-X11", "provider_name", ("org_id",))]:
        told = (row for row in rows if all(row[other] is not None for other in by))
        for row, earlier in earlier_rows(told, lambda row: (row[name],)):
            if any(row[other] != earlier[0][other] for other in by if earlier):
                findings.add(code, row["line"])

    clients = {}
    for row in rows:
        clients.setdefault(row["client_id"], []).append(row)
    for own in clients.values():
        check_client(own, period_end, findings)
    for found in findings.lines.values():
        found.sort()
    return len(clients)


def check_client(rows, period_end, findings):
    latest = rows[0]
    for row in rows:
        if row["vaccination_date"] >= latest["vaccination_date"]:
            latest = row
    for code, name in [("PHDS-X05", "birth_date"), ("PHDS-X06", "sex"), ("PHDS-X07", "county")]:
        for row in rows:
            if None not in (row[name], latest[name]) and row[name] != latest[name]:
                findings.add(code, row["line"])
    once = list({row["bytes"]: row for row in reversed(rows)}.values())
    for row in once:
        if row["ordinal_position"] is not None and row["vaccine_group"] is not None and any(
                earlier["vaccine_group"] == row["vaccine_group"]
                and earlier["vaccination_date"] < row["vaccination_date"]
                and earlier["ordinal_position"] is not None
                and earlier["ordinal_position"] > row["ordinal_position"]
                for earlier in rows):
            findings.add("PHDS-X08", row["line"])
    doses = {(row["vaccination_date"], row["cvx_code"]) for row in rows}
    if len(doses) > MOST_DOSES:
        findings.add("PHDS-X09", rows[0]["line"])

    for row in once:
        if row["vaccine_group"] in WEEKS_APART and any(
                other["vaccine_group"] == row["vaccine_group"]
                and other["vaccination_date"] < row["vaccination_date"]
                and row["vaccination_date"] - other["vaccination_date"] < LEAST_INTERVAL
                for other in rows):
            findings.add("PHDS-X12", row["line"])
    born = latest["birth_date"]
    if add_months(born, 2 * 12) <= period_end and all(
            row["vaccine_group"] == "HepB"
            and born <= row["vaccination_date"] <= born + OLDEST_AT_BIRTH_DOSE
            for row in rows):
        findings.add("PHDS-X13", rows[0]["line"])


# -------------------------------------------------------------- the program

def check(data, period, knowledge):
    findings = Findings()
    period_end, due = last_day(period), due_day(period)
    rows, read = read_rows(data, knowledge, findings)
    read_fields(rows, knowledge, findings)
    for row in rows:
        check_row(row, period_end, due, knowledge,
                  lambda code, line=row["line"]: findings.add(code, line))
    check_ages(rows, findings)

    rejected = findings.rejected_lines()
    accepted = [row for row in rows if row["line"] not in rejected]
    clients = check_across_rows(accepted, period_end, findings)
    if len(rejected) > MOST_REJECTED * read:
        findings.add("PHDS-P01", 0)
    month_before = (date.fromisoformat(period + "-01") - timedelta(days=1)).strftime("%Y-%m")
    now, before = (sum(row["vaccination_date"].strftime("%Y-%m") == month for row in accepted)
                   for month in (period, month_before))
    if len(accepted) >= 1000 and (now == 0 or 10 * now < before):
        findings.add("PHDS-H05", 0)

    columns = {}
    for (code, header), count in findings.columns.items():
        columns.setdefault(code, {})[header] = count
    return {
        "totals": {"read": read, "accepted": len(accepted), "rejected": len(rejected)},
        "clients": clients,
        "rules": {code: len(lines) for code, lines in findings.lines.items()},
        "columns": columns,
        "lines": {code: sorted(set(lines))[:20] for code, lines in findings.lines.items()
                  if code not in WHOLE_FILE},
    }


def main(arguments, out):
    parser = argparse.ArgumentParser(description="What breaks the rules, counted simply.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--period", required=True, metavar="YYYY-MM")
    parser.add_argument("--knowledge", type=Path, metavar="FOLDER",
                        default=HERE.parent.parent / "dictionaries" / "phds")
    options = parser.parse_args(arguments)
    found = check(options.file.read_bytes(), options.period, Knowledge(options.knowledge))
    json.dump(found, out, indent=1, ensure_ascii=False)
    out.write("\n")


if __name__ == "__main__":
    try:
        main(sys.argv[1:], sys.stdout)
    except (InputError, OSError) as problem:
        sys.exit(f"rules.py: {problem}")
