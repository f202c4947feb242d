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
# # One release in pandas, Polars, DuckDB and pyarrow
#
# A release is read as an Arrow table, and four libraries answer the same questions of it, in a cell each. `same` holds
# them to one another: a cell that gave another answer would stop the notebook.

# %%
import duckdb
import pandas as pd
import polars as pl
import pyarrow.compute as pc

from phds_release import ReleaseError, month_folders, read_release

months = month_folders()
release = read_release(months[-1] / "by_county")
county = release.table  # as DuckDB and pyarrow take it
in_pandas = release.to_pandas()
in_polars = pl.from_arrow(county)


def same(columns, *answers):
    """One of the answers, when all are the same: rows of labels and numbers, these to 12 digits. `columns`: its header."""
    rounded = [[tuple(float(f"{v:.12g}") if isinstance(v, float) else v for v in row) for row in answer] for answer in answers]
    assert all(answer == rounded[0] for answer in rounded), "the libraries disagree"
    return pd.DataFrame(rounded[0], columns=columns)


print(release.metadata["marking"], *release.caveats, sep="\n- ")

# %% [markdown]
# ## How many rows have which status?
#
# pandas, Polars, DuckDB, pyarrow:

# %%
by_pandas = sorted(in_pandas["status"].value_counts().items())

# %%
by_polars = in_polars.group_by("status").len().sort("status").rows()

# %%
by_duckdb = duckdb.sql("select status, count(*) from county group by status order by status").fetchall()

# %%
by_pyarrow = [tuple(row.values()) for row in county.group_by("status").aggregate([([], "count_all")]).sort_by("status").to_pylist()]

# %%
same(["status", "rows"], by_pandas, by_polars, by_duckdb, by_pyarrow, sorted(release.statuses.items()))

# %% [markdown]
# ## Of the reliable rates that are shown, which five are the lowest?

# %%
asked = ["county", "rate", "ci_low", "ci_high"]
by_pandas = in_pandas[in_pandas["status"] == "shown"].nsmallest(5, "rate")[asked].itertuples(index=False, name=None)

# %%
by_polars = in_polars.filter(pl.col("status") == "shown").sort("rate").head(5).select(asked).rows()

# %%
by_duckdb = duckdb.sql("select county, rate, ci_low, ci_high from county where status = 'shown' order by rate limit 5").fetchall()

# %%
by_pyarrow = [
    tuple(row.values()) for row in county.filter(pc.field("status") == "shown").sort_by("rate").slice(0, 5).select(asked).to_pylist()
]

# %%
same(asked, by_pandas, by_polars, by_duckdb, by_pyarrow)

# %% [markdown]
# ## What is computed of a withheld number?
#
# A missing number, in each of them: 1 − rate, the share that is not up to date.

# %%
missing = 1 - in_pandas["rate"]
by_pandas = [(len(missing), int(missing.isna().sum()))]

# %%
by_polars = in_polars.select(pl.len(), (1 - pl.col("rate")).null_count().alias("missing")).rows()

# %%
by_duckdb = duckdb.sql("select count(*), count(*) filter (where 1 - rate is null) from county").fetchall()

# %%
by_pyarrow = [(county.num_rows, pc.subtract(1, county["rate"]).null_count)]

# %%
same(["rows", "of them missing"], by_pandas, by_polars, by_duckdb, by_pyarrow)

# %% [markdown]
# ## And a sum?
#
# Here is the trap. Each library skips what is missing, and so counts it as zero: the sum of a column with withheld rows
# is the total of nothing. The pandas frame of a release refuses. The others must be asked to; then the sum is missing,
# too. A total is a release of its own.

# %%
try:
    by_pandas = [(int(in_pandas["numerator"].sum()),)]
except ReleaseError as refusal:
    print(refusal)
    by_pandas = [(None,)]

# %%
numerator = pl.col("numerator")
by_polars = in_polars.select(pl.when(numerator.null_count() == 0).then(numerator.sum())).rows()

# %%
by_duckdb = duckdb.sql("select case when count(*) = count(numerator) then sum(numerator)::bigint end from county").fetchall()

# %%
by_pyarrow = [(pc.sum(county["numerator"], skip_nulls=False).as_py(),)]

# %%
same(["sum of the numerators"], by_pandas, by_polars, by_duckdb, by_pyarrow)

# %% [markdown]
# ## Two months side by side
#
# The earliest and the latest month that are here, joined by the label of their rows, and never by a person. Counties
# whose rate is shown in both:

# %%
before = read_release(months[0] / "by_county").table
labels = ["county", "rate", "rate_before"]

# %%
old = read_release(months[0] / "by_county").to_pandas()[["county", "rate"]].rename(columns={"rate": "rate_before"})
both = in_pandas[["county", "rate"]].merge(old, on="county").dropna().sort_values("county")
by_pandas = list(both.itertuples(index=False, name=None))

# %%
joined = in_polars.join(pl.from_arrow(before).select("county", rate_before="rate"), on="county")
by_polars = joined.select(labels).drop_nulls().sort("county").rows()

# %%
by_duckdb = duckdb.sql("""
    select county, now.rate, before.rate from county now join before using (county)
    where now.rate is not null and before.rate is not null order by county
""").fetchall()

# %%
renamed = before.select(["county", "rate"]).rename_columns(["county", "rate_before"])
table = county.select(["county", "rate"]).join(renamed, "county", join_type="inner").drop_null().sort_by("county")
by_pyarrow = list(zip(*(table[name].to_pylist() for name in labels)))

# %%
same(labels, by_pandas, by_polars, by_duckdb, by_pyarrow).head(8)
