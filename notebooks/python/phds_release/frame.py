"""pandas frames in which a withheld number stays missing.

pandas skips what is missing when it adds up, and so counts it as zero. These frames refuse that with a `ReleaseError`.
`pandas.DataFrame(frame)` takes the guard off, for who knows what the sum is then.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import pandas as pd
import pyarrow as pa

from . import WITH_NUMBERS, ReleaseError

TYPES = {pa.int64(): pd.Int64Dtype(), pa.float64(): pd.Float64Dtype()}


def of_arrow(table: pa.Table) -> Frame:
    """The frame of a table of a release."""
    return Frame(table.to_pandas(types_mapper=TYPES.get))


def _guarded(method: Callable[..., Any]) -> Any:
    """A method of pandas that refuses while something is withheld."""

    @wraps(method)
    def guarded(self: Any, *arguments: Any, **options: Any) -> Any:
        if count := self.withheld():
            raise ReleaseError(
                f"{count} of {len(self)} rows have no number (withheld, see `status`), and `{method.__name__}` would count them as zero\n"
                "hint: ask phds for the wider group as a release of its own, or choose the rows with numbers first and say so"
            )
        return method(self, *arguments, **options)

    return guarded


class Column(pd.Series):
    """A column of a release; a missing number in it stays missing."""

    fillna, sum, cumsum, groupby = map(_guarded, (pd.Series.fillna, pd.Series.sum, pd.Series.cumsum, pd.Series.groupby))

    def withheld(self) -> int:
        """How many numbers are missing."""
        return int(pd.Series.sum(self.isna())) if pd.api.types.is_numeric_dtype(self.dtype) else 0

    @property
    def _constructor(self) -> type[Column]:
        return Column

    @property
    def _constructor_expanddim(self) -> type[Frame]:
        return Frame


class Frame(pd.DataFrame):
    """A table of a release, or rows and columns of it; a withheld number in it stays missing."""

    fillna, sum, cumsum = map(_guarded, (pd.DataFrame.fillna, pd.DataFrame.sum, pd.DataFrame.cumsum))
    groupby, pivot_table = map(_guarded, (pd.DataFrame.groupby, pd.DataFrame.pivot_table))

    def withheld(self) -> int:
        """How many rows are withheld, by their status; without a status, how many lack a number."""
        if "status" in self.columns:
            return int(pd.Series.sum(~self["status"].isin(WITH_NUMBERS)))
        return int(pd.Series.sum(pd.DataFrame(self).select_dtypes("number").isna().any(axis=1)))

    @property
    def _constructor(self) -> type[Frame]:
        return Frame

    @property
    def _constructor_sliced(self) -> type[Column]:
        return Column
