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
# # A month, from its releases
#
# This notebook reads the releases that [`monthly.toml`](../monthly.toml) asks for, and draws each of them:
#
# ```sh
# phds query notebooks/monthly.toml --store STORE --period 2024-12 --out RELEASES/2024-12
# ```
#
# `PHDS_RELEASES` names the folder `RELEASES`. The newest month in it is drawn, and at the end it is laid beside the
# one before. Copy the notebook, change the questions, and keep the sections that answer yours.

# %%
import duckdb
import matplotlib.pyplot as plt
import pandas as pd
import polars as pl
import pyarrow.compute as pc
from IPython.display import HTML, display
from matplotlib.lines import Line2D

from phds_figure import (
    BLUE, GREEN, GREY, INK, LOOKS, MEANINGS, ORANGE, PALE, WITHHELD, all_withheld, canvas, counts, describe,
    draw, mark, marks_of, percent, percent_axis, rate_and_interval, rates_by_row, rates_over_time, show,
    to_frame, word,
)  # fmt: skip
from phds_release import month_folders, read_release

months = month_folders()
month = months[-1]
names = ["by_county", "by_birth_quarter", "funnel", "curve", "missing", "attribution", "denominators", "doses"]
tables, releases = {}, {}
for name in names:
    tables[name], releases[name] = read_release(month / name)
print(f"{month.name}: {', '.join(f'{name} ({table.num_rows} rows)' for name, table in tables.items())}")

# %% [markdown]
# ## What these numbers are
#
# Of coverage by county in full, of the others what is different and which caveats are new.

# %%
describe(releases["by_county"])

# %%
for name in names[1:]:
    display(HTML(f"<h4>{name}</h4>"))
    describe(releases[name], unlike=releases["by_county"])

# %% [markdown]
# How much is withheld, before anything is drawn:

# %%
pd.DataFrame({name: to_frame(table)["status"].value_counts() for name, table in tables.items()}).T.fillna(0).astype(int)

# %% [markdown]
# ## One table in four libraries
#
# A release is read as an Arrow table, which all of them take as it is. The question: of which counties is a
# reliable rate shown, and which five are the lowest? Where a number is withheld it is null in each of them.
# Beware of sums: each library skips what is null and so counts it as zero.

# %% [markdown]
# pandas:

# %%
county = tables["by_county"]
frame = to_frame(county)
frame[frame["status"] == "shown"].nsmallest(5, "rate")[["county", "rate", "ci_low", "ci_high"]]

# %% [markdown]
# Polars:

# %%
pl.from_arrow(county).filter(pl.col("status") == "shown").sort("rate").head(5).select("county", "rate", "ci_low", "ci_high")

# %% [markdown]
# DuckDB:

# %%
duckdb.sql("select county, rate, ci_low, ci_high from county where status = 'shown' order by rate limit 5").show()

# %% [markdown]
# pyarrow, with nothing on top:

# %%
county.filter(pc.field("status") == "shown").sort_by("rate").slice(0, 5).select(["county", "rate", "ci_low", "ci_high"]).to_pylist()

# %% [markdown]
# ## Counties

# %%
title = releases["by_county"]["measure"]["title"]
rates_by_row(frame, releases["by_county"], "county", f"{title}, by county")

# %% [markdown]
# ## Trend by quarter of birth

# %%
rates_over_time(to_frame(tables["by_birth_quarter"]), releases["by_birth_quarter"], "birth_quarter", f"{title}, by quarter of birth")


# %% [markdown]
# The dots are not joined: each quarter is another cohort, and a suppressed one has no place on a line.
#
# ## Organizations
#
# The limits are those of the release. Between the inner ones lie 95 % of organizations that differ by chance
# alone, between the outer ones 99.8 %. They do not say why an organization lies outside.


# %%
def draw_funnel(frame, release):
    heading = f"{release['measure']['title']}, by organization"
    if all_withheld(frame, release, heading):
        return
    limits, funnel = frame.dropna(subset="rate").sort_values("denominator"), release["funnel"]
    withheld = (frame["status"] == "suppressed").sum()
    note = f"{withheld} of {len(frame)} organizations are suppressed and have no place in the figure. " \
           f"The share of the {funnel['organizations']} shown ones together: {percent(funnel['target'])}."  # fmt: skip
    if funnel["factor_applied"] > 1:
        note += f" They differ more than by chance ({funnel['overdispersion']:.2f} times); the limits are widened for it."
    marks = marks_of(limits, "rate of an organization") + [
        Line2D([], [], color=INK, linewidth=1, label="share of all shown together"),
        Line2D([], [], color=GREY, linewidth=1, label="95 % limits"),
        Line2D([], [], color=GREY, linewidth=1, linestyle="--", label="99.8 % limits"),
    ]
    figure, axes = canvas(release, heading, note, marks)
    for name, style in (("limit_95_low", "-"), ("limit_95_high", "-"), ("limit_998_low", "--"), ("limit_998_high", "--")):
        axes.plot(limits["denominator"], 100 * limits[name], color=GREY, linewidth=1, linestyle=style)
    axes.axhline(100 * funnel["target"], color=INK, linewidth=1)
    outside = (limits["rate"] < limits["limit_998_low"]) | (limits["rate"] > limits["limit_998_high"])
    for row, is_outside in zip(limits.to_dict("records"), outside):
        axes.plot(row["denominator"], 100 * row["rate"], color=BLUE, clip_on=False, zorder=3, markersize=5.5, **LOOKS[row["status"]])
        if is_outside:
            axes.annotate(row["organization"], (row["denominator"], 100 * row["rate"]), (6, -2), textcoords="offset points", size=8)
    percent_axis(axes, "y", 20, "Rate")
    ends = min(10, limits["denominator"].min()), max(20, limits["denominator"].max())
    axes.set(xscale="log", xlim=(ends[0] / 1.1, ends[1] * 1.1), xlabel="Denominator (clients of the organization), on a logarithmic scale")
    ticks = [n for n in (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000) if n <= ends[1]]
    axes.set_xticks(ticks, [f"{n:,}" for n in ticks])
    axes.minorticks_off()
    show(figure, f"Funnel of {len(limits)} organizations with limits.", frame)


draw_funnel(to_frame(tables["funnel"]), releases["funnel"])


# %% [markdown]
# ## Age at the dose


# %%
def draw_curves(frame, release, by):
    heading = f"{release['measure']['title']}: up to date by age"
    if all_withheld(frame, release, heading):
        return
    told = frame.dropna(subset="rate")
    groups = sorted(told[by].unique())
    note = "Where a curve ends, what follows is not told."
    colors = [plt.cm.viridis(0.9 * at / max(1, len(groups) - 1)) for at in range(len(groups))]
    dashes = ["-", "--", "-.", ":"]
    marks = [Line2D([], [], color=color, linestyle=dashes[at % 4], label=group) for at, (group, color) in enumerate(zip(groups, colors))]
    withheld = sorted(set(frame[by]) - set(groups))
    marks += [mark("suppressed", f"suppressed: {', '.join(withheld)}")] if withheld else []
    figure, axes = canvas(release, heading, note, marks, key_columns=4)
    for at, (group, color) in enumerate(zip(groups, colors)):
        curve = told[told[by] == group]
        axes.step(curve["age_months"], 100 * curve["rate"], where="post", color=color, linestyle=dashes[at % 4], linewidth=1.5)
        shade = curve.dropna(subset="ci_low")
        axes.fill_between(
            shade["age_months"].astype(int),
            100 * shade["ci_low"].astype(float),
            100 * shade["ci_high"].astype(float),
            step="post",
            color=color,
            alpha=0.12,
            linewidth=0,
        )
    percent_axis(axes, "y", 20, "Up to date")
    axes.set_xticks(range(0, int(told["age_months"].max()) + 1, 3))
    axes.set(xlim=(0, None), xlabel="Age in months; shaded: 95 % interval of each curve")
    show(figure, f"Share up to date by age, one curve for each {word(by)}.", frame)


draw_curves(to_frame(tables["curve"]), releases["curve"], "birth_year")

# %%
ages = {"half_by_months": "Int64", "ninety_by_months": "Int64"}
pd.DataFrame(releases["curve"].get("curves"), columns=["labels", *ages]).astype(ages)


# %% [markdown]
# ## Which parts are missing


# %%
def draw_missing(frame, release, only, most=14):
    frame = frame[(frame[list(only)] == pd.Series(only)).all(axis=1)]
    complete = frame[frame["missing"] == "none"].to_dict("records")
    sets = frame[frame["missing"] != "none"]
    drawn = sets.head(most)  # in a release the largest come first
    parts = list(
        dict.fromkeys(
            part
            for row in sets.sort_values("missing", key=lambda sets: -sets.str.len())["missing"]
            for part in row.split(" + ")
            if part != "other sets"
        )
    )
    chosen = ", ".join(f"{word(name)} {value}" for name, value in only.items())
    note = f"Only {chosen}. " + "".join(
        f"In time for all parts: {percent(row['rate'])} ({counts(row)})." for row in complete if row["status"] not in WITHHELD
    )
    note += f" Drawn: the first {most} of {len(sets)} sets of missing parts." if len(sets) > most else ""
    marks = marks_of(drawn, rate_and_interval(release))
    drawn = drawn.to_dict("records")
    figure, axes = canvas(
        release,
        f"{release['measure']['title']}: what is missing",
        note,
        marks,
        plot_height=0.26 * len(drawn),
        left=3.7,
        right=1.75,
        above=0.75,
    )
    largest = max([10 / 1.25] + [100 * row["ci_high"] for row in drawn if row["status"] not in WITHHELD])
    for position, row in enumerate(drawn):
        draw(axes, position, row, across=True)
        axes.text(1.03, position, counts(row), transform=axes.get_yaxis_transform(), verticalalignment="center_baseline", color=INK)
        missing = row["missing"].split(" + ")
        for at, part in enumerate(parts):
            place = (-0.06 - (len(parts) - 1 - at) * 0.105, position)
            filled = {"marker": "s", "color": INK} if part in missing else {"marker": "o", "mfc": "white", "mec": "#CCCCCC"}
            if row["missing"] != "other sets":
                axes.plot(
                    *place,
                    transform=axes.get_yaxis_transform(),
                    clip_on=False,
                    linestyle="",
                    markersize=7 if part in missing else 4,
                    **filled,
                )
        if row["missing"] == "other sets":
            axes.text(
                -0.06,
                position,
                "other sets, each of few clients",
                ha="right",
                transform=axes.get_yaxis_transform(),
                verticalalignment="center_baseline",
                color=INK,
            )
    for at, part in enumerate(parts):
        axes.text(
            -0.06 - (len(parts) - 1 - at) * 0.105,
            -0.85,
            part.split(".")[-1],
            rotation=45,
            ha="left",
            va="bottom",
            size=8,
            transform=axes.get_yaxis_transform(),
            color=INK,
        )
    percent_axis(axes, "x", 5, "Share of the cohort that lacks exactly the filled parts")
    axes.set(xlim=(0, 1.25 * largest), ylim=(len(drawn) - 0.4, -0.6))
    axes.set_yticks([])
    show(figure, f"Sets of missing parts among clients of {chosen}, the largest first.", frame)


missing = to_frame(tables["missing"])
draw_missing(missing, releases["missing"], {"birth_year": missing["birth_year"].max()})


# %% [markdown]
# ## Whose client is whose
#
# The file does not say whose patient a client is. Four rules say it differently, and an organization's rank moves with
# them: that is how much a rank is worth. A rank is among the organizations that are shown under the same rule.


# %%
def draw_attribution(frame, release):
    heading = f"{release['measure']['title']}: rank of organizations by {len(release['attributions'])} rules"
    if all_withheld(frame, release, heading):
        return
    rules = [rule["rule"] for rule in release["attributions"]]
    told = frame.dropna(subset="rank").groupby("organization")["attribution"].count()
    drawn = frame[frame["organization"].isin(told[told >= 2].index)]
    note = f"Drawn: the {drawn['organization'].nunique()} organizations with a rank under two rules or more, of {frame['organization'].nunique()}. " \
           "A line is broken where a rule's row is suppressed."  # fmt: skip
    last = frame["rank"].max()
    figure, axes = canvas(
        release, heading, note, marks_of(drawn.dropna(subset="rank"), "rank of an organization", GREY), plot_height=4.5, right=0.9
    )
    shown = [((frame["attribution"] == rule) & frame["rank"].notna()).sum() for rule in rules]
    for organization, rows in drawn.groupby("organization"):
        rows = rows.set_index("attribution").reindex(rules)
        ranks = rows["rank"].astype("Float64").to_numpy(dtype=float, na_value=float("nan"))
        moved = pd.Series(ranks).max() - pd.Series(ranks).min()
        color = ORANGE if moved >= 10 else GREY
        axes.plot(range(len(rules)), ranks, color=color, linewidth=1.4 if moved >= 10 else 0.8, zorder=2)
        for at, row in enumerate(rows.to_dict("records")):
            if not pd.isna(row["rank"]):
                axes.plot(at, row["rank"], markersize=5, color=color, zorder=3, **LOOKS[row["status"]])
    axes.set_xticks(range(len(rules)), [f"{rule}\n{count} shown" for rule, count in zip(rules, shown)])
    axes.set_yticks([1, *range(5, int(last) + 1, 5)])
    axes.set(
        ylim=(last + 1, 0),
        xlim=(-0.3, len(rules) - 0.7),
        ylabel="Rank (1: the highest rate)",
        xlabel="Rule of attribution; thick: moved by ten ranks or more",
    )
    axes.tick_params(axis="y", length=0)
    show(figure, "Ranks of organizations under four rules of attribution.", frame)


draw_attribution(to_frame(tables["attribution"]), releases["attribution"])


# %% [markdown]
# ## Several denominators
#
# Clients who moved away stay in the file. The narrower the denominator, the fewer of them are in it.


# %%
def draw_denominators(frame, release, by):
    sources = [d["source"] for d in release["denominators"]]
    look = dict(zip(sources, [("o", BLUE), ("s", ORANGE), ("^", GREEN), ("D", INK), ("v", GREY)]))
    groups = sorted(frame[by].unique(), key=lambda name: (name == "Unknown", name))
    marks = [
        Line2D([], [], color=color, marker=shape, linewidth=1.6, label=f"{d['source']}: {d['description']}")
        for d, (shape, color) in zip(release["denominators"], look.values())
    ]
    marks += [mark(status, MEANINGS[status]) for status in ("unreliable", *WITHHELD) if (frame["status"] == status).any()]
    title = next(d["title"] for d in release["dimensions"] if d["id"] == by).lower()
    figure, axes = canvas(
        release,
        f"{release['measure']['title']}, by {title} and denominator",
        "",
        marks,
        plot_height=0.17 * len(sources) * len(groups) + 0.3 * len(groups) / 4,
        left=2,
    )
    for at, group in enumerate(groups):
        axes.axhline(at - 0.5, color="#DDDDDD", linewidth=0.6)
        for row in frame[frame[by] == group].to_dict("records"):
            among = sources.index(row["denominator_source"])
            shape, color = look[row["denominator_source"]]
            hollow = {"mfc": "white"} if row["status"] in ("unreliable", "zero") else {}
            draw(
                axes,
                at + (among - (len(sources) - 1) / 2) * 0.8 / len(sources),
                row,
                True,
                color,
                0.6 / len(sources),
                marker=shape,
                **hollow,
            )
    axes.set_yticks(range(len(groups)), groups)
    percent_axis(axes, "x", 10, "Rate")
    axes.set(ylim=(len(groups) - 0.5, -0.5))
    show(figure, f"Rates by {word(by)} with {len(sources)} denominators.", frame)


draw_denominators(to_frame(tables["denominators"]), releases["denominators"], "race_ethnicity")


# %% [markdown]
# ## Doses by month


# %%
def draw_doses(frame, release, by, last=36):
    if all_withheld(frame, release, "Doses administered, by month"):
        return
    frame = frame.sort_values(by).tail(last)
    marks = [
        Line2D([], [], color=BLUE, marker="o", label="doses administered"),
        Line2D([], [], color=ORANGE, marker="s", label="people vaccinated in the month"),
    ]
    marks += [mark("suppressed", MEANINGS["suppressed"])] if (frame["status"] == "suppressed").any() else []
    figure, axes = canvas(
        release,
        "Doses administered, by month",
        f"Drawn: the last {len(frame)} months. People of several months are not added up: they are the same people.",
        marks,
        below=0.6,
    )
    top = 1.1 * frame["doses"].max()
    for at, status in enumerate(frame["status"]):
        if status == "suppressed":
            axes.bar(at, top, 0.9, color=PALE, edgecolor=GREY, hatch=WITHHELD[status], linewidth=0.6)
    for column, shape, color in (("doses", "o", BLUE), ("persons", "s", ORANGE)):
        axes.plot(
            range(len(frame)),
            frame[column].to_numpy(dtype=float, na_value=float("nan")),
            color=color,
            marker=shape,
            markersize=4,
            linewidth=1.2,
        )
    ticks = [at for at, name in enumerate(frame[by]) if name.endswith(("-01", "-07"))]
    axes.set_xticks(ticks, [frame[by].iloc[at] for at in ticks])
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set(ylim=(0, float(top)), ylabel="Number", xlabel="Month of vaccination")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    show(figure, f"Doses and people by month, the last {len(frame)} months.", frame)


draw_doses(to_frame(tables["doses"]), releases["doses"], "vaccination_month")


# %% [markdown]
# ## This month and the one before
#
# Two releases of the same question lie side by side, row by row of the table. Records of one month are never joined to
# those of another, and numbers are not subtracted: what two months differ by may be one family.


# %%
def draw_months(earlier, later, by, most=25):
    (before, _), (now, release) = earlier, later
    title = next(d["title"] for d in release["dimensions"] if d["id"] == by).lower()
    heading = f"{release['measure']['title']}, by {title}: two months"
    if all_withheld(to_frame(now), release, heading):
        return
    both = to_frame(now).merge(
        to_frame(before)[[by, "rate", "ci_low", "ci_high", "status"]], on=by, how="left", suffixes=("", "_before"), validate="one_to_one"
    )
    drawn = both[both["rate"].notna()].sort_values("denominator", ascending=False).head(most).sort_values("rate", ascending=False)
    dates = [read["cohort"]["as_of"] for _, read in (earlier, later)]
    note = f"Beside it: as of {dates[0]}. Drawn: the {len(drawn)} with the largest denominators, of {len(both)} rows; {both['rate'].isna().sum()} are withheld."
    marks = [
        Line2D([], [], color=BLUE, marker="o", linewidth=1.6, label=f"as of {dates[1]}, with its interval"),
        Line2D([], [], color=ORANGE, marker="s", linewidth=1.6, label=f"as of {dates[0]}, with its interval"),
    ]
    statuses = set(drawn["status"]) | set(drawn["status_before"].dropna())
    marks += [mark(status, MEANINGS[status]) for status in ("zero", "unreliable", *WITHHELD) if status in statuses]
    figure, axes = canvas(release, heading, note, marks, plot_height=0.3 * max(3, len(drawn)), left=1.75)
    for at, row in enumerate(drawn.to_dict("records")):
        draw(axes, at - 0.18, row, True, thick=0.3)
        if not pd.isna(row["status_before"]):
            past = {name: row[f"{name}_before"] for name in ("rate", "ci_low", "ci_high", "status")}
            look = {"marker": "s"} if past["status"] == "shown" else {"marker": "s", "mfc": "white"}
            draw(axes, at + 0.18, past, True, ORANGE, 0.3, **look)
    axes.set_yticks(range(len(drawn)), drawn[by])
    percent_axis(axes, "x", 10, "Rate")
    axes.set(ylim=(len(drawn) - 0.4, -0.6))
    show(figure, f"Rates by {by} as of {dates[0]} and {dates[1]}.", to_frame(now))


if len(months) > 1:
    draw_months(read_release(months[-2] / "by_county"), read_release(month / "by_county"), "county")
else:
    print(f"Only {month.name} is here; with the releases of another month beside it, both are drawn.")
