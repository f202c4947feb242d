//! A release as a table in Markdown (GitHub's) or LaTeX (booktabs), to be put into a text of somebody else.

use super::page::{NO_ROW, Page};
use crate::disclosure::Release;

/// A heading, the table, and what a reader must know.
pub fn markdown(release: &Release) -> String {
    let page = Page::of(release);
    let line = |cells: &[String]| {
        let cells: Vec<_> = cells.iter().map(|cell| in_markdown(cell)).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let mut text = format!("**{}**\n\n### {}\n\n", in_markdown(&page.marking), in_markdown(&page.title));
    text += &page.about.iter().map(|about| in_markdown(about) + "\n").collect::<String>();
    text += &format!("\n{}", line(&page.header));
    let rules = (0..page.header.len()).map(|at| if at < page.labels { " --- |" } else { " ---: |" });
    text += &format!("|{}\n", rules.collect::<String>());
    text += &page.rows.iter().map(|row| line(row)).collect::<String>();
    if page.rows.is_empty() {
        text += &format!("\n{NO_ROW}\n");
    }
    text += "\n";
    for note in page.legend.iter().chain(&page.notes).chain(&page.caveats) {
        text += &format!("- {}\n", in_markdown(note));
    }
    text + "\n" + &in_markdown(&page.provenance) + "\n"
}

/// A text of which nothing is taken for a mark. `CommonMark` takes a backslash before any of these.
fn in_markdown(text: &str) -> String {
    escaped(text, |c| "\\`*_{}[]<>#|~$&".contains(c).then(|| format!("\\{c}")))
}

/// A `longtable`, so that one of 254 counties goes on over the page, and what a reader must know below it.
pub fn latex(release: &Release) -> String {
    let page = Page::of(release);
    let line = |cells: &[String]| {
        let cells: Vec<_> = cells.iter().map(|cell| in_latex(cell)).collect();
        format!("  {} \\\\\n", cells.join(" & "))
    };
    let columns = "l".repeat(page.labels) + &"r".repeat(page.header.len() - page.labels);
    let mut text = format!("% Needs \\usepackage{{booktabs, longtable}}.\n\\begin{{longtable}}{{{columns}}}\n");
    text += &format!("  \\caption{{{}. {}}} \\\\\n", in_latex(&page.title), in_latex(&page.about.join(" ")));
    text += &format!("  \\toprule\n{}  \\midrule\n  \\endhead\n  \\bottomrule\n  \\endfoot\n", line(&page.header));
    text += &page.rows.iter().map(|row| line(row)).collect::<String>();
    text += "\\end{longtable}\n\\begingroup\\footnotesize\n";
    text += &format!("\\noindent\\textbf{{{}}}\n", in_latex(&page.marking));
    for note in page.legend.iter().chain(&page.notes).chain(&page.caveats).chain([&page.provenance]) {
        text += &format!("\\par\\noindent {}\n", in_latex(note));
    }
    text + "\\par\\endgroup\n"
}

/// A text of which nothing is taken for a command, with the signs that pdfLaTeX has under other names.
fn in_latex(text: &str) -> String {
    escaped(text, |c| {
        let name = match c {
            '\\' => "\\textbackslash{}",
            '~' => "\\textasciitilde{}",
            '^' => "\\textasciicircum{}",
            '<' => "\\textless{}",
            '>' => "\\textgreater{}",
            '|' => "\\textbar{}",
            '"' => "\\textquotedbl{}",
            '·' => "\\textperiodcentered{}",
            '…' => "\\ldots{}",
            '≤' => "$\\leq$",
            '≥' => "$\\geq$",
            // A cell that begins with a bracket would be taken for the argument of the line end before it.
            '[' => "{[}",
            ']' => "{]}",
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => return Some(format!("\\{c}")),
            _ => return None,
        };
        Some(name.to_owned())
    })
}

/// A text on one line, with each sign that has another name under that name.
fn escaped(text: &str, name: impl Fn(char) -> Option<String>) -> String {
    let one_line = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(one_line).fold(String::new(), |text, c| match name(c) {
        Some(name) => text + &name,
        None => text + c.encode_utf8(&mut [0; 4]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_sign_of_a_label_is_taken_for_a_mark() {
        for (text, markdown, latex) in [
            ("St. Mary's", "St. Mary's", "St. Mary's"),
            ("A|B", "A\\|B", "A\\textbar{}B"),
            ("a_b*c", "a\\_b\\*c", "a\\_b*c"),
            ("50 %", "50 %", "50 \\%"),
            ("R&D #1", "R\\&D \\#1", "R\\&D \\#1"),
            ("\\input{x}", "\\\\input\\{x\\}", "\\textbackslash{}input\\{x\\}"),
            ("<b>", "\\<b\\>", "\\textless{}b\\textgreater{}"),
            ("[1pt]", "\\[1pt\\]", "{[}1pt{]}"),
            ("~ 1^2", "\\~ 1^2", "\\textasciitilde{} 1\\textasciicircum{}2"),
            ("$x$", "\\$x\\$", "\\$x\\$"),
            ("· a\nb", "· a b", "\\textperiodcentered{} a b"),
        ] {
            assert_eq!((in_markdown(text).as_str(), in_latex(text).as_str()), (markdown, latex), "{text}");
        }
    }
}
