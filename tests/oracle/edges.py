#!/usr/bin/env python3
"""Writes a month of invented histories around the days on which an indicator turns: the day before, the day, the next.

A usual month hardly ever comes near them, so that two programs that differ by a day agree on it.  Each client has a ZIP
code of its own: a table by `zip` compares the programs client by client.  No row breaks a rule that rejects.

    edges.py --period 2024-12 --clients 2000 --seed 1 > month.csv
    edges.py --season --period 2024-12 > influenza.csv     around the turns of the measures of a season
"""

import argparse
import csv
import random
import sys
from datetime import date, timedelta

import coverage
from indicators import after

# Ages at which something may turn, as (months, weeks, days): minimum and maximum ages, late days, birthdays.
AGES = [(0, 0, 0), (0, 6, -4), (0, 10, -4), (0, 14, -4), (0, 15, 0), (0, 24, -4), (7, 4, 0), (8, 0, 0),
        (12, 0, -4), (12, 0, 0), (15, 0, 0), (16, 4, 0), (18, 0, 0), (19, 4, 0), (24, 0, 0), (30, 0, 0)]
# Intervals since an earlier visit.
GAPS = [(0, 4, -4), (0, 8, -4), (0, 16, -4), (4, 0, -4), (6, 0, -4), (6, 0, 0)]
SERIES = [["20", "28", "110", "120", "146"], ["10", "178", "110", "120"], ["03", "94"], ["48", "49", "51", "17"],
          ["49", "51"], ["08", "110", "51"], ["21", "94"], ["133", "215"],
          ["119", "116"], ["119"]]
OTHERS = ["150", "83", "115", "998", "999", "96", ""]
GROUPS = {"20": ["DTAP"], "28": ["DTAP"], "110": ["DTAP", "HepB", "POLIO"], "120": ["DTAP", "HIB", "POLIO"],
          "146": ["DTAP", "HIB", "HepB", "POLIO"], "10": ["POLIO"], "178": ["POLIO"], "03": ["MMR"], "48": ["HIB"],
          "94": ["MMR", "VARICELLA"], "49": ["HIB"], "51": ["HIB", "HepB"], "17": ["HIB"], "08": ["HepB"],
          "21": ["VARICELLA"], "133": ["PneumoPCV"], "215": ["PneumoPCV"], "119": ["ROTAVIRUS"],
          "116": ["ROTAVIRUS"], "150": ["FLU"], "83": ["HepA"], "115": ["TDAP"]}


# Of a season: the ages of its cohorts in months, what is influenza and what is not.
SEASON_AGES = [6, 24, 60, 108, 216]
INFLUENZA = ["150"] * 6 + ["135", "15", "171", "320", "333", "88"]
NO_INFLUENZA = ["03", "998", "", "128"]


def birth_of(chance, end):
    """Any day, an odd one, or one that makes two years just before or after the end of the period."""
    days = [date(2018, 1, 1) + timedelta(chance.randrange((end - date(2018, 1, 1)).days)),
            chance.choice([date(2020, 2, 29), date(2019, 8, 31), date(2019, 10, 31), date(2021, 5, 31)]),
            date(2018, 1, 1) + timedelta(chance.randint(-1, 1)),
            end.replace(year=end.year - 2, day=28) + timedelta(chance.randint(-1, 5))]
    return chance.choices(days, [12, 4, 1, 2])[0]


def visits_of(chance, birth, end):
    """Days near a turn, in any order."""
    days = []
    for _ in range(chance.randint(1, 9)):
        near = [after(birth, *chance.choice(AGES))] * 3
        if days:
            near += [after(chance.choice(days), *chance.choice(GAPS))] * 2
        near.append(chance.choice([end, *(date(end.year - years, 12, 31) for years in (1, 2, 5))]))
        day = chance.choice(near) + timedelta(chance.choice([-1, 0, 0, 1]))
        if birth <= day <= end + timedelta(7):  # not after the file was due
            days.append(day)
    return days or [max(birth, end - timedelta(400))]


def history(chance, end):
    """(birth, rows of a client as (day, code, group, organization, ZIP code of the provider, county))"""
    birth = birth_of(chance, end)
    wanted = chance.sample(SERIES, chance.randint(1, len(SERIES)))
    rows = []
    for day in visits_of(chance, birth, end):
        codes = [chance.choice(codes) for codes in wanted if chance.random() < 0.5]
        if chance.random() < 0.4 or not codes:
            codes.append(chance.choice(OTHERS))
        where = chance.choice("XYZ")
        for code in codes:
            if chance.random() < 0.1:
                where = chance.choice(["X", "Y", "Z", ""])
            for group in GROUPS.get(code, [""]):
                group = chance.choice([group] * 9 + [""])
                zip_code = {"X": "78701", "Y": "78702", "Z": "78703-1234", "": ""}[where]
                county = chance.choice(["Travis"] * 8 + ["Hays", ""])
                row = (day, code, group, where and f"10000000{where}", zip_code, county)
                rows += [row] * chance.choice([1] * 9 + [2])
    chance.shuffle(rows)
    return birth, rows


def season_birth_of(chance, end):
    """A day that makes an age of a cohort near the end of a year or of a month in autumn, an odd one, or any."""
    aged_on = chance.choice([*(date(year, 12, 31) for year in range(2018, end.year + 1)),
                             *(date(end.year, month, 31) for month in (7, 8, 10))])
    turn = coverage.add_months(aged_on + timedelta(1), -chance.choice(SEASON_AGES)) + timedelta(chance.randint(-3, 2))
    odd = chance.choice([date(2017, 6, 30), date(2017, 7, 1), date(2017, 7, 2), date(2020, 2, 29), date(2022, 8, 30),
                         date(2023, 8, 31), date(2024, 3, 31), date(2024, 4, 30)])
    any_day = date(2016, 1, 1) + timedelta(chance.randrange((end - date(2016, 1, 1)).days - 150))
    return min(chance.choices([turn, odd, any_day], [9, 3, 8])[0], end - timedelta(150))


def season_history(chance, end):
    """The same with visits near the beginning, the end and the ages of seasons, and 24 days before or after another one."""
    birth = season_birth_of(chance, end)
    days = []
    for _ in range(chance.randint(1, 6)):
        year = end.year - chance.choice([0, 0, 0, 1, 1, 2, 3, 4, 5, 6])
        near = [date(year, 7, 1), date(year, 6, 30), date(year, 12, 31), date(year, 10, 31),
                date(year, chance.randint(6, 10), 28), after(birth, 5), after(birth, 6)]
        if days:
            near += [chance.choice(days) + timedelta(24)] * 6 + [chance.choice(days) - timedelta(24)] * 3
        day = chance.choice(near) + timedelta(chance.choice([-1, 0, 0, 1]))
        if max(birth, date(2018, 1, 1)) <= day <= end:
            days.append(day)
    rows = []
    for day in days or [max(birth, date(2018, 1, 1)) + timedelta(3)]:
        codes = [chance.choice(INFLUENZA)] if chance.random() < 0.8 else [chance.choice(NO_INFLUENZA)]
        if chance.random() < 0.1:
            codes.append(chance.choice(INFLUENZA))
        county = chance.choice(["Travis", "Hays", ""])
        rows += [(day, code, "FLU" if code in INFLUENZA else "", "10000000X", "78701", county) for code in codes]
    chance.shuffle(rows)
    return birth, rows


def main(arguments, out):
    parser = argparse.ArgumentParser(description="A month of histories around the days on which something turns.")
    parser.add_argument("--period", required=True, metavar="YYYY-MM")
    parser.add_argument("--clients", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--season", action="store_true")
    options = parser.parse_args(arguments)
    chance, end = random.Random(options.seed), coverage.last_day(options.period)
    writer = csv.DictWriter(out, coverage.COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for number in range(options.clients):
        birth, rows = (season_history if options.season else history)(chance, end)
        for day, code, group, where, provider_zip, county in rows:
            writer.writerow({
                "CLIENT ID": f"E{number}", "BIRTH DATE": birth, "SEX CODE": "FM"[number % 2], "STATE CODE": "TX",
                "CLIENT COUNTY": county, "ZIP CODE": f"{10000 + number:05}", "VACCINATION DATE": day, "CVX CODE": code,
                "VACCINE GROUP": group, "GIVEN BY ORG ID": where, "PROVIDER NAME": where and f"Clinic {where}",
                "PROVIDER ZIP CODE": provider_zip})


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    main(sys.argv[1:], sys.stdout)
