# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Coverage, from releases
#
# This notebook reads two releases, coverage by county and coverage by birth year, and draws them.
# A release is a table that has passed disclosure control. There are no records here, and none are needed.
#
# Suppressed cells are missing. They are drawn as suppressed, never as zero, and they cannot be
# added up: a total is only what a release itself states.

# %%
import html
from textwrap import fill

import matplotlib.pyplot as plt
from IPython.display import HTML, display
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from phds_release import ReleaseError, read_release, releases_folder

SORT_COUNTIES_BY = "rate"  # or "name"
MOST_COUNTIES = 40  # more do not stay readable
ONLY = {}  # for a table with a second dimension: the one value to draw, as {"birth_year": "2021"}

# %%
releases = releases_folder()
county, county_release = read_release(releases / "by_county")
birth_year, birth_year_release = read_release(releases / "by_birth_year")


# %% [markdown]
# ## What these numbers are


# %%
def facts(release):
    """The text that must travel with the numbers, as (label, text) pairs."""
    measure, cohort, denominator = release["measure"], release["cohort"], release["denominator"]
    yield "Measure", f"{measure['title']} ({measure['id']}, version {measure['version']})"
    yield "Numerator", measure["definition"]
    yield "Source of the definition", measure.get("source")
    yield "Cohort", f"{cohort['description']}; as of {cohort['as_of']}"
    yield "Denominator", f"{denominator['source']}: {denominator['description']}"
    yield "Only", filters(release)
    yield "Interval", interval(release)
    yield "Reporting period", release.get("reporting_period")
    yield "Suppression", f"k = {release['disclosure']['k']}, audience {release['audience']}"
    yield "Caveats", release["caveats"]
    yield "Release", f"{release['release_id']}, by {release['tool']['name']} {release['tool']['version']}"
    for part in ("measure", "dictionary", "rules", "disclosure"):
        yield f"Fingerprint: {part}", release.get(part, {}).get("fingerprint")
    yield "SHA-256: delivery", release["delivery"]["sha256"]
    yield "SHA-256: table", release["table"]["sha256"]


def filters(release):
    return "; ".join(": ".join(flat(where)) for where in release.get("where") or [])


def flat(value):
    parts = value.values() if isinstance(value, dict) else value
    return [str(value)] if isinstance(value, (str, int, float)) else [text for part in parts for text in flat(part)]


def interval(release):
    level = release["interval"]["level"]
    return f"{level * 100 if level <= 1 else level:g} % ({release['interval']['method']})"


def describe(release, unlike=None):
    """Show the facts of a release; beside another release, only those that differ."""
    known = dict(facts(unlike)) if unlike else {}
    rows = ""
    for label, text in facts(release):
        if text and known.get(label) != text:
            lines = text if isinstance(text, list) else [text]
            cell = "<br>".join(html.escape(str(line)) for line in lines)
            rows += f"<tr><th style='text-align:left;vertical-align:top;white-space:nowrap'>{label}</th><td style='text-align:left;overflow-wrap:anywhere'>{cell}</td></tr>"
    marking = f"<p style='border:2px solid;padding:.4em;font-weight:bold'>{html.escape(release['marking'])}</p>"
    display(HTML(f"{marking}<table>{rows}</table>"))


describe(county_release)

# %% [markdown]
# The release by birth year is the same in all of these, except:

# %%
describe(birth_year_release, unlike=county_release)

# %% [markdown]
# ## How the figures are made
#
# Each figure carries its marking, measure, denominator and as-of date, so that it can be pasted
# elsewhere without losing them. The axis runs from 0 to 100 %. What is withheld is a hatched band
# over the whole axis, because nothing is said about where the value lies.

# %%
plt.rcParams.update({"figure.dpi": 144, "font.size": 9, "hatch.linewidth": 0.6, "axes.axisbelow": True})
BLUE, GREY, PALE, INK = "#0072B2", "#8C8C8C", "#F2F2F2", "#222222"
WITHHELD = {
    "suppressed": ("/////", "suppressed (withheld to protect small groups; not zero)"),
    "unreliable": (".....", "unreliable (too few for a rate)"),
    "not_applicable": ("", "not applicable"),
}


def one_dimension(table, release, dimension):
    """The table by one dimension. It filters and never sums: sums over suppressed cells are wrong."""
    others = [d["id"] for d in release["dimensions"] if d["id"] != dimension]
    if dimension not in table or set(others) != set(ONLY) & set(others):
        raise ReleaseError(f"this figure needs a release by {dimension} alone\nhint: choose one value of each other dimension in ONLY")
    for other in others:
        table = table[table[other] == ONLY[other]]
    if (table["rate"].isna() & (table["status"] == "shown")).any():
        raise ReleaseError("this notebook draws coverage; the release has counts without a rate")
    return table.reset_index(drop=True)


def key_to_marks(table, release):
    """Only the marks that the figure has. Each differs in shape or hatch, not in colour alone."""
    dot = {"color": BLUE, "marker": "o", "markersize": 5.5, "linewidth": 1.6}
    entries = []
    if (table["status"] == "shown").any():
        entries.append(Line2D([], [], **dot, label=f"coverage and its interval, {interval(release)}"))
    if ((table["status"] == "zero") & table["rate"].notna()).any():
        entries.append(Line2D([], [], **dot | {"marker": "D", "mfc": "white"}, label="zero (counted, not suppressed)"))
    for status, (hatch, label) in WITHHELD.items():
        if (table["status"] == status).any():
            entries.append(Patch(facecolor=PALE, edgecolor=GREY, hatch=hatch, linewidth=0.6, label=label))
    return entries


def canvas(table, release, dimension, note, width, plot_height, left, right):
    """Axes in a figure that carries marking, measure, denominator and as-of date. Lengths in inches."""
    measure, cohort, denominator = release["measure"], release["cohort"], release["denominator"]
    title = next(d["title"] for d in release["dimensions"] if d["id"] == dimension).lower()
    only = "; ".join(f"{key} {value}" for key, value in ONLY.items())
    marking = fill(release["marking"], int(width * 10))
    heading = fill(f"{measure['title']}, by {title}", int(width * 8))
    note = fill(f"As of {cohort['as_of']}. {cohort['description']}." + (f" Only {only}." if only else "") + note, int(width * 13))
    foot = "\n".join(
        fill(line, int(width * 14))
        for line in (
            f"Measure: {measure['id']}, version {measure['version']}, fingerprint {measure['fingerprint'][:12]}",
            f"Denominator: {denominator['source']}, {denominator['description']}",
            f"Suppression: k = {release['disclosure']['k']}. Release: {release['release_id']}, {release['tool']['name']} {release['tool']['version']}",
        )
    )
    marks = key_to_marks(table, release)
    heading_down = 0.35 + 0.16 * lines(marking)
    legend_down = heading_down + 0.2 + 0.22 * lines(heading) + 0.18 * lines(note)
    top = legend_down + 0.21 * len(marks) + 0.3
    bottom = 0.9 + 0.16 * lines(foot)
    height = top + plot_height + bottom

    figure = plt.figure(figsize=(width, height))
    axes = figure.add_axes([left / width, bottom / height, 1 - (left + right) / width, plot_height / height])
    axes.spines[["top", "right", "left"]].set_visible(False)

    def write(text, down, **style):
        figure.text(0.15 / width, 1 - down / height, text, verticalalignment="top", color=INK, **style)

    write(marking, 0.15, weight="bold", bbox={"boxstyle": "square,pad=0.4", "facecolor": "white", "edgecolor": INK})
    write(heading, heading_down, weight="bold", size=12)
    write(note, heading_down + 0.06 + 0.22 * lines(heading), linespacing=1.4)
    write(foot, height - 0.1 - 0.16 * lines(foot), size=8, linespacing=1.4)
    figure.legend(handles=marks, loc="upper left", bbox_to_anchor=(0.15 / width, 1 - legend_down / height),
                  frameon=False, borderpad=0, borderaxespad=0, labelspacing=0.45, handlelength=2.4)  # fmt: skip
    return figure, axes


def lines(text):
    return text.count("\n") + 1


def word(status):
    return status.replace("_", " ")


def draw(axes, position, row, across):
    """One cell: a dot with its interval, or a hatched band. `across`: the rates run along x."""
    if row["status"] in WITHHELD:
        band = axes.barh if across else axes.bar
        band(position, 100, 0.62, color=PALE, edgecolor=GREY, hatch=WITHHELD[row["status"]][0], linewidth=0.6)
        return word(row["status"])
    if row[["rate"]].notna().all():
        span = [[position] * 2, [100 * row["ci_low"], 100 * row["ci_high"]]] if row[["ci_low"]].notna().all() else [[], []]
        dot = [[position], [100 * row["rate"]]]
        look = {"marker": "D", "mfc": "white"} if row["status"] == "zero" else {"marker": "o"}
        for points, style in ((span, {"linewidth": 1.6}), (dot, {"markersize": 5.5, **look})):
            axes.plot(*(reversed(points) if across else points), color=BLUE, clip_on=False, zorder=3, **style)
    counts = row[["numerator", "denominator"]].dropna()
    return " / ".join(f"{count:,}" for count in counts)


# %% [markdown]
# ## Coverage by county


# %%
def counties_to_draw(table):
    """At most MOST_COUNTIES rows, and a sentence that says which."""
    if len(table) <= MOST_COUNTIES:
        return table, ""
    known = table[table["denominator"].notna()]
    if known.empty:
        return table.sort_values("county").head(MOST_COUNTIES), f" Drawn: the first {MOST_COUNTIES} by name, of {len(table)} rows; all are withheld."
    largest = known.sort_values("denominator", ascending=False, kind="stable").head(MOST_COUNTIES)
    withheld = ", ".join(f"{count} {word(status)}" for status in WITHHELD if (count := (table["status"] == status).sum()))
    return largest, (
        f" Drawn: the {len(largest)} with the largest denominators, of {len(table)} rows."
        f" Not drawn because withheld: {withheld or 'none'}."
    )


def in_order(table):
    """By name or by rate; rows without a rate after those with one, Unknown last."""
    table = table.sort_values("county", kind="stable")
    if SORT_COUNTIES_BY == "rate":
        table = table.sort_values("rate", ascending=False, kind="stable", na_position="last")
    return table.sort_values("county", key=lambda names: names == "Unknown", kind="stable")


def draw_counties(table, release):
    table = one_dimension(table, release, "county")
    chosen, note = counties_to_draw(table)
    chosen = in_order(chosen)
    height = 0.235 * max(len(chosen), 3)
    figure, axes = canvas(chosen, release, "county", note, 9, height, left=1.75, right=1.75)
    for position, (_, row) in enumerate(chosen.iterrows()):
        text = draw(axes, position, row, across=True)
        axes.text(1.03, position, text, transform=axes.get_yaxis_transform(), verticalalignment="center_baseline", color=INK)
    axes.text(1.03, -1, "numerator / denominator", transform=axes.get_yaxis_transform(), verticalalignment="center_baseline", color=INK, weight="bold", size=8)
    axes.set_yticks(range(len(chosen)), chosen["county"])
    axes.set(xlim=(0, 100), ylim=(len(chosen) - 0.4, -0.6), xlabel="Coverage (numerator / denominator)")
    axes.set_xticks(range(0, 101, 10), [f"{p} %" for p in range(0, 101, 10)])
    axes.tick_params(axis="y", length=0, pad=8)
    axes.grid(axis="x", color="#DDDDDD", linewidth=0.6)
    show(figure, f"Coverage by county with intervals. {(table['status'] == 'suppressed').sum()} of {len(table)} rows are suppressed.")
    for status in WITHHELD:
        names = table.loc[table["status"] == status, "county"]
        if len(names) and len(chosen) < len(table):
            print(fill(f"{word(status).capitalize()} ({len(names)}): {', '.join(names)}.", 110), end="\n\n")


def show(figure, description):
    display(figure, metadata={"image/png": {"alt": description}})
    plt.close(figure)


draw_counties(county, county_release)

# %% [markdown]
# ## Coverage by birth year


# %%
def draw_birth_years(table, release):
    table = one_dimension(table, release, "birth_year").sort_values("birth_year")  # "Unknown" sorts after digits
    years = [int(year) for year in table["birth_year"] if year.isdigit()]
    places, after = [], max(years, default=0) + 1
    for year in table["birth_year"]:
        places.append(int(year) if year.isdigit() else after)
        after += not year.isdigit()
    first, last = min(places), max(*places, min(places) + 4)  # room for five at least: one band is not a wall
    width = max(9, 0.8 * (last - first + 1) + 1)
    figure, axes = canvas(table, release, "birth_year", "", width, 3.6, left=0.75, right=0.25)
    labels = [row["birth_year"] + "\n" + draw(axes, place, row, across=False) for place, (_, row) in zip(places, table.iterrows())]
    axes.set_xticks(places, [label.replace(" / ", " /\n") for label in labels])
    axes.set(ylim=(0, 100), xlim=(first - 0.5, last + 0.5), ylabel="Coverage", xlabel="Birth year, and numerator / denominator")
    axes.set_yticks(range(0, 101, 20), [f"{p} %" for p in range(0, 101, 20)])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    show(figure, f"Coverage by birth year with intervals. {(table['status'] == 'suppressed').sum()} of {len(table)} rows are suppressed.")


draw_birth_years(birth_year, birth_year_release)

# %% [markdown]
# The dots are not joined: each birth year is another cohort, and a suppressed year has no place on a line.
