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
# This notebook reads the releases that `notebooks/monthly.toml` asks for, and draws each of them:
#
# ```sh
# phds query notebooks/monthly.toml --store STORE --period 2024-12 --out RELEASES/2024-12
# ```
#
# `PHDS_RELEASES` names the folder `RELEASES`. The newest month in it is drawn, and at the end it is laid beside the
# one before. Copy the notebook, change the questions, and keep the sections that answer yours.

# %%
import pandas as pd
from IPython.display import HTML, display

from phds_release import month_folders, read_release
from phds_release.figure import (
    curves, describe, doses_over_time, funnel, missing_parts, ranks_by_rule, rates_by_denominator, rates_by_row, rates_on_map,
    rates_over_time, two_months,
)  # fmt: skip

months = month_folders()
month = months[-1]
names = ["by_county", "by_birth_quarter", "funnel", "curve", "missing", "attribution", "denominators", "doses"]
releases = {name: read_release(month / name) for name in names}
print(f"{month.name}: {', '.join(f'{name} ({release.table.num_rows} rows)' for name, release in releases.items())}")

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
# How many rows of each have which status, before anything is drawn:

# %%
pd.DataFrame({name: release.statuses for name, release in releases.items()}).T.fillna(0).astype(int)

# %% [markdown]
# ## Counties
#
# The rates with their intervals, and where they are. A hatched county is withheld, which says nothing about its rate.

# %%
rates_by_row(releases["by_county"], "county")

# %%
rates_on_map(releases["by_county"], "county")

# %% [markdown]
# ## Trend by quarter of birth
#
# The dots are not joined: each quarter is another cohort, and a suppressed one has no place on a line.

# %%
rates_over_time(releases["by_birth_quarter"], "birth_quarter")

# %% [markdown]
# ## Organizations
#
# The limits are those of the release. Between the inner ones lie 95 % of organizations that differ by chance
# alone, between the outer ones 99.8 %. They do not say why an organization lies outside.

# %%
funnel(releases["funnel"])

# %% [markdown]
# ## Age at the dose

# %%
curves(releases["curve"], "birth_year")

# %% [markdown]
# Before which age in months half of them, and nine in ten, were up to date:

# %%
ages = {"half_by_months": "Int64", "ninety_by_months": "Int64"}
pd.DataFrame(releases["curve"].metadata.get("curves"), columns=["labels", *ages]).astype(ages)

# %% [markdown]
# ## Which parts are missing

# %%
youngest = max(releases["missing"].table["birth_year"].to_pylist())
missing_parts(releases["missing"], {"birth_year": youngest})

# %% [markdown]
# ## Whose client is whose
#
# The file does not say whose patient a client is. Four rules say it differently, and an organization's rank moves with
# them: that is how much a rank is worth. A rank is among the organizations that are shown under the same rule.

# %%
ranks_by_rule(releases["attribution"])

# %% [markdown]
# ## Several denominators
#
# Clients who moved away stay in the file. The narrower the denominator, the fewer of them are in it.

# %%
rates_by_denominator(releases["denominators"], "race_ethnicity")

# %% [markdown]
# ## Doses by month

# %%
doses_over_time(releases["doses"], "vaccination_month")

# %% [markdown]
# ## This month and the one before
#
# Two releases of the same question lie side by side, row by row of the table. Records of one month are never joined to
# those of another, and numbers are not subtracted: what two months differ by may be one family.

# %%
if len(months) > 1:
    two_months(read_release(months[-2] / "by_county"), releases["by_county"], "county")
else:
    print(f"Only {month.name} is here; with the releases of another month beside it, both are drawn.")
