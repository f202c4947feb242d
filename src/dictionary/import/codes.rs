//! Codes of a table → a codelist, in which a code that we know under another spelling keeps its meaning.

use std::collections::{HashMap, HashSet};

use super::super::Codelist;
use crate::error::{Error, Result};

/// One line of a codelist that is being made.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Made {
    code: String,
    label: String,
    aliases: Vec<String>,
    /// Its position in the list that is known.
    known: Option<u16>,
}

/// A codelist, and what is to be told of it.
#[derive(Debug, Default)]
pub(super) struct Merged {
    /// The text of the file; none when it would say the same as the list that is known.
    pub text: Option<String>,
    /// Codes that the known list has and the table has not.
    pub gone: usize,
    /// Codes that the known list has not.
    pub new: usize,
}

fn same(one: &str, two: &str) -> bool {
    one.trim().eq_ignore_ascii_case(two.trim())
}

/// The table's codes with what is known of them. A code whose label is known keeps our code and has theirs as an alias, so
/// that rules and tables go on to mean the same; a known code with an unknown label takes the label of the table.
pub(super) fn merge(codes: &[(String, String)], known: Option<&Codelist>) -> Result<Merged> {
    let mut made: Vec<Made> = Vec::new();
    for (code, label) in codes {
        let by_code = known.and_then(|list| list.find(code.as_bytes(), false));
        let by_label = known.and_then(|list| list.find(label.as_bytes(), true)).filter(|_| !same(code, label));
        let ours = match (by_code, by_label) {
            // The code of one and the label of another: neither can be trusted to be meant.
            (Some(one), Some(other)) if one != other => None,
            (Some(one), _) | (None, Some(one)) => Some(one),
            (None, None) => None,
        };
        let ours = ours.zip(known).map(|(at, list)| (at, &list.codes()[usize::from(at)]));
        let Some((at, ours)) = ours else {
            if let Some(before) = made.iter().find(|before| same(&before.code, code)) {
                if before.label != *label {
                    return Err(Error::usage("gives one code two meanings"));
                }
                continue;
            }
            made.push(Made { code: code.clone(), label: label.clone(), aliases: Vec::new(), known: None });
            continue;
        };
        let is_spelled = std::iter::once(&ours.code).chain(&ours.aliases).any(|spelling| same(spelling, code));
        let theirs = (!is_spelled).then(|| code.clone());
        match made.iter_mut().find(|made| made.known == Some(at)) {
            Some(before) => before.aliases.extend(theirs),
            None => made.push(Made {
                code: ours.code.clone(),
                // The label that we have, unless the table says something else of this code.
                label: if same(code, label) || by_label.is_some() { ours.label.clone() } else { label.clone() },
                aliases: ours.aliases.iter().cloned().chain(theirs).collect(),
                known: Some(at),
            }),
        }
    }
    // A spelling of ours that the table uses for another code is the table's.
    let claimed: HashSet<String> =
        made.iter().filter(|made| made.known.is_none()).map(|made| made.code.to_ascii_uppercase()).collect();
    for made in &mut made {
        made.aliases.retain(|alias| !claimed.contains(&alias.to_ascii_uppercase()));
    }
    // A label stands for one code: of those that would stand for several, each says which.
    let key = |text: &str| text.trim().to_ascii_uppercase();
    let mut meanings: HashMap<String, HashSet<usize>> = HashMap::new();
    for (at, made) in made.iter().enumerate() {
        for text in [&made.code, &made.label].into_iter().chain(&made.aliases) {
            meanings.entry(key(text)).or_default().insert(at);
        }
    }
    for made in made.iter_mut().filter(|made| meanings[&key(&made.label)].len() > 1) {
        made.label = format!("{} ({})", made.label.trim(), made.code);
    }
    let new = made.iter().filter(|made| made.known.is_none()).count();
    let gone = known.map_or(0, |list| list.codes().len() + new - made.len());
    let unchanged = known.is_some_and(|list| {
        gone == 0
            && new == 0
            && made.iter().all(|made| {
                let ours = &list.codes()[usize::from(made.known.unwrap_or_default())];
                ours.label == made.label && ours.aliases == made.aliases
            })
    });
    let text = if unchanged { None } else { Some(write(&made, known)?) };
    Ok(Merged { text, gone, new })
}

fn write(made: &[Made], known: Option<&Codelist>) -> Result<String> {
    let broken = |_| Error::internal("a codelist cannot be written");
    let further = known.map(Codelist::columns).unwrap_or_default();
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = ["code", "label", "aliases"].into_iter().chain(further.iter().map(String::as_str));
    writer.write_record(header).map_err(broken)?;
    for made in made {
        let aliases = made.aliases.join("|");
        let value = |column: &String| match (made.known, known) {
            (Some(at), Some(list)) => list.value(at, column).to_owned(),
            _ => String::new(),
        };
        let record = [made.code.clone(), made.label.clone(), aliases].into_iter().chain(further.iter().map(value));
        writer.write_record(record).map_err(broken)?;
    }
    let bytes = writer.into_inner().map_err(|_| Error::internal("a codelist cannot be written"))?;
    String::from_utf8(bytes).map_err(|_| Error::internal("a codelist is no text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEX: &str = "code,label,aliases,order\nF,Female,FEM,1\nM,Male,1,2\nU,Unknown,,3\n";

    fn merged(codes: &str) -> (String, usize, usize) {
        let known = Codelist::parse("sex", SEX).unwrap();
        let codes: Vec<_> = codes.split(", ").map(|pair| pair.split_once('=').unwrap()).collect();
        let codes: Vec<_> = codes.iter().map(|(code, label)| ((*code).to_owned(), (*label).to_owned())).collect();
        let merged = merge(&codes, Some(&known)).unwrap();
        (merged.text.unwrap_or_default(), merged.gone, merged.new)
    }

    #[test]
    fn what_is_known_keeps_its_code() {
        for (codes, text, gone, new) in [
            ("F=Female, M=Male, U=Unknown", "", 0, 0),
            ("F=F, M=M, U=U", "", 0, 0),
            ("F=Female, M=Male", "F,Female,FEM,1\nM,Male,1,2\n", 1, 0),
            ("2=Female, 3=Male, 9=Unknown", "F,Female,FEM|2,1\nM,Male,1|3,2\nU,Unknown,9,3\n", 0, 0),
            ("F=Female, M=Male, 1=male, 2=Female, U=Unknown", "F,Female,FEM|2,1\nM,Male,1,2\nU,Unknown,,3\n", 0, 0),
            ("F=Female, M=Male, X=Other, U=Unknown", "F,Female,FEM,1\nM,Male,1,2\nX,Other,,\nU,Unknown,,3\n", 0, 1),
            ("F=Female, M=Male, U=Not said", "F,Female,FEM,1\nM,Male,1,2\nU,Not said,,3\n", 0, 0),
            // Their 1 is our F, and our M was spelled 1.
            ("1=Female, 2=Male, U=Unknown", "1,Female,,\nM,Male,2,2\nU,Unknown,,3\n", 1, 1),
            // A label stands for one code.
            ("F=Female, M=Male, X=Other, Y=other", "F,Female,FEM,1\nM,Male,1,2\nX,Other (X),,\nY,other (Y),,\n", 1, 2),
            ("F=Female, M=Male, X=Y, Y=Z", "F,Female,FEM,1\nM,Male,1,2\nX,Y (X),,\nY,Z,,\n", 1, 2),
        ] {
            let text = if text.is_empty() { String::new() } else { format!("code,label,aliases,order\n{text}") };
            assert_eq!(merged(codes), (text, gone, new), "{codes}");
        }
    }

    #[test]
    fn one_code_has_one_meaning() {
        let codes = [("A", "one"), ("a", "two")].map(|(code, label)| (code.to_owned(), label.to_owned()));
        assert!(merge(&codes, None).is_err());
    }
}
