#!/usr/bin/env python3
"""An independent oracle for the indicators of docs/indicators.md: raw counts, in plain Python.

It was written from docs/indicators.md, docs/measures.md and dictionaries/phds/measures/nis.toml alone, to be read and
to be believed, not to be fast.  Reading and the rules of dates are those of coverage.py, the older oracle beside it.

    indicators.py FILE.csv --period YYYY-MM --indicator NAME [--measure ID] [--to ID] --by DIM,...
                  [--denominator NAME,...] [--resident COUNTY,...] [--attribution RULE] [--where DIM=VALUE,...]
                  [--as-of YYYY-MM-DD] [--skip-lines FILE] [--codelists FOLDER]
    indicators.py --self-test

Where the definition leaves room, this is how it is read here.  Q is the question, A the reading.

Days and doses
 Q1  Is a row without a CVX code a visit, or a dose?  A: a visit (only 998 and 999 are left out), but no dose (a dose is
     a client, a day and a CVX code).
 Q2  Are antitoxins, skin tests and the like (`nonvaccine`) visits and doses?  A: yes, only 998 and 999 are named.
 Q3  Which day is `late_after`, the last that is on time or the first that is late?  A: the first that is late: CDSi's
     past due date is the day before the latest recommended age, and the text says `before`.
 Q4  When is a combination on time?  A: when each part is, by its own late_after.
Missed opportunities
 Q5  Must a counted (not given) dose lie in the window of the measure?  A: no: varicella may be counted from the minimum
     age on, 12 months less 4 days, although the measure counts given doses from 12 months on.
 Q6  Hib: how many doses are needed, when counted doses have no product?  A: 3 when the first two days on which Hib was
     truly given are PRP-OMP alone, otherwise 4; the last of them is the booster.
 Q7  HepB 3 has two intervals in CDSi, from dose 2 and from dose 1.  The text says `since the dose before it`.
     A: both.
 Q8  DTaP 4: the absolute interval is 6 months less 4 days, an `allowable` one 4 months less 4 days.  A: 6 months.
 Q9  A combination?  A: the latest of its parts' days, each part walked by itself.
Tables
 Q10 `missing`: is there a row for the empty set (in time with all parts)?  A: no.  The parts are written in the order
     of the definition, with `+` between.
 Q11 `dropout` and `one-visit`: a group of the cohort with nobody in this denominator?  A: no row.
 Q12 `curve`: what is in the row of a month?  A: who is neither up to date nor censored in an earlier completed month is
     at risk; an event in the completed month m (from the day of m months to the day before m + 1) is in row m, and so
     in the rate of row m; who is censored in m is at risk in m (events go first).  Rows run from 0 to the last month in
     which anybody of the group is at risk.
 Q13 `curve`: who is born after the as-of date?  A: not in it.
 Q14 `doses`: do the as-of date, denominators and cohorts apply?  A: doses up to the as-of date, clients of all ages.
     A denominator limits the clients when it is asked for; `clients` is everybody.
 Q15 `doses`: rows of one day and code that differ in what the table is by (organization, provider ZIP)?  A: one dose in
     each cell in which it is, so that cells may add up to more than the doses.
Denominators and organizations
 Q16 Where does `the last N years up to the as-of date` begin?  A: N years before the day after the as-of date, which
     is the first of a month.
 Q17 Visits after the reporting period (PHDS-R03 keeps some): do they decide organization, county and ZIP code?
     A: yes, they are in the file.
 Q18 The last row of the latest day has 998 or 999: does it decide the organization?  A: no, only rows of vaccinations
     do.  It does decide county and ZIP code.
 Q19 The organization is missing in the row that decides?  A: `Unknown`, which competes like an organization.
 Q20 A client without any visit?  A: `Unknown`, by each rule.
 Q21 `any`, and a day with rows of two organizations?  A: the last row decides, as for the other rules; the other
     organization has no visit on that day.
 Q22 The label of an organization?  A: its id.
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
AGE = 24  # months, of all measures here; the cutoff is `before_birthday`


def after(day, months=0, weeks=0, days=0):
    """CDSi: months first, an impossible day rolls forward, then weeks and days."""
    return add_months(day, months) + timedelta(days=7 * weeks + days)


# The minimum age of a dose and the minimum interval since the dose before, as (months, weeks, days): CDSi 4.64.
Step = namedtuple("Step", "age interval", defaults=[None])
WEEKS_6, WEEKS_10, WEEKS_14, WEEKS_24 = [(0, weeks, -4) for weeks in (6, 10, 14, 24)]
YEAR = (12, 0, -4)
WEEKS_4, WEEKS_8, WEEKS_16 = [(0, weeks, -4) for weeks in (4, 8, 16)]
PRIMARY = [Step(WEEKS_6), Step(WEEKS_10, WEEKS_4), Step(WEEKS_14, WEEKS_4)]
BOOSTER = Step(YEAR, WEEKS_8)


class Series:
    """So many distinct days with one of the codes."""

    def __init__(self, codes, steps, late_after, from_months=None):
        self.codes = codes
        self.steps = steps
        self.late_after = late_after    # of the last dose: (months, weeks)
        self.from_months = from_months  # no day before this age counts

    def days(self, birth, doses):
        """The days that count, in order."""
        days = coverage.dates_of(doses, self.codes)
        if self.from_months is not None:
            days = [day for day in days if day >= add_months(birth, self.from_months)]
        return days

    def steps_for(self, doses):
        """One step for each dose that this client needs."""
        return self.steps

    def from_first(self, number):
        """An interval that dose `number` (from 0) needs since the first dose, or None."""
        return None


class HepB(Series):
    def from_first(self, number):
        return WEEKS_16 if number == 2 else None


class Hib(Series):
    def steps_for(self, doses):
        first_two = coverage.dates_of(doses, self.codes)[:2]
        others = coverage.dates_of(doses, coverage.HIB_OTHER)
        if len(first_two) == 2 and not set(first_two) & set(others):
            return [*self.steps[:2], BOOSTER]
        return self.steps


DTAP = coverage.DTAP | coverage.DT_PEDIATRIC
SERIES = {
    "nis.dtap3": Series(DTAP, PRIMARY, (7, 4)),
    "nis.dtap4": Series(DTAP, [*PRIMARY, Step(YEAR, (6, 0, -4))], (19, 4)),
    "nis.polio3": Series(coverage.POLIO | coverage.POLIO_INADVERTENT, PRIMARY, (19, 4)),
    "nis.mmr1": Series(coverage.MMR_FULL, [Step(YEAR)], (16, 4)),
    "nis.hib_full": Hib(coverage.HIB_PRP_OMP | coverage.HIB_OTHER, [*PRIMARY, BOOSTER], (16, 4)),
    "nis.hepb3": HepB(coverage.HEPB, [Step((0, 0, 0)), Step(WEEKS_4, WEEKS_4), Step(WEEKS_24, WEEKS_8)], (19, 4)),
    "nis.var1": Series(coverage.VARICELLA, [Step(YEAR)], (16, 4), from_months=12),
    "nis.pcv4": Series(coverage.PCV, [*PRIMARY, BOOSTER], (16, 4)),
}
COMBINED = {
    "nis.4313314": ["nis.dtap4", "nis.polio3", "nis.mmr1", "nis.hib_full", "nis.hepb3", "nis.var1", "nis.pcv4"],
}
MEASURES = [*SERIES, *COMBINED]


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

    def doses(self, as_of):
        """(day, CVX code) of each row that is a dose, up to a day."""
        return [(row.day, row.code) for row in self.rows
                if row.day <= as_of and row.code is not None and row.code not in NO_DOSE]

    def visits(self, as_of=date.max):
        """{day: organization}, the days in order."""
        visits = {}
        for row in self.rows:
            if row.day <= as_of and row.code not in NO_DOSE:
                visits[row.day] = row.org  # the last row of the day stays
        return dict(sorted(visits.items()))


def up_to_date_day(part, client, as_of):
    """The day of the last dose that was needed, or None."""
    doses = client.doses(as_of)
    days = SERIES[part].days(client.birth, doses)
    needed = len(SERIES[part].steps_for(doses))
    return days[needed - 1] if len(days) >= needed else None


def potential_day(part, client, as_of):
    """The same had every visit been used, or None."""
    series, doses = SERIES[part], client.doses(as_of)
    given, steps = series.days(client.birth, doses), series.steps_for(doses)
    counted = []
    for visit in client.visits(as_of):
        number = len(counted)
        step = steps[number]
        from_first = series.from_first(number)
        is_due = (visit >= after(client.birth, *step.age)
                  and (step.interval is None or visit >= after(counted[-1], *step.interval))
                  and (from_first is None or visit >= after(counted[0], *from_first)))
        if visit in given or is_due:
            counted.append(visit)
        if len(counted) == len(steps):
            break
    days = [up_to_date_day(part, client, as_of)]
    if len(counted) == len(steps):
        days.append(counted[-1])
    return min((day for day in days if day is not None), default=None)


def latest_of(day_of, measure, client, as_of):
    """Of a combination the latest day of its parts; None when one has none."""
    days = [day_of(part, client, as_of) for part in parts_of(measure)]
    return None if None in days else max(days)


def lacking(part, client, as_of):
    """How many doses a client lacks."""
    doses = client.doses(as_of)
    given = len(SERIES[part].days(client.birth, doses))
    return max(0, len(SERIES[part].steps_for(doses)) - given)


def is_in_cohort(client, as_of):
    return client.birth >= FIRST_BIRTH_DATE and add_months(client.birth, AGE) <= as_of


def is_before(day, limit):
    return day is not None and day < limit


def is_on_time(part, client, as_of):
    months, weeks = SERIES[part].late_after
    return is_before(up_to_date_day(part, client, as_of), after(client.birth, months, weeks))


def judge(indicator, client, measure, to, as_of):
    """In the numerator (True) or not (False), or not in the denominator (None)."""
    if not is_in_cohort(client, as_of):
        return None
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
    return "+".join(part for part in parts_of(measure)
                    if not is_before(up_to_date_day(part, client, as_of), limit))


def completed_months(birth, day):
    months = (day.year - birth.year) * 12 + day.month - birth.month
    return months if add_months(birth, months) <= day else months - 1


def organizations(client, rule):
    """The organizations of a client by a rule: one, or for `any` all."""
    orgs = list(client.visits().values())
    if not orgs:
        return ["Unknown"]
    if rule == "last":
        return [orgs[-1]]
    if rule == "first":
        return [orgs[0]]
    if rule == "any":
        return sorted(set(orgs))
    count = Counter(orgs)
    most = max(count.values())
    return [next(org for org in reversed(orgs) if count[org] == most)]


def is_among(client, denominator, as_of, resident):
    if denominator == "clients":
        return True
    if denominator == "resident":
        return client.labels["county"] in resident
    years = int(denominator.removeprefix("active_"))
    begin = add_months(as_of + timedelta(days=1), -12 * years)
    return any(visit >= begin for visit in client.visits(as_of))


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
    return text[:5] if text.isdigit() and len(text) in (5, 9) else "Unknown"


def read_codelist(lines):
    """{code, label or alias, without case: (label, public health region)}"""
    known = {}
    for row in csv.DictReader(lines):
        for name in [row["code"], row["label"], *row["aliases"].split("|")]:
            if name:
                known[name.casefold()] = (row["label"], row.get("public_health_region") or "Unknown")
    return known


def label_of(codelists, name, field):
    """(label, region); without a codelist the text itself."""
    text = text_of(field)
    if text is None:
        return "Unknown", "Unknown"
    if name not in codelists:
        return text, "Unknown"
    return codelists[name].get(text.casefold(), ("Unknown", "Unknown"))


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
                **{name: label_of(codelists, name, row[CODELISTS[name]])[0] for name in ("sex", "race_ethnicity")},
            }
        code = text_of(row["CVX CODE"])
        client.rows.append(Row(
            day, None if code is None else coverage.read_code(code),
            label_of(codelists, "vaccine_group", row["VACCINE GROUP"])[0],
            zip_of(row["PROVIDER ZIP CODE"]), text_of(row["GIVEN BY ORG ID"]) or "Unknown"))
    return clients


# ----------------------------------------------------------------- counting

CLIENT_DIMENSIONS = ["county", "region", "zip", "birth_year", "sex", "race_ethnicity", "organization"]
DOSE_DIMENSIONS = ["vaccine_group", "vaccination_year", "vaccination_month", "season", "provider_zip", "given_by"]
INDICATORS = ["coverage", "late", "on-time", "dropout", "potential", "missed", "one-visit", "missing", "curve", "doses"]
DENOMINATORS = ["clients", "resident", "active_1", "active_2", "active_5", "active_10"]
RULES = ["last", "most", "first", "any"]


def season_of(day):
    """July to June: 2023-24"""
    first = day.year if day.month >= 7 else day.year - 1
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
                if not is_among(client, denominator, ask.as_of, ask.resident):
                    continue
                for organization in organizations(client, rule) if uses_organization else [None]:
                    labels = {**client.labels, "organization": organization}
                    for labels, what in facts(name, client, labels, ask):
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


def facts(name, client, labels, ask):
    """What a client brings into the table: (labels, what is counted)."""
    if ask.indicator == "doses":
        for row in client.rows:
            if row.day <= ask.as_of and row.code is not None and row.code not in NO_DOSE:
                dose = (name, row.day, row.code)
                if "vaccine_group" in [*ask.by, *ask.where]:
                    dose += (row.group,)
                yield {**labels, **row_labels(row)}, dose
    elif ask.indicator == "curve":
        if FIRST_BIRTH_DATE <= client.birth <= ask.as_of:
            day = latest_of(up_to_date_day, ask.measure, client, ask.as_of)
            end = ask.as_of if day is None else day
            yield labels, (completed_months(client.birth, end), day is not None)
    elif ask.indicator == "missing":
        if is_in_cohort(client, ask.as_of):
            yield labels, missing_parts(client, ask.measure, ask.as_of)
    else:
        verdict = judge(ask.indicator, client, ask.measure, ask.to, ask.as_of)
        if verdict is not None:
            yield labels, verdict


def shares(verdicts):
    return [(sum(verdicts), len(verdicts))]


def sets(missing):
    count = Counter(missing)
    return [(parts, count[parts], len(missing)) for parts in sorted(count) if parts]


def curve(ends):
    rows, share = [], 1.0
    for month in range(max(month for month, _ in ends) + 1):
        at_risk = sum(end >= month for end, _ in ends)
        events = sum(end == month and is_event for end, is_event in ends)
        censored = sum(end == month and not is_event for end, is_event in ends)
        share *= 1 - events / at_risk
        rows.append((month, at_risk, events, censored, f"{1 - share:.6f}"))
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
    if options.indicator == "missing" and options.measure not in COMBINED:
        parser.error("missing needs a combination")
    used = {*options.by, *(dimension for dimension, _ in options.where)}
    if options.indicator != "doses" and used & set(DOSE_DIMENSIONS):
        parser.error(f"only doses are by {', '.join(DOSE_DIMENSIONS)}")

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
    as_of = coverage.last_day(options.period) if options.as_of is None else coverage.read_date(options.as_of)
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

    yes, no, out = [(1, 1)], [(0, 1)], []

    # Born 2020-06-15: 24 months on 2022-06-15.
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
    check("who has not A is not asked", one("2020-08-15 20", "dropout", "nis.dtap3", "nis.dtap4"), out)

    # Missed opportunities. 12 months less 4 days are on 2021-06-11.
    check("a visit a day too early", one("2021-06-10 10", "missed", "nis.mmr1"), no)
    check("a visit on the first day", one("2021-06-11 10", "missed", "nis.mmr1"), yes)
    check("which is potential", one("2021-06-11 10", "potential", "nis.mmr1"), yes)
    check("given in time is not missed", one("2021-06-11 10, 2021-07-01 03", "missed", "nis.mmr1"), no)
    check("but potential", one("2021-07-01 03", "potential", "nis.mmr1"), yes)
    check("given late and missed before", one("2021-06-11 10, 2022-07-01 03", "missed", "nis.mmr1"), yes)
    check("a visit after 24 months is too late", one("2022-06-15 10", "missed", "nis.mmr1"), no)
    check("998 is no visit", one("2021-06-11 998", "missed", "nis.mmr1"), no)
    check("no code is a visit", one("2021-06-11 -", "missed", "nis.mmr1"), yes)
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

    # One visit: no more than one dose of each is lacking on the as-of date.
    check("lacks one", one(three, "one-visit", "nis.dtap4"), yes)
    check("lacks two", one("2020-08-15 20, 2020-10-15 20", "one-visit", "nis.dtap4"), no)
    check("is up to date, if late", one(f"{three}, 2023-01-01 20", "one-visit", "nis.dtap4"), out)
    check("not yet then", one(f"{three}, 2023-01-01 20", "one-visit", "nis.dtap4", as_of="2022-12-31"), yes)
    check("Hib, PRP-OMP twice", one(omp, "one-visit", "nis.hib_full"), yes)
    check("Hib, another twice", one(other, "one-visit", "nis.hib_full"), no)

    seven = ("2020-08-15 146, 2020-10-15 146, 2020-12-15 146, 2021-10-15 146, 2020-08-15 133, 2020-10-15 133, "
             "2020-12-15 133, 2021-07-15 133, 2021-06-15 94")
    without = {"pcv": seven.replace("2021-07-15 133", "2022-06-15 133"), "94": seven.replace("94", "115")}
    for name, doses, wanted in [("all", seven, out), ("pcv", without["pcv"], [("nis.pcv4", 1, 1)]),
                                ("94", without["94"], [("nis.mmr1+nis.var1", 1, 1)])]:
        check(f"missing: {name}", [row[1:] for row in ask(f"A 2020-06-15 | {doses}", "missing", "nis.4313314")], wanted)
    check("seven", one(seven, "coverage", "nis.4313314"), yes)
    check("Hib came at 16 months, before 16 months and 4 weeks", one(seven, "on-time", "nis.4313314"), yes)
    check("PCV 4 too late", one(without["pcv"], "late", "nis.4313314"), yes)
    check("without MMRV, one visit", one(without["94"], "one-visit", "nis.4313314"), yes)
    check("without MMRV, missed at 13 months", one(without["94"], "missed", "nis.4313314"), yes)

    # Five clients born on 2020-01-15; as of 2020-04-30 they are of 3 completed months, E of 1.
    check("curve", ask("""
        A 2020-01-15 | 2020-02-14 08
        B 2020-01-15 | 2020-03-15 20, 2020-05-01 08
        C 2020-01-15 | 2020-01-15 08, 2020-02-15 08, 2020-04-14 08
        D 2020-01-15 | 2020-01-15 08, 2020-02-15 08, 2020-04-15 08
        E 2020-03-15 | 2020-03-15 08""", "curve", "nis.hepb3", as_of="2020-04-30"), [
        # A, B and E never; C at 2 completed months, D at 3; E is censored at 1, A and B at 3.
        ("2020", 0, 5, 0, 0, "0.000000"), ("2020", 1, 5, 0, 1, "0.000000"),
        ("2020", 2, 4, 1, 0, "0.250000"), ("2020", 3, 3, 1, 2, "0.500000")])

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
