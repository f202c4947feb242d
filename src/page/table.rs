//! The table behind a figure.

use super::html::escaped;
use crate::error::Result;
use crate::figure::release::{NumberNote, Release, Status, Unit};
use crate::figure::withheld_words;
use crate::words::{grouped, percent};

/// A table with more rows is not printed: it would be many pages, and its file has it.
const PRINTED: usize = 60;

/// A table of all rows that unfolds under its figure. `file` names what has the same.
pub fn unfolding(id: &str, release: &Release, caption: &str, file: Option<&str>) -> Result<String> {
    let is_long = release.table.len() > PRINTED;
    let class = if is_long { "numbers long" } else { "numbers" };
    let instead = match file.filter(|_| is_long) {
        Some(file) => format!("<p class=\"on-paper\">The table is in {}.</p>\n", escaped(file)),
        None => String::new(),
    };
    Ok(format!(
        "{instead}<details class=\"{class}\"><summary>The numbers<span class=\"unseen\">: {caption}</span></summary>\n\
         <div class=\"wide\" role=\"group\" tabindex=\"0\" aria-label=\"Table: {caption}\">\n{}</div></details>\n",
        of(id, release, caption)?,
        caption = escaped(caption),
    ))
}

/// The rows of a release: labels, numbers, status. A withheld row says so across all numbers.
fn of(id: &str, release: &Release, caption: &str) -> Result<String> {
    let description = &release.description;
    let title = |label: &String| {
        let dimension = description.dimensions.iter().find(|dimension| dimension.id == *label);
        let title = dimension.map_or(label.as_str(), |dimension| dimension.title.as_str());
        title.split(" (").next().unwrap_or(title).replace('_', " ")
    };
    let mut text = format!("<table id=\"{id}\">\n<caption>{}</caption>\n<thead><tr>", escaped(caption));
    for label in &description.labels {
        text += &format!("<th scope=\"col\">{}", escaped(&capital(&title(label))));
    }
    for column in &description.numbers {
        text += &format!("<th scope=\"col\" class=\"n\">{}", escaped(heading(column)));
    }
    text += "<th scope=\"col\">Status</thead>\n<tbody>\n";
    for row in 0..release.table.len() {
        text += "<tr>";
        for (at, label) in description.labels.iter().enumerate() {
            let cell = escaped(&release.label(row, label));
            text += &if at == 0 { format!("<th scope=\"row\">{cell}") } else { format!("<td>{cell}") };
        }
        let status = release.value(row)?.status;
        let numbers = description.numbers.iter().map(|column| number(release, row, column));
        let numbers = numbers.collect::<Result<Vec<_>>>()?;
        if numbers.iter().all(Option::is_none) && matches!(status, Status::Suppressed | Status::NotApplicable) {
            let class = if status == Status::Suppressed { "striped" } else { "nobody" };
            let words = withheld_words(status);
            text += &format!("<td class=\"{class}\" colspan=\"{}\"><span>{words}</span>", numbers.len());
        } else {
            text.extend(numbers.into_iter().map(|number| format!("<td class=\"n\">{}", number.unwrap_or_default())));
        }
        text += &format!("<td>{}\n", status.word().replace('_', " "));
    }
    Ok(text + "</tbody></table>\n")
}

/// A number as people read it.
fn number(release: &Release, row: usize, column: &NumberNote) -> Result<Option<String>> {
    Ok(if column.unit == Unit::Share {
        release.number::<f64>(row, &column.name)?.map(percent)
    } else {
        release.number::<u64>(row, &column.name)?.map(grouped)
    })
}

/// The title of a column where it stands alone.
fn heading(column: &NumberNote) -> &str {
    match column.name.as_str() {
        "ci_low" => "Interval from",
        "ci_high" => "Interval to",
        _ => &column.title,
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
