#!/usr/bin/env python3
"""An independent oracle for the indicators of docs/indicators.md: raw counts, in plain Python.

It was written from docs/indicators.md, docs/measures.md and dictionaries/phds/measures/nis.toml alone (the measures of a
season, by another author, from flu.toml beside it), to be read and to be believed, not to be fast.  Reading and the rules of
dates are those of coverage.py, the older oracle beside it.

    indicators.py FILE.csv --period YYYY-MM --indicator NAME [--measure ID] [--to ID] --by DIM,...
                  [--denominator NAME,...] [--resident COUNTY,...] [--attribution RULE] [--where DIM=VALUE,...]
                  [--as-of YYYY-MM-DD] [--skip-lines FILE] [--codelists FOLDER]
    indicators.py --self-test

Where the definition leaves room, this is how it is read here.  Q is the question, A the reading.

 Q1  Hib and rotavirus: days or rows?  A: days; a day is of a product when all its rows of the vaccine are.
 Q2  Until which age is a dose given?  The text refers to opportunities.toml.  A: rotavirus 1 before 15 weeks, any before 8
     months and a day.
 Q3  `one-visit`: how many doses does a client lack where the number goes by product?  A: those of the smaller number when
     the first two days, as far as given, are of the product alone.
 Q4  Of which groups is an empty denominator `not_applicable`?  A: of all that a client of the cohort is in, by the same rule
     of attribution: a row (0, 0) for each denominator with nobody in it.
 Q5  `missing`: is there a row for a set that nobody lacks?  A: no, nor `none` when nobody is in time for all.
 Q6  `curve`: which row is the first?  A: that of 1 month. A dose before birth (of two birth dates in a history) is in it.
 Q7  `curve`: is there a row for an age at which nobody is at risk?  A: no.
 Q8  A row that is no visit (998, 999, no code): does it decide county and ZIP code?  A: yes, when it is the latest.
 Q9  The label of an organization?  A: its id.
 Q10 Season: from which birth date on?  A: from any, where no dose before the season matters; else from the one with which
     the age of `history_from_months` is reached on the first day of the file. A dose before that age counts all the same.
 Q11 Season, two doses 24 days apart: do days before July 1 hold back one after it?  A: no.
"""

import argparse
import csv
import os
import sys
from collections import Counter, namedtuple
from datetime import date, timedelta

import coverage
from coverage import InputError, add_months

# --------------------------------------------------------------- definition

FIRST_BIRTH_DATE = coverage.FIRST_BIRTH_DATE
NO_DOSE = {"998", "999"}
UNKNOWN = "Unknown"
NEVER = float("inf")
AGE = 24  # months, of all measures here but those of a season; the cutoff is `before_birthday`


def after(day, months=0, weeks=0, days=0):
    """CDSi: months first, an impossible day rolls forward, then weeks and days."""
    return add_months(day, months) + timedelta(days=7 * weeks + days)


# The minimum age of a dose, the minimum interval since the dose before and the age from which on it is not given any more,
# as (months, weeks, days): CDSi 4.64.  That of Hib and PCV is 5 years: too late to be in time for a measure here.
Step = namedtuple("Step", "age interval too_old", defaults=[None, None])
WEEKS_6, WEEKS_10, WEEKS_14, WEEKS_24 = [(0, weeks, -4) for weeks in (6, 10, 14, 24)]
YEAR = (12, 0, -4)
WEEKS_4, WEEKS_8, WEEKS_16 = [(0, weeks, -4) for weeks in (4, 8, 16)]
PRIMARY = [Step(WEEKS_6), Step(WEEKS_10, WEEKS_4), Step(WEEKS_14, WEEKS_4)]
BOOSTER = Step(YEAR, WEEKS_8)


class Series:
    """So many distinct days with one of the codes."""

    def __init__(self, codes, steps, late_after=None, window=(None, None)):
        self.codes = codes
        self.steps = steps
        self.late_after = late_after  # of the last dose: (months, weeks) of the first day that is late
        self.window = window          # no day before the first age in months counts, nor after the second

    def is_open(self, birth, day):
        begin, end = self.window
        return ((begin is None or day >= add_months(birth, begin))
                and (end is None or day <= add_months(birth, end)))

    def days(self, birth, doses):
        """The days that count, in order."""
        return [day for day in coverage.dates_of(doses, self.codes) if self.is_open(birth, day)]

    def steps_for(self, birth, doses):
        """One step for each dose that this client needs."""
        return self.steps

    def ways(self, birth, doses):
        """(steps, days that may not be among the first two) for each way to complete the series."""
        return [(self.steps, set())]

    def from_first(self, number):
        """An interval that dose `number` (from 0) needs since the first dose, or None."""
        return None


class HepB(Series):
    def from_first(self, number):
        return WEEKS_16 if number == 2 else None


class ByProduct(Series):
    """Fewer doses are enough when the first two are of one product alone."""

    def __init__(self, product, others, fewer, *rest, **named):
        super().__init__(product | others, *rest, **named)
        self.others = others
        self.fewer = fewer

    def steps_for(self, birth, doses):
        first = self.days(birth, doses)[:2]
        return self.fewer if first and not self.of_others(doses) & set(first) else self.steps

    def ways(self, birth, doses):
        first, others = self.days(birth, doses)[:1], self.of_others(doses)
        fewer = [(self.fewer, others)] if first and first[0] not in others else []
        return [(self.steps, set()), *fewer]

    def of_others(self, doses):
        """The days on which another product was given."""
        return set(coverage.dates_of(doses, self.others))


ROTAVIRUS = [PRIMARY[0]._replace(too_old=(0, 15, 0)), *PRIMARY[1:]]

HEPA = set("31 52 83 84 85 104 193".split())
RV1, RV_OTHER = {"119"}, set("74 116 122".split())
DTAP = coverage.DTAP | coverage.DT_PEDIATRIC
SERIES = {
    "nis.dtap3": Series(DTAP, PRIMARY, (7, 4)),
    "nis.dtap4": Series(DTAP, [*PRIMARY, Step(YEAR, (6, 0, -4))], (19, 4)),
    "nis.polio3": Series(coverage.POLIO | coverage.POLIO_INADVERTENT, PRIMARY, (19, 4)),
    "nis.mmr1": Series(coverage.MMR_FULL, [Step(YEAR)], (16, 4)),
    "nis.hib_full": ByProduct(coverage.HIB_PRP_OMP, coverage.HIB_OTHER, [*PRIMARY[:2], BOOSTER],
                              [*PRIMARY, BOOSTER], (16, 4)),
    "nis.hepb3": HepB(coverage.HEPB, [Step((0, 0, 0)), Step(WEEKS_4, WEEKS_4), Step(WEEKS_24, WEEKS_8)], (19, 4)),
    "nis.var1": Series(coverage.VARICELLA, [Step(YEAR)], (16, 4), window=(12, None)),
    "nis.pcv4": Series(coverage.PCV, [*PRIMARY, BOOSTER], (16, 4)),
    "nis.hepa1": Series(HEPA, [Step(YEAR)]),
    "nis.rotavirus": ByProduct(RV1, RV_OTHER, ROTAVIRUS[:2], ROTAVIRUS, (7, 4), window=(None, 8)),
}
COMBINED = {
    "nis.4313314": ["nis.dtap4", "nis.polio3", "nis.mmr1", "nis.hib_full", "nis.hepb3", "nis.var1", "nis.pcv4"],
}

# Measures of a season: the doses that are needed in it (two, or one after two before it), and the ages of its cohort in
# months, on December 31 or on the as-of date where that is earlier. Doses before an age of 6 months need not be in the file.
Season = namedtuple("Season", "doses from_age under_age history_from")
INFLUENZA = set("15 16 88 111 135 140 141 144 149 150 151 153 155 158 161 166 168 171 185 186 194 197 200 201 202 205 231 "
                "320 331 333".split())
SEASONAL = {
    "flu.dose1": Season(1, 6, 216, None),
    "flu.dose1_6_23m": Season(1, 6, 24, None),
    "flu.dose1_2_4y": Season(1, 24, 60, None),
    "flu.full": Season(2, 6, 108, 6),
    "flu.full_6_23m": Season(2, 6, 24, 6),
    "flu.full_2_4y": Season(2, 24, 60, 6),
}
MEASURES = [*SERIES, *COMBINED, *SEASONAL]


def season_begin(day):
    """July 1 of the season that a day is in."""
    return date(day.year if day.month >= 7 else day.year - 1, 7, 1)


def parts_of(measure):
    return COMBINED.get(measure, [measure])


# ------------------------------------------------------------ one client

Row = namedtuple("Row", "day code group provider_zip org")


class Client:
    def __init__(self):
        self.latest = None  # latest vaccination date so far
        self.birth = None   # these are from the row with that date, the last of several
        self.labels = {}
        self.rows = []      # in the order of the file

    def dose_rows(self, as_of=date.max):
        """The rows that tell of a dose, up to a day, in the order of the file."""
        return [row for row in self.rows if row.day <= as_of and row.code is not None and row.code not in NO_DOSE]

    def doses(self, as_of):
        """(day, CVX code) of each of these rows."""
        return [(row.day, row.code) for row in self.dose_rows(as_of)]

    def visits(self, as_of=date.max):
        """{day: organization}, the days in order."""
        visits = {row.day: row.org for row in self.dose_rows(as_of)}  # the last row of the day stays
        return dict(sorted(visits.items()))


def up_to_date_day(part, client, as_of):
    """The day of the last dose that was needed, or None."""
    doses = client.doses(as_of)
    days = SERIES[part].days(client.birth, doses)
    needed = len(SERIES[part].steps_for(client.birth, doses))
    return days[needed - 1] if len(days) >= needed else None


def potential_day(part, client, as_of):
    """The same had every visit been used, or None."""
    series, doses = SERIES[part], client.doses(as_of)
    days = [up_to_date_day(part, client, as_of)]
    for steps, not_first in series.ways(client.birth, doses):
        counted = gone_through(series, client, steps, as_of)
        if len(counted) == len(steps) and not not_first & set(counted[:2]):
            days.append(counted[-1])
    return min((day for day in days if day is not None), default=None)


def gone_through(series, client, steps, as_of):
    """The visits at which the vaccine was given or could have been, as many as there are steps."""
    given, counted = series.days(client.birth, client.doses(as_of)), []
    for visit in client.visits(as_of):
        if len(counted) == len(steps):
            break
        number = len(counted)
        step, from_first = steps[number], series.from_first(number)
        is_due = (series.is_open(client.birth, visit)
                  and visit >= after(client.birth, *step.age)
                  and (step.too_old is None or visit < after(client.birth, *step.too_old))
                  and (step.interval is None or visit >= after(counted[-1], *step.interval))
                  and (from_first is None or visit >= after(counted[0], *from_first)))
        if visit in given or is_due:
            counted.append(visit)
    return counted


def latest_of(day_of, measure, client, as_of):
    """Of a combination the latest day of its parts; None when one has none."""
    days = [day_of(part, client, as_of) for part in parts_of(measure)]
    return None if None in days else max(days)


def lacking(part, client, as_of):
    """How many doses a client lacks."""
    doses = client.doses(as_of)
    given = len(SERIES[part].days(client.birth, doses))
    return max(0, len(SERIES[part].steps_for(client.birth, doses)) - given)


def is_in_cohort(client, measure, as_of):
    if measure in SEASONAL:
        season = SEASONAL[measure]
        aged_on = min(as_of, season_begin(as_of).replace(month=12, day=31))
        return (add_months(client.birth, season.from_age) <= aged_on < add_months(client.birth, season.under_age)
                and (season.history_from is None
                     or add_months(client.birth, season.history_from) >= FIRST_BIRTH_DATE))
    return client.birth >= FIRST_BIRTH_DATE and add_months(client.birth, AGE) <= as_of


def far_apart(days):
    """Of days in order, those that count: 24 days or more after the one that counted before."""
    counted = []
    for day in days:
        if not counted or day >= after(counted[-1], days=24):
            counted.append(day)
    return counted


def is_covered_in_season(client, measure, as_of):
    begin = season_begin(as_of)
    days = coverage.dates_of(client.doses(as_of), INFLUENZA)
    in_season = [day for day in days if day >= begin]
    if SEASONAL[measure].doses == 1:
        return len(in_season) >= 1
    if len(far_apart(in_season)) >= 2:
        return True
    return len(far_apart([day for day in days if day < begin])) >= 2 and len(in_season) >= 1


def is_before(day, limit):
    return day is not None and day < limit


def is_on_time(part, client, as_of):
    months, weeks = SERIES[part].late_after
    return is_before(up_to_date_day(part, client, as_of), after(client.birth, months, weeks))


def judge(indicator, client, measure, to, as_of):
    """Of the cohort: in the numerator (True) or not (False), or not in the denominator (None)."""
    if measure in SEASONAL:
        return is_covered_in_season(client, measure, as_of)
    limit = add_months(client.birth, AGE)
    day = latest_of(up_to_date_day, measure, client, as_of)
    in_time = is_before(day, limit)
    if indicator == "coverage":
        return in_time
    if indicator == "late":
        return day is not None and not in_time
    if indicator == "on-time":
        return all(is_on_time(part, client, as_of) for part in parts_of(measure))
    if indicator == "dropout":
        if not in_time:
            return None
        return not is_before(latest_of(up_to_date_day, to, client, as_of), limit)
    if indicator == "one-visit":
        if day is not None:
            return None
        return all(lacking(part, client, as_of) <= 1 for part in parts_of(measure))
    could = is_before(latest_of(potential_day, measure, client, as_of), limit)
    if indicator == "potential":
        return could
    if indicator == "missed":
        return could and not in_time
    raise ValueError(indicator)


def missing_parts(client, measure, as_of):
    limit = add_months(client.birth, AGE)
    return tuple(part for part in parts_of(measure)
                 if not is_before(up_to_date_day(part, client, as_of), limit))


def month_of_event(birth, day):
    """The month of age in which a day lies, from 1 on."""
    return NEVER if day is None else max(1, completed_months(birth, day) + 1)


def completed_months(birth, day):
    months = (day.year - birth.year) * 12 + day.month - birth.month
    return months if add_months(birth, months) <= day else months - 1


def organizations(client, rule):
    """The organizations of a client by a rule: one, or for `any` all."""
    if rule == "any":
        first_rows = {}
        for row in client.dose_rows():
            first_rows.setdefault((row.day, row.code), row.org)
        return sorted(set(first_rows.values()))
    if rule == "most":
        rows = sorted((row for row in client.dose_rows() if row.org != UNKNOWN), key=lambda row: row.day)
        days = {row.org: {other.day for other in rows if other.org == row.org} for row in rows}
        most = max((len(of_org) for of_org in days.values()), default=0)
        return [next((row.org for row in reversed(rows) if len(days[row.org]) == most), UNKNOWN)]
    orgs = list(client.visits().values()) or [UNKNOWN]
    return [orgs[-1] if rule == "last" else orgs[0]]


def is_among(client, denominator, as_of, resident):
    if denominator == "clients":
        return True
    if denominator == "resident":
        return client.labels["county"] in resident
    years = int(denominator.removeprefix("active_"))
    begin = add_months(as_of + timedelta(days=1), -12 * years)
    return any(visit >= begin for visit in client.visits())


# ------------------------------------------------------------------ reading

MISSING = {"", "null"}
CODELISTS = {"county": "CLIENT COUNTY", "sex": "SEX CODE", "race_ethnicity": "RACE AND ETHNICITY",
             "vaccine_group": "VACCINE GROUP"}


def text_of(field):
    text = field.strip()
    return None if text.casefold() in MISSING else text


def day_of(field):
    text = field.strip()
    if len(text) == 8 and text.isdigit():
        text = f"{text[:4]}-{text[4:6]}-{text[6:]}"
    return coverage.read_date(text)


def zip_of(field):
    """The first five digits of a ZIP code."""
    text = (text_of(field) or "").replace("-", "")
    return text[:5] if text.isdigit() and len(text) in (5, 9) else UNKNOWN


def read_codelist(lines):
    """{code, label or alias, without case: (label, public health region)}"""
    known = {}
    for row in csv.DictReader(lines):
        for name in [row["code"], row["label"], *row["aliases"].split("|")]:
            if name:
                known[name.casefold()] = (row["label"], row.get("public_health_region") or UNKNOWN)
    return known


def label_of(codelists, name, field):
    """(label, region); without a codelist the text itself."""
    text = text_of(field)
    if text is None:
        return UNKNOWN, UNKNOWN
    if name not in codelists:
        return text, UNKNOWN
    return codelists[name].get(text.casefold(), (UNKNOWN, UNKNOWN))


def read_clients(lines, skip=frozenset(), codelists=None):
    """{CLIENT ID: Client} of all records that are not skipped."""
    codelists = codelists or {}
    rows = coverage.records(lines)
    _, header = next(rows, (1, []))
    if sorted(header) != sorted(coverage.COLUMNS):
        raise InputError("the header is not the 26 columns")
    clients = {}
    for start, fields in rows:
        if start in skip or not fields:
            continue
        if len(fields) != len(header):
            raise InputError(f"line {start}: {len(fields)} fields, not {len(header)}")
        row = dict(zip(header, fields))
        try:
            birth, day = day_of(row["BIRTH DATE"]), day_of(row["VACCINATION DATE"])
        except InputError as error:
            raise InputError(f"line {start}: {error}") from None
        client = clients.setdefault(row["CLIENT ID"].strip(), Client())
        if client.latest is None or day >= client.latest:
            client.latest, client.birth = day, birth
            county, region = label_of(codelists, "county", row["CLIENT COUNTY"])
            client.labels = {
                "county": county, "region": region, "zip": zip_of(row["ZIP CODE"]), "birth_year": f"{birth.year:04}",
                "birth_quarter": f"{birth.year:04}-Q{(birth.month + 2) // 3}",
                **{name: label_of(codelists, name, row[CODELISTS[name]])[0] for name in ("sex", "race_ethnicity")},
            }
        code = text_of(row["CVX CODE"])
        client.rows.append(Row(
            day, None if code is None else coverage.read_code(code),
            label_of(codelists, "vaccine_group", row["VACCINE GROUP"])[0],
            zip_of(row["PROVIDER ZIP CODE"]), text_of(row["GIVEN BY ORG ID"]) or UNKNOWN))
    return clients


# ----------------------------------------------------------------- counting

CLIENT_DIMENSIONS = ["county", "region", "zip", "birth_year", "birth_quarter", "age", "months_of_age", "sex", "race_ethnicity",
                     "organization"]
DOSE_DIMENSIONS = ["vaccine_group", "vaccination_year", "vaccination_month", "season", "provider_zip", "given_by"]
SHARES = ["coverage", "late", "on-time", "dropout", "potential", "missed", "one-visit"]
INDICATORS = [*SHARES, "missing", "curve", "doses"]
DENOMINATORS = ["clients", "resident", "active_1", "active_2", "active_5", "active_10"]
RULES = ["last", "most", "first", "any"]


def age_labels(birth, day):
    """The age on a day: in completed years, and in the groups of months that the field uses."""
    months = completed_months(birth, day)
    years = months // 12
    small = {0: "under 1 year", 1: "1 year"}
    groups = [(7, "under 7 months"), (13, "7 to 12 months"), (19, "13 to 18 months"), (24, "19 to 23 months"),
              (36, "24 to 35 months"), (48, "36 to 47 months")]
    return {"age": small.get(years, f"{years} years") if years < 18 else "18 years and older",
            "months_of_age": next((name for end, name in groups if months < end), "48 months and older")}


def season_of(day):
    """July to June: 2023-24"""
    first = season_begin(day).year
    return f"{first}-{(first + 1) % 100:02}"


def row_labels(row):
    return {"vaccine_group": row.group, "vaccination_year": f"{row.day.year:04}",
            "vaccination_month": f"{row.day.year:04}-{row.day.month:02}", "season": season_of(row.day),
            "provider_zip": row.provider_zip, "given_by": row.org}


Question = namedtuple("Question", "indicator measure to by as_of denominators resident attributions where",
                      defaults=[None, None, ("birth_year",), None, ("clients",), (), ("last",), {}])


def answer(clients, question):
    """(column names, rows), sorted by the labels."""
    ask = question
    names, rows = list(ask.by), {}
    if len(ask.denominators) > 1:
        names.append("denominator_source")
    if len(ask.attributions) > 1:
        names.append("attribution")
    uses_organization = "organization" in [*ask.by, *ask.where]
    for denominator in ask.denominators:
        for rule in ask.attributions:
            for name, client in clients.items():
                for organization in organizations(client, rule) if uses_organization else [None]:
                    labels = {**client.labels, **age_labels(client.birth, ask.as_of), "organization": organization}
                    for labels, what in facts(name, client, labels, ask, denominator):
                        if not all(labels[dimension] in values for dimension, values in ask.where.items()):
                            continue
                        key = [labels[dimension] for dimension in ask.by]
                        if len(ask.denominators) > 1:
                            key.append(denominator)
                        if len(ask.attributions) > 1:
                            key.append(rule)
                        rows.setdefault(tuple(key), []).append(what)
    extra, summary = SUMMARIES.get(ask.indicator, (["numerator", "denominator"], shares))
    return [*names, *extra], [(*key, *cells) for key in sorted(rows) for cells in summary(rows[key])]


def facts(name, client, labels, ask, denominator):
    """What a client brings into the table: (labels, what is counted)."""
    if ask.indicator == "doses":
        first_rows = {}
        for row in client.dose_rows(ask.as_of):
            dose = (name, row.day, row.code)
            if "vaccine_group" in [*ask.by, *ask.where]:
                dose += (row.group,)
            first_rows.setdefault(dose, row)
        for dose, row in first_rows.items():
            yield {**labels, **row_labels(row)}, dose
    elif ask.indicator == "curve":
        if FIRST_BIRTH_DATE <= client.birth <= ask.as_of:
            day = latest_of(up_to_date_day, ask.measure, client, ask.as_of)
            yield labels, (completed_months(client.birth, ask.as_of), month_of_event(client.birth, day))
    elif is_in_cohort(client, ask.to or ask.measure, ask.as_of):
        if ask.indicator == "missing":
            yield labels, missing_parts(client, ask.measure, ask.as_of)
        elif is_among(client, denominator, ask.as_of, ask.resident):
            yield labels, judge(ask.indicator, client, ask.measure, ask.to, ask.as_of)
        else:
            yield labels, None


def shares(verdicts):
    asked = [verdict for verdict in verdicts if verdict is not None]
    return [(sum(asked), len(asked))]


def sets(missing):
    count = Counter(missing)
    return [(" + ".join(parts) or "none", count[parts], len(missing)) for parts in sorted(count)]


def curve(clients):
    """Of (months that were followed, month of the event); the month of age m ends when m months are reached."""
    rows, share = [], 1.0
    for month in range(1, AGE + 12 + 1):
        at_risk = [(followed, event) for followed, event in clients if followed >= month and event >= month]
        if not at_risk:
            break
        events = sum(event == month for _, event in at_risk)
        left = sum(followed == month < AGE + 12 and event > month for followed, event in at_risk)
        share *= 1 - events / len(at_risk)
        rows.append((month, len(at_risk), events, left, f"{1 - share:.6f}"))
    return rows


def dose_counts(doses):
    return [(len(set(doses)), len({dose[0] for dose in doses}))]


SUMMARIES = {
    "missing": (["missing", "numerator", "denominator"], sets),
    "curve": (["age_months", "at_risk", "events", "censored", "rate"], curve),
    "doses": (["doses", "persons"], dose_counts),
}


# ------------------------------------------------------------- command line

def one_of(known):
    def read(text):
        names = text.split(",")
        if len(set(names)) != len(names) or not set(names) <= set(known):
            raise argparse.ArgumentTypeError(f"any of {', '.join(known)}, each once")
        return names
    return read


def condition(text):
    dimension, _, values = text.partition("=")
    if dimension not in CLIENT_DIMENSIONS + DOSE_DIMENSIONS or not values:
        raise argparse.ArgumentTypeError("DIM=VALUE[,VALUE...]")
    return dimension, values.split(",")


def main(arguments, out):
    parser = argparse.ArgumentParser(description="The indicators, counted simply.")
    parser.add_argument("file")
    parser.add_argument("--period", required=True, metavar="YYYY-MM")
    parser.add_argument("--indicator", required=True, choices=INDICATORS)
    parser.add_argument("--measure", choices=MEASURES)
    parser.add_argument("--to", choices=MEASURES)
    parser.add_argument("--by", required=True, type=one_of(CLIENT_DIMENSIONS + DOSE_DIMENSIONS))
    parser.add_argument("--denominator", type=one_of(DENOMINATORS), default=["clients"])
    parser.add_argument("--resident", type=lambda text: text.split(","), default=[], metavar="COUNTY,...")
    parser.add_argument("--attribution", choices=[*RULES, "all"], default="last")
    parser.add_argument("--where", type=condition, action="append", default=[], metavar="DIM=VALUE,...")
    parser.add_argument("--as-of", metavar="YYYY-MM-DD")
    parser.add_argument("--skip-lines", metavar="FILE")
    parser.add_argument("--codelists", metavar="FOLDER")
    options = parser.parse_args(arguments)
    if (options.measure is None) != (options.indicator == "doses"):
        parser.error("every indicator but doses needs --measure")
    if (options.to is None) != (options.indicator != "dropout"):
        parser.error("dropout, and only dropout, needs --to")
    if options.indicator != "coverage" and {options.measure, options.to} & set(SEASONAL):
        parser.error("a measure of a season has coverage alone")
    if options.indicator == "on-time" and any(SERIES[part].late_after is None for part in parts_of(options.measure)):
        parser.error("this measure has no day from which on it is late")
    if options.indicator not in SHARES and options.denominator != ["clients"]:
        parser.error("only shares have a choice of denominators")
    if options.indicator == "missing" and options.measure not in COMBINED:
        parser.error("missing needs a combination")
    used = {*options.by, *(dimension for dimension, _ in options.where)}
    if options.indicator != "doses" and used & set(DOSE_DIMENSIONS):
        parser.error(f"only doses are by {', '.join(DOSE_DIMENSIONS)}")

    as_of = coverage.last_day(options.period) if options.as_of is None else coverage.read_date(options.as_of)
    if options.measure in SEASONAL and season_begin(as_of) < FIRST_BIRTH_DATE:
        parser.error("the season must begin in a year of the file")

    skip, codelists = frozenset(), {}
    if options.skip_lines is not None:
        with coverage.open_text(options.skip_lines) as lines:
            skip = coverage.read_skip_lines(lines)
    if options.codelists is not None:
        for name in CODELISTS:
            with coverage.open_text(os.path.join(options.codelists, f"{name}.csv")) as lines:
                codelists[name] = read_codelist(lines)
    with coverage.open_text(options.file) as lines:
        clients = read_clients(lines, skip, codelists)
    names, rows = answer(clients, Question(
        options.indicator, options.measure, options.to, options.by, as_of, options.denominator, options.resident,
        RULES if options.attribution == "all" else [options.attribution], dict(options.where)))
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)


# ---------------------------------------------------------------- self-test

def table(text):
    """Lines of a file from `client birth | day code [COLUMN=value ...], ...` lines; a value has no blanks."""
    import io
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, coverage.COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for line in text.strip().splitlines():
        who, doses = line.split("|")
        name, birth = who.split()
        for dose in doses.split(","):
            day, code, *others = dose.split()
            writer.writerow({"CLIENT ID": name, "BIRTH DATE": birth, "VACCINATION DATE": day,
                             "CVX CODE": code.replace("-", ""), "CLIENT COUNTY": "Travis",
                             **dict(other.replace("_", " ").split("=") for other in others)})
    return out.getvalue().splitlines(keepends=True)


def self_test():
    passed, failed = 0, 0

    def check(name, got, wanted):
        nonlocal passed, failed
        if got == wanted:
            passed += 1
        else:
            failed += 1
            print(f"FAILED {name}:\n  got    {got!r}\n  wanted {wanted!r}")

    def ask(text, indicator, measure=None, to=None, by=("birth_year",), as_of="2024-12-31", **options):
        return answer(read_clients(table(text)), Question(
            indicator, measure, to, list(by), coverage.read_date(as_of), **options))[1]

    def one(doses, indicator, measure, to=None, birth="2020-06-15", **options):
        """(numerator, denominator) of one client."""
        return [row[-2:] for row in ask(f"A {birth} | {doses}", indicator, measure, to, **options)]

    yes, no, nobody, out = [(1, 1)], [(0, 1)], [(0, 0)], []

    # Born 2020-06-15: 24 months on 2022-06-15.
    # Born on 29 February: two years old on 1 March, and no day earlier.
    for birth, day, age in [("2020-02-29", "2022-02-28", "1 year"), ("2020-02-29", "2022-03-01", "2 years"),
                            ("2020-02-28", "2022-02-28", "2 years"), ("2020-03-01", "2022-02-28", "1 year")]:
        check(f"{birth} on {day}", age_labels(coverage.read_date(birth), coverage.read_date(day))["age"], age)
    for day, covered, late in [("2022-06-14", yes, no), ("2022-06-15", no, yes), ("2024-12-31", no, yes),
                               ("2025-01-01", no, no)]:
        check(f"MMR on {day}: coverage", one(f"{day} 03", "coverage", "nis.mmr1"), covered)
        check(f"MMR on {day}: late", one(f"{day} 03", "late", "nis.mmr1"), late)
    check("not yet two", one("2021-07-01 03", "late", "nis.mmr1", as_of="2022-05-31"), out)

    # 16 months are on 2021-10-15, and 28 days later it is 2021-11-12.
    check("the day before late", one("2021-11-11 03", "on-time", "nis.mmr1"), yes)
    check("the first late day", one("2021-11-12 03", "on-time", "nis.mmr1"), no)
    check("never", one("2021-11-11 10", "on-time", "nis.mmr1"), no)
    # Born on 31 October, 16 months: 31 February is 1 March; 28 days later it is the 29th.
    check("late of an impossible day", one("2022-03-28 03", "on-time", "nis.mmr1", birth="2020-10-31"), yes)
    check("and the day after", one("2022-03-29 03", "on-time", "nis.mmr1", birth="2020-10-31"), no)

    three = "2020-08-15 20, 2020-10-15 20, 2020-12-15 20"
    check("three are not four", one(three, "dropout", "nis.dtap3", "nis.dtap4"), yes)
    check("four", one(f"{three}, 2021-10-15 20", "dropout", "nis.dtap3", "nis.dtap4"), no)
    check("four, too late", one(f"{three}, 2022-06-15 20", "dropout", "nis.dtap3", "nis.dtap4"), yes)
    check("who has not A is not asked", one("2020-08-15 20", "dropout", "nis.dtap3", "nis.dtap4"), nobody)
    check("in a group with others", ask(f"A 2020-06-15 | 2020-08-15 20\nB 2020-06-15 | {three}", "dropout", "nis.dtap3",
                                        "nis.dtap4"), [("2020", 1, 1)])

    # Missed opportunities. 12 months less 4 days are on 2021-06-11.
    check("a visit a day too early", one("2021-06-10 10", "missed", "nis.mmr1"), no)
    check("a visit on the first day", one("2021-06-11 10", "missed", "nis.mmr1"), yes)
    check("which is potential", one("2021-06-11 10", "potential", "nis.mmr1"), yes)
    check("given in time is not missed", one("2021-06-11 10, 2021-07-01 03", "missed", "nis.mmr1"), no)
    check("but potential", one("2021-07-01 03", "potential", "nis.mmr1"), yes)
    check("given late and missed before", one("2021-06-11 10, 2022-07-01 03", "missed", "nis.mmr1"), yes)
    check("a visit after 24 months is too late", one("2022-06-15 10", "missed", "nis.mmr1"), no)
    check("998 is no visit", one("2021-06-11 998", "missed", "nis.mmr1"), no)
    check("no code is no visit", one("2021-06-11 -", "missed", "nis.mmr1"), no)
    # Varicella counts from 12 months on, 2021-06-15: in the grace of four days nothing is counted.
    check("a visit before the window", one("2021-06-14 10", "missed", "nis.var1"), no)
    check("on its first day", one("2021-06-15 10", "missed", "nis.var1"), yes)
    check("given before it", one("2021-06-14 21", "potential", "nis.var1"), no)
    # DTaP from 6, 10 and 14 weeks less 4 days: 2020-07-23, 2020-08-20 and 2020-09-17, and 24 days between.
    check("three visits at the minimum", one("2020-07-23 08, 2020-08-20 08, 2020-09-17 08", "missed", "nis.dtap3"), yes)
    check("the third a day early", one("2020-07-23 08, 2020-08-20 08, 2020-09-16 08", "missed", "nis.dtap3"), no)
    check("23 days are too few", one("2020-08-20 20, 2020-09-12 08, 2020-10-15 20", "missed", "nis.dtap3"), no)
    check("24 days are enough", one("2020-08-20 20, 2020-09-13 08, 2020-10-15 20", "missed", "nis.dtap3"), yes)
    check("a given dose counts however early", one(
        "2020-06-16 20, 2020-08-20 08, 2020-09-17 08", "missed", "nis.dtap3"), yes)
    # 6 months less 4 days after 2020-12-15 are 2021-06-11, which is also 12 months less 4 days.
    check("DTaP 4 on the first day", one(f"{three}, 2021-06-11 03", "missed", "nis.dtap4"), yes)
    check("DTaP 4 a day early", one(f"{three}, 2021-06-10 03", "missed", "nis.dtap4"), no)
    # HepB 3: 24 weeks less 4 days are 2020-11-26; dose 1 on 2020-08-15 and 108 days are 2020-12-01.
    check("HepB 3 too soon after dose 1", one("2020-08-15 08, 2020-09-15 08, 2020-11-30 10", "missed", "nis.hepb3"), no)
    check("HepB 3", one("2020-08-15 08, 2020-09-15 08, 2020-12-01 10", "missed", "nis.hepb3"), yes)
    omp = "2020-08-15 49, 2020-10-15 49"
    check("Hib after PRP-OMP needs a booster", one(f"{omp}, 2021-06-11 10", "missed", "nis.hib_full"), yes)
    check("at a year", one(f"{omp}, 2021-06-10 10", "missed", "nis.hib_full"), no)
    other = omp.replace("49", "48")
    check("Hib of another product needs two more", one(f"{other}, 2021-06-11 10", "missed", "nis.hib_full"), no)
    check("at two visits", one(f"{other}, 2020-12-15 10, 2021-06-11 10", "missed", "nis.hib_full"), yes)

    check("PRP-OMP, then another", one("2020-08-15 49, 2020-10-15 48, 2021-06-11 10", "missed", "nis.hib_full"), no)
    check("a counted one, PRP-OMP, another", one(
        "2020-08-15 08, 2020-10-15 49, 2020-12-15 48", "missed", "nis.hib_full"), yes)
    check("first another, then PRP-OMP", one(
        "2020-08-15 48, 2020-10-15 49, 2021-06-11 10", "missed", "nis.hib_full"), no)
    check("PRP-OMP once, and a visit", one("2020-08-15 49, 2020-10-15 10, 2021-06-11 10", "missed", "nis.hib_full"), yes)
    check("no Hib at all needs four", one("2020-08-15 08, 2020-10-15 10, 2021-06-11 10", "missed", "nis.hib_full"), no)
    check("PRP-OMP and another on a day", one(
        "2020-08-15 49, 2020-08-15 48, 2020-10-15 10, 2021-06-11 10", "missed", "nis.hib_full"), no)

    # Rotavirus: through the day of 8 months, 2021-02-15; the first is not given from 15 weeks on, 2020-09-28.
    check("RV1 twice", one("2020-08-15 119, 2021-02-15 119", "coverage", "nis.rotavirus"), yes)
    check("the second a day after 8 months", one("2020-08-15 119, 2021-02-16 119", "coverage", "nis.rotavirus"), no)
    check("RV1 and RV5", one("2020-08-15 119, 2020-10-15 116", "coverage", "nis.rotavirus"), no)
    check("three", one("2020-08-15 119, 2020-10-15 116, 2020-12-15 116", "coverage", "nis.rotavirus"), yes)
    check("RV1, and a visit", one("2020-08-15 119, 2021-02-15 08", "missed", "nis.rotavirus"), yes)
    check("a visit too late", one("2020-08-15 119, 2021-02-16 08", "missed", "nis.rotavirus"), no)
    check("RV5, and a visit", one("2020-08-15 116, 2021-02-15 08", "missed", "nis.rotavirus"), no)
    check("three visits", one("2020-09-27 08, 2020-10-27 08, 2020-12-15 08", "missed", "nis.rotavirus"), yes)
    check("the first at 15 weeks", one("2020-09-28 08, 2020-10-27 08, 2020-12-15 08", "missed", "nis.rotavirus"), no)
    check("hepatitis A, 12 months less 4 days", one("2021-06-11 08", "missed", "nis.hepa1"), yes)
    check("a day early", one("2021-06-10 08", "missed", "nis.hepa1"), no)

    # One visit: no more than one dose of each is lacking on the as-of date.
    check("lacks one", one(three, "one-visit", "nis.dtap4"), yes)
    check("lacks two", one("2020-08-15 20, 2020-10-15 20", "one-visit", "nis.dtap4"), no)
    check("is up to date, if late", one(f"{three}, 2023-01-01 20", "one-visit", "nis.dtap4"), nobody)
    check("not yet then", one(f"{three}, 2023-01-01 20", "one-visit", "nis.dtap4", as_of="2022-12-31"), yes)
    check("Hib, PRP-OMP twice", one(omp, "one-visit", "nis.hib_full"), yes)
    check("Hib, another twice", one(other, "one-visit", "nis.hib_full"), no)

    seven = ("2020-08-15 146, 2020-10-15 146, 2020-12-15 146, 2021-10-15 146, 2020-08-15 133, 2020-10-15 133, "
             "2020-12-15 133, 2021-07-15 133, 2021-06-15 94")
    without = {"pcv": seven.replace("2021-07-15 133", "2022-06-15 133"), "94": seven.replace("94", "115")}
    for name, doses, wanted in [("all", seven, [("none", 1, 1)]), ("pcv", without["pcv"], [("nis.pcv4", 1, 1)]),
                                ("94", without["94"], [("nis.mmr1 + nis.var1", 1, 1)])]:
        check(f"missing: {name}", [row[1:] for row in ask(f"A 2020-06-15 | {doses}", "missing", "nis.4313314")], wanted)
    check("seven", one(seven, "coverage", "nis.4313314"), yes)
    check("Hib came at 16 months, before 16 months and 4 weeks", one(seven, "on-time", "nis.4313314"), yes)
    check("PCV 4 too late", one(without["pcv"], "late", "nis.4313314"), yes)
    check("without MMRV, one visit", one(without["94"], "one-visit", "nis.4313314"), yes)
    check("without MMRV, missed at 13 months", one(without["94"], "missed", "nis.4313314"), yes)

    # A combination is on time when each part is: DTaP 4 at 18 months is, though 16 months and 4 weeks are over.
    eighteen = seven.replace("2021-10-15 146", "2021-10-15 48, 2021-12-15 20")
    check("each part by its own day", one(eighteen, "on-time", "nis.4313314"), yes)
    check("MMR after its day", one(seven.replace("2021-06-15 94", "2021-12-15 94"), "on-time", "nis.4313314"), no)

    # As of 2020-04-30, A to D were followed through 3 months, to 2020-04-15, and E through 1.
    check("curve", ask("""
        A 2020-01-15 | 2020-02-14 08
        B 2020-01-15 | 2020-03-15 20, 2020-05-01 08
        C 2020-01-15 | 2020-01-15 08, 2020-02-15 08, 2020-04-14 08
        D 2020-01-15 | 2020-01-15 08, 2020-02-15 08, 2020-04-15 08
        E 2020-03-15 | 2020-03-15 08
        F 2020-04-01 | 2020-04-01 08""", "curve", "nis.hepb3", as_of="2020-04-30"), [
        # C is up to date in the third month. D is on the day after it: at its end not yet. F has no whole month.
        ("2020", 1, 5, 0, 1, "0.000000"), ("2020", 2, 4, 0, 0, "0.000000"), ("2020", 3, 4, 1, 3, "0.250000")])
    # MMR on the day of 24 months is in month 25. All have reached 24 months: the share there is coverage.
    old = "A 2020-06-15 | 2022-06-14 03\nB 2020-06-15 | 2022-06-15 03\nC 2020-06-15 | 2024-12-31 08"
    rows = ask(old, "curve", "nis.mmr1")
    check("curve at the age of the measure", rows[23:25], [
        ("2020", 24, 3, 1, 0, "0.333333"), ("2020", 25, 2, 1, 0, "0.666667")])
    check("is coverage", ask(old, "coverage", "nis.mmr1"), [("2020", 1, 3)])
    check("and it ends a year later", (len(rows), rows[-1]), (36, ("2020", 36, 1, 0, 0, "0.666667")))
    check("nobody is at risk any more", len(ask("A 2020-06-15 | 2021-06-15 03", "curve", "nis.mmr1")), 13)

    # A season, as of 2024-12-31: from 2024-07-01 on.
    for day, wanted in [("2024-06-30", no), ("2024-07-01", yes), ("2024-12-31", yes), ("2025-01-01", no)]:
        check(f"flu on {day}", one(f"{day} 150", "coverage", "flu.dose1"), wanted)
    check("flu has 3 digits or 2", one("2024-10-01 015", "coverage", "flu.dose1"), yes)
    check("no flu", one("2024-10-01 03", "coverage", "flu.dose1"), no)
    for as_of, wanted in [("2024-06-30", yes), ("2023-10-31", yes), ("2023-09-30", no), ("2024-07-31", no)]:
        check(f"flu as of {as_of}", one("2023-10-01 150", "coverage", "flu.dose1", as_of=as_of), wanted)

    # Ages are those on 2024-12-31: until then on the as-of date, from then to June on that day.
    for measure, births in [
            ("flu.dose1", {"2024-07-01": out, "2024-06-30": no, "2007-01-01": no, "2006-12-31": out}),
            ("flu.dose1_6_23m", {"2024-07-01": out, "2024-06-30": no, "2023-01-01": no, "2022-12-31": out}),
            ("flu.dose1_2_4y", {"2023-01-01": out, "2022-12-31": no, "2020-01-01": no, "2019-12-31": out}),
            ("flu.full_2_4y", {"2023-01-01": out, "2022-12-31": no, "2020-01-01": no, "2019-12-31": out}),
            # 6 months on 2018-01-01, the first day of the file.
            ("flu.full", {"2024-07-01": out, "2024-06-30": no, "2017-07-01": no, "2017-06-30": out})]:
        for birth, wanted in births.items():
            for as_of in ["2024-12-31", "2025-01-31", "2025-06-30"]:
                check(f"{measure}, born {birth}, as of {as_of}",
                      one("2024-12-31 03", "coverage", measure, birth=birth, as_of=as_of), wanted)
    for birth, wanted in {"2024-05-01": out, "2024-04-30": no, "2006-11-01": no, "2006-10-31": out}.items():
        check(f"born {birth}, as of 2024-10-31", one(
            "2024-12-31 03", "coverage", "flu.dose1", birth=birth, as_of="2024-10-31"), wanted)
    # 6 months after 2024-08-31 are on 2025-03-01; after 2023-08-31, on 2024-03-01. Both are in the season after.
    check("6 months of an impossible day", one("2024-12-31 03", "coverage", "flu.dose1", birth="2024-08-31",
                                               as_of="2025-07-31"), no)
    check("9 years on the day", one("2024-12-31 03", "coverage", "flu.full", birth="2018-07-31", as_of="2027-07-31"), out)
    check("9 years on the next day", one("2024-12-31 03", "coverage", "flu.full", birth="2018-08-01",
                                         as_of="2027-07-31"), no)

    for doses, wanted in [
            ("2024-10-01", no), ("2024-10-01, 2024-10-24", no), ("2024-10-01, 2024-10-25", yes),
            ("2024-10-01, 2024-10-20, 2024-10-25", yes), ("2024-10-01, 2024-10-20, 2024-11-13", yes),
            ("2024-12-08, 2025-01-01", no), ("2024-06-01, 2024-10-01", no),
            ("2022-10-01, 2023-10-01, 2024-10-01", yes), ("2022-10-01, 2022-10-24, 2024-10-01", no),
            ("2022-10-01, 2022-10-25, 2024-10-01", yes), ("2022-10-01, 2022-10-25", no),
            ("2020-08-01, 2020-08-25, 2024-10-01", yes),  # before 6 months
            # Q11: 2024-06-20 and 23 days are 2024-07-13.
            ("2022-10-01, 2024-06-20, 2024-07-13", yes), ("2022-10-01, 2024-06-20, 2024-07-14", yes),
            ("2022-10-01, 2024-06-20, 2024-07-13, 2024-07-14", yes),
            ("2024-06-20, 2024-07-10, 2024-08-03", yes)]:
        check(f"full: {doses}", one(", ".join(f"{day} 150" for day in doses.split(", ")), "coverage", "flu.full"), wanted)
    check("two vaccines on a day", one("2024-10-01 150, 2024-10-01 158", "coverage", "flu.full"), no)
    check("a season and active_1", ask("A 2020-06-15 | 2023-12-31 150\nB 2020-06-15 | 2024-10-01 150", "coverage", "flu.dose1",
                                       denominators=["clients", "active_1"]), [("2020", "active_1", 1, 1),
                                                                               ("2020", "clients", 1, 2)])

    # Doses: day and code; by group, a combination vaccine is in each of its groups.
    doses = """
        A 2020-06-15 | 2021-06-30 110 VACCINE_GROUP=DTAP, 2021-06-30 110 VACCINE_GROUP=POLIO, 2021-07-01 998
        B 1950-06-15 | 2021-07-01 110 VACCINE_GROUP=DTAP, 2021-07-01 110 VACCINE_GROUP=DTAP, 2025-01-01 20"""
    check("doses by year", ask(doses, "doses", by=["vaccination_year"]), [("2021", 2, 2)])
    check("doses by season", ask(doses, "doses", by=["season"]), [("2020-21", 1, 1), ("2021-22", 1, 1)])
    check("doses by month", ask(doses, "doses", by=["vaccination_month"]), [("2021-06", 1, 1), ("2021-07", 1, 1)])
    check("doses by group", ask(doses, "doses", by=["vaccine_group"]), [("DTAP", 2, 2), ("POLIO", 1, 1)])
    check("both groups of one year", ask(doses, "doses", by=["vaccination_year"],
          where={"vaccine_group": ["DTAP", "POLIO"]}), [("2021", 3, 2)])

    # Rows of one dose: the first in the file says who gave it and where, the first of the group in a table of groups.
    twice = """A 2020-06-15 | 2021-07-01 110 GIVEN_BY_ORG_ID=X VACCINE_GROUP=DTAP PROVIDER_ZIP_CODE=78701,
        2021-07-01 110 GIVEN_BY_ORG_ID=Y VACCINE_GROUP=POLIO PROVIDER_ZIP_CODE=78702,
        2021-07-01 110 GIVEN_BY_ORG_ID=Z VACCINE_GROUP=POLIO""".replace("\n", "")
    check("one dose, one giver", ask(twice, "doses", by=["given_by"]), [("X", 1, 1)])
    check("not of the second", ask(twice, "doses", by=["sex"], where={"given_by": ["Y"]}), [])
    check("one place", ask(twice, "doses", by=["provider_zip"]), [("78701", 1, 1)])
    check("a giver for each group", ask(twice, "doses", by=["given_by", "vaccine_group"]), [
        ("X", "DTAP", 1, 1), ("Y", "POLIO", 1, 1)])

    # The last visits are on 2023-12-31 (A) and 2024-01-01 (B), as of 2024-12-31.
    check("denominators", ask("""
        A 2020-06-15 | 2023-12-31 03 CLIENT_COUNTY=Hays
        B 2020-06-15 | 2024-01-01 03
        C 2020-06-15 | 2024-06-01 998""", "coverage", "nis.mmr1",
        denominators=["clients", "resident", "active_1", "active_2"], resident=["Hays"]), [
        ("2020", "active_1", 0, 1), ("2020", "active_2", 0, 2), ("2020", "clients", 0, 3), ("2020", "resident", 0, 1)])

    # Visits: X, Y (the last row of that day), Y, X, Z; W has no vaccination. X and Y have two, and X the later one.
    orgs = ["2020-07-01 08 X", "2020-08-01 20 X", "2020-08-01 10 Y", "2020-09-01 20 Y", "2020-10-01 20 X",
            "2021-10-01 03 Z", "2021-10-02 998 W"]
    visits = ", ".join("{} {} GIVEN_BY_ORG_ID={}".format(*row.split()) for row in orgs)
    check("organizations", ask(f"A 2020-06-15 | {visits}", "coverage", "nis.mmr1", by=["organization"],
                               attributions=RULES), [
        ("X", "any", 1, 1), ("X", "first", 1, 1), ("X", "most", 1, 1), ("Y", "any", 1, 1),
        ("Z", "any", 1, 1), ("Z", "last", 1, 1)])

    def of(rule, rows):
        rows = ", ".join("{} {} GIVEN_BY_ORG_ID={}".format(*row.split(" ")) for row in rows)
        return [row[0] for row in ask(f"A 2020-06-15 | {rows}", "coverage", "nis.mmr1", by=["organization"],
                                      attributions=[rule])]

    # On each of two days of three, the last row names nobody.
    nobodys = ["2020-08-01 08 X", "2020-08-01 20 ", "2020-09-01 20 Y", "2020-10-01 20 Z", "2020-10-01 10 "]
    for rule, wanted in [("first", ["Unknown"]), ("last", ["Unknown"]), ("most", ["Z"]),
                         ("any", ["Unknown", "X", "Y", "Z"])]:
        check(f"the row that decides names nobody: {rule}", of(rule, nobodys), wanted)
    # Two rows of one dose: the last decides whose visit it is, the first who gave it.
    for rule, wanted in [("first", ["Y"]), ("last", ["Y"]), ("most", ["Y"]), ("any", ["X"])]:
        check(f"two rows of a dose: {rule}", of(rule, ["2020-08-01 08 X", "2020-08-01 08 Y"]), wanted)
    for rule, wanted in [("first", ["Unknown"]), ("last", ["Unknown"]), ("most", ["Unknown"]), ("any", [])]:
        check(f"no dose: {rule}", of(rule, ["2020-08-01 998 X"]), wanted)
    # The as-of date, 2024-12-31, does not matter.
    check("after the as-of date", of("last", ["2020-08-01 08 X", "2025-01-05 08 Y"]), ["Y"])

    print(f"{passed} passed, {failed} failed")
    return failed == 0


if __name__ == "__main__":
    if sys.argv[1:] == ["--self-test"]:
        sys.exit(0 if self_test() else 1)
    sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape", newline="\n")
    try:
        main(sys.argv[1:], sys.stdout)
    except (InputError, OSError) as problem:
        sys.exit(f"indicators.py: {problem}")
