//! The rows of one bucket in the order client, day, line.

use arrow::array::{Array, AsArray, RecordBatch, UInt32Array};
use arrow::datatypes::{Date32Type, Int64Type, UInt64Type};

use crate::check::{CLIENT_KEY, LINE};
use crate::dictionary::names;
use crate::error::{Error, Result};

/// Sorts a bucket by client key, vaccination date and physical line.
pub fn sort(rows: &RecordBatch) -> Result<RecordBatch> {
    let missing = || Error::internal("a bucket lacks a column");
    let keys = rows
        .column_by_name(CLIENT_KEY)
        .and_then(|column| column.as_primitive_opt::<Int64Type>())
        .ok_or_else(missing)?;
    let lines =
        rows.column_by_name(LINE).and_then(|column| column.as_primitive_opt::<UInt64Type>()).ok_or_else(missing)?;
    let days = rows
        .column_by_name(names::VACCINATION_DATE)
        .and_then(|column| column.as_primitive_opt::<Date32Type>())
        .filter(|days| days.null_count() == 0)
        .ok_or_else(missing)?;
    let count = u32::try_from(rows.num_rows()).map_err(|_| Error::internal("a bucket has too many rows"))?;
    let mut order: Vec<u32> = (0..count).collect();
    let (keys, days, lines) = (keys.values(), days.values(), lines.values());
    order.sort_unstable_by_key(|row| {
        let row = *row as usize;
        (keys[row], days[row], lines[row])
    });
    arrow::compute::take_record_batch(rows, &UInt32Array::from(order))
        .map_err(|_| Error::internal("a bucket cannot be sorted"))
}
