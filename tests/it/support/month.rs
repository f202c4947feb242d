//! A tiny table → a CSV file in the form of a delivery, so that a case states only the columns that matter.
//!
//! Columns of the table are columns of the file; the others get a value that no rule objects to. A column that is not
//! among the 26 is added at the end. Three columns have a meaning of their own:
//!
//! - `times`: so many rows like this, each of another client;
//! - `clients`: `20 a` is one row for each of twenty clients, and `20 a` again is a second row for each of the same;
//! - `finds`: the rules that the row breaks; not written.
//!
//! `\#` in a cell is the number of the row, so that each of `times` rows has a value of its own.
//!
//! In a cell, `\n`, `\"`, `\\` and `\xE9` stand for bytes; `raw:` keeps the rest of the cell from being quoted; `absent`
//! leaves the field and its comma out.

use super::Table;

/// The columns of the file, and what is in them unless a table says otherwise. Nothing here is real.
const DEFAULTS: [(&str, &str); 26] = [
    ("CLIENT ID", ""),
    ("FIRST NAME", "QUIXOTE"),
    ("LAST NAME", "XAVIERSON"),
    ("MIDDLE NAME", "ZEBULON"),
    ("BIRTH DATE", "2021-06-15"),
    ("SEX CODE", "F"),
    ("RACE AND ETHNICITY", "Hispanic"),
    ("STATE CODE", "TX"),
    ("CLIENT COUNTY", "Travis"),
    ("ZIP CODE", "78701"),
    ("IMMUNIZATION ID", ""),
    ("IMMUNFACT ID", ""),
    ("VACCINE ID", "4100"),
    ("VACCINATION DATE", "2022-07-01"),
    ("CVX CODE", "03"),
    ("VACCINE GROUP", ""),
    ("ORDINAL POSITION", "1"),
    ("AGE IN MONTHS", ""),
    ("GIVEN BY ORG ID", "1009000001"),
    ("PROVIDER NAME", "Sunrise Clinic"),
    ("SHORT NAME", "SUNRISE"),
    ("RESPONSIBLE ENTITY", "Blackland Immunization Office"),
    ("PROVIDER STREET ADDRESS", "77 Zzyzx Road"),
    ("PROVIDER CITY", "AUSTIN"),
    ("PROVIDER STATE", "TX"),
    ("PROVIDER ZIP CODE", "78701"),
];

/// The names of the 26 columns.
pub const HEADER: [&str; 26] = {
    let mut names = [""; 26];
    let mut at = 0;
    while at < names.len() {
        names[at] = DEFAULTS[at].0;
        at += 1;
    }
    names
};

/// What else a case may want of the file.
#[derive(Clone, Copy, Debug)]
pub struct Shape<'a> {
    /// Columns that are left out.
    pub without: &'a [String],
    /// Whether there is a header.
    pub header: bool,
}

impl Default for Shape<'_> {
    fn default() -> Self {
        Self { without: &[], header: true }
    }
}

/// A small file and where its rows begin.
#[derive(Clone, Debug)]
pub struct Month {
    bytes: Vec<u8>,
    /// For each row of the file, its first physical line and the rules that it breaks.
    pub rows: Vec<(u64, Vec<String>)>,
}

impl Month {
    /// A month from a table as people write it.
    #[track_caller]
    pub fn of(table: &str) -> Self {
        Self::shaped(&Table::parse(table), Shape::default())
    }

    #[track_caller]
    pub fn shaped(table: &Table, shape: Shape) -> Self {
        let own = |name: &str| matches!(name, "times" | "clients" | "finds");
        let added = table.columns.iter().map(String::as_str).filter(|name| !own(name) && !HEADER.contains(name));
        let columns: Vec<&str> = HEADER.into_iter().chain(added).collect();
        let columns: Vec<&str> = columns.into_iter().filter(|name| !shape.without.iter().any(|n| n == name)).collect();
        let mut month = Self { bytes: Vec::new(), rows: Vec::new() };
        if shape.header {
            month.bytes.extend(columns.join(",").bytes());
            month.bytes.push(b'\n');
        }
        let (mut line, mut serial) = (1 + u64::from(shape.header), 0);
        for row in &table.rows {
            let stated = |name: &str| table.columns.iter().position(|column| column == name).map(|at| row[at].as_str());
            let clients = stated("clients").map(|cell| cell.split_once(' ').expect("write clients as `20 a`"));
            let times = clients.map(|(times, _)| times).or(stated("times")).unwrap_or("1");
            for number in 1..=times.parse::<u32>().expect("a number of rows") {
                serial += 1;
                let client = clients.map_or(format!("client-{serial}"), |(_, kind)| format!("client-{kind}-{number}"));
                let fields: Vec<Vec<u8>> = columns
                    .iter()
                    .filter_map(|name| {
                        let cell = stated(name).map_or_else(|| default(name, &stated, &client, serial), str::to_owned);
                        field(&cell.replace(r"\#", &serial.to_string()))
                    })
                    .collect();
                let record = [fields.join(&b','), vec![b'\n']].concat();
                let finds = stated("finds").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
                month.rows.push((line, finds));
                line += memchr::memchr_iter(b'\n', &record).count() as u64;
                month.bytes.extend(record);
            }
        }
        month
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn default<'a>(name: &str, stated: &impl Fn(&str) -> Option<&'a str>, client: &str, serial: u32) -> String {
    match name {
        "CLIENT ID" => client.to_owned(),
        "IMMUNIZATION ID" => format!("82{serial:010}"),
        "IMMUNFACT ID" => format!("93{serial:010}"),
        "VACCINE GROUP" => group_of(stated("CVX CODE").unwrap_or("03")).to_owned(),
        // One organization for each name, and one name for each organization.
        "GIVEN BY ORG ID" if stated("PROVIDER NAME").is_some() => {
            let name = stated("PROVIDER NAME").unwrap_or_default();
            format!("10{:08}", name.bytes().fold(7, |sum, byte| (sum * 31 + u64::from(byte)) % 100_000_000))
        }
        "PROVIDER NAME" if stated("GIVEN BY ORG ID").is_some() => {
            format!("Clinic {}", stated("GIVEN BY ORG ID").unwrap_or_default())
        }
        _ => DEFAULTS.iter().find(|(column, _)| *column == name).map_or("", |(_, value)| value).to_owned(),
    }
}

/// One group of a vaccine, so that no row contradicts itself.
fn group_of(cvx: &str) -> &'static str {
    match cvx {
        "08" => "HepB",
        "10" | "120" => "POLIO",
        "20" | "146" => "DTAP",
        "21" => "VARICELLA",
        "48" | "49" => "HIB",
        "133" | "215" => "PneumoPCV",
        "207" | "208" | "309" | "500" => "COVID-19",
        _ => "MMR",
    }
}

/// The bytes of a field, quoted where it needs it; `None` for one that is left out.
fn field(cell: &str) -> Option<Vec<u8>> {
    if cell == "absent" {
        return None;
    }
    if let Some(raw) = cell.strip_prefix("raw:") {
        return Some(unescaped(raw));
    }
    let text = unescaped(cell);
    if !text.iter().any(|byte| b",\"\r\n".contains(byte)) {
        return Some(text);
    }
    let mut quoted = vec![b'"'];
    for byte in text {
        quoted.extend(if byte == b'"' { vec![byte, byte] } else { vec![byte] });
    }
    quoted.push(b'"');
    Some(quoted)
}

fn unescaped(cell: &str) -> Vec<u8> {
    let mut text = Vec::new();
    let mut rest = cell.bytes();
    while let Some(byte) = rest.next() {
        match (byte == b'\\').then(|| rest.next()).flatten() {
            None => text.push(byte),
            Some(b'n') => text.push(b'\n'),
            Some(b'x') => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                text.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
            }
            Some(other) => text.push(other),
        }
    }
    text
}
