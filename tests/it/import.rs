//! `phds dictionary import`: tables as departments get them, and the dictionary files that come of them.

use std::io::Write;
use std::process::{Command, Stdio};

use rust_xlsxwriter::{Format, Formula, Workbook, Worksheet};
use serde_json::Value;

use crate::support::{HEADER, Month, Outcome, PERIOD, TestContext};

/// A table of the 26 headers and nothing else but a type, with some lines in place of theirs.
fn table(lines: &[(&str, &str)]) -> String {
    let line = |header: &&str| {
        let other = lines.iter().find(|(place, _)| place == header);
        other.map_or_else(|| format!("{header},,,,,\n"), |(_, line)| format!("{line}\n"))
    };
    let more = lines.iter().filter(|(place, _)| place.is_empty()).map(|(_, line)| format!("{line}\n"));
    let columns = HEADER.iter().map(line).chain(more).collect::<String>();
    format!("Column Name,Data Type,Length,Required,Valid Values,Description\n{columns}")
}

fn import(context: &TestContext, file: &str, more: &[&str]) -> Outcome {
    context.run(&[&["dictionary", "import", file, "--out", "ours"], more].concat())
}

/// The keys of the overlay, without its comments and its edition.
fn overlay(context: &TestContext) -> String {
    let text = String::from_utf8(context.read("ours/dictionary.toml")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.starts_with("source = "));
    lines.filter(|line| !line.starts_with("version = ")).collect::<Vec<_>>().join("\n").trim().to_owned()
}

fn settings(context: &TestContext) {
    context.put("phds.toml", "[dictionary]\nfile = 'ours/dictionary.toml'\n[check]\nmax_rejected_share = 1.0\n");
}

#[test]
fn a_line_of_the_table_becomes_what_differs() {
    for (place, line, written) in [
        ("BIRTH DATE", "BIRTH_DATE,DATE,,Y,,", "[[field]]\nname = \"birth_date\"\nheader = \"BIRTH_DATE\""),
        ("BIRTH DATE", "BIRTH DATE,DATE (MM/DD/YYYY),,,,", "[[field]]\nname = \"birth_date\"\nformats = [\"us\"]"),
        ("BIRTH DATE", "BIRTH DATE,DATE(7),,,,", ""),
        ("PROVIDER CITY", "PROVIDER CITY,VARCHAR2(30),,,,", "[[field]]\nname = \"provider_city\"\nmax_length = 30"),
        ("PROVIDER CITY", "PROVIDER CITY,VARCHAR2,40,,,", "[[field]]\nname = \"provider_city\"\nmax_length = 40"),
        // A name is not read, so it has no length.
        ("FIRST NAME", "FIRST NAME,VARCHAR2(30),,,,", ""),
        ("ZIP CODE", "ZIP CODE,CHAR,,Y,,", "[[field]]\nname = \"zip\"\npresence = \"required\""),
        // What the program needs stays required, and what is counted when it is missing is counted still.
        ("CLIENT ID", "CLIENT ID,NUMBER(10),,N,,", ""),
        ("ZIP CODE", "ZIP CODE,CHAR,,N,,", ""),
        ("SEX CODE", "SEX CODE,CHAR(1),,,F=Female;M=Male;O=Other;U=Unknown,", ""),
        ("SEX CODE", "SEX CODE,CHAR(1),,,See the manual,", ""),
        ("CVX CODE", "CVX CODE,CHAR(3),,,03=MMR;08=Hep B,", ""),
        (
            "SHORT NAME",
            "SHORT NAME,,,,,\"What the clinic\n is called\"",
            "[[field]]\nname = \"short_name\"\ndescription = \"What the clinic is called\"",
        ),
    ] {
        let context = TestContext::new();
        context.put("state.csv", table(&[(place, line)]));
        import(&context, "state.csv", &[]).done();
        assert_eq!(overlay(&context), written, "{line}");
    }
}

#[test]
fn codes_become_a_codelist_in_which_ours_keep_their_meaning() {
    let context = TestContext::new();
    let county = "CLIENT COUNTY,NUMBER(3),,,\"227 = Travis\n105 = Hays\",";
    context.put(
        "state.csv",
        table(&[
            ("SEX CODE", "SEX CODE,CHAR(1),,,\"M - Male, F - Female, N - Not said\","),
            ("CLIENT COUNTY", county),
            ("STATE CODE", "STATE CODE,CHAR(2),,,TX=Texas;OK=Oklahoma,"),
        ]),
    );
    import(&context, "state.csv", &[]).done();
    assert_eq!(
        overlay(&context),
        "[codelists]\nsex = \"codelists/sex.csv\"\nstate_codes = \"codelists/state_codes.csv\"\ncounty = \
         \"codelists/county.csv\"\n\n[[field]]\nname = \"state\"\ncodelist = \"state_codes\""
    );
    let text = |name: &str| String::from_utf8(context.read(&format!("ours/codelists/{name}.csv"))).unwrap();
    assert_eq!(text("sex"), "code,label,aliases\nM,Male,MALE\nF,Female,FEMALE\nN,Not said,\n");
    // The region of a county comes from ours.
    let county = text("county");
    let lines: Vec<_> = county.lines().map(|line| line.splitn(4, ',').take(3).collect::<Vec<_>>().join(",")).collect();
    assert_eq!(lines, ["code,label,aliases", "48453,Travis,Travis County|227", "48209,Hays,Hays County|105"]);
    assert!(county.contains("Travis County|227,7,"), "{county}");
    settings(&context);
    let month = Month::of("CLIENT ID | SEX CODE | CLIENT COUNTY\n1 | N | 227\n2 | F | 105\n3 | O | 105\n");
    context.put("month.csv", month.bytes());
    context.phds(&format!("check month.csv --period {PERIOD} --report out")).done();
    let report = context.json("out/report.json");
    let of =
        |code: &str| report["rules"].as_array().unwrap().iter().find(|rule| rule["code"] == code).cloned().unwrap();
    let columns = of("PHDS-F06")["by_column"].as_array().unwrap().clone();
    let columns = columns.iter().filter(|one| one["failed"] != 0);
    let columns: Vec<_> = columns.map(|one| format!("{} {}", one["column"], one["first_lines"])).collect();
    assert_eq!(columns, ["\"SEX CODE\" [4]"]);
}

#[test]
fn a_new_column_is_an_identifier_unless_it_cannot_be_one() {
    for (line, kind, role) in [
        ("SCHOOL,VARCHAR2(30),,,,", "text", "identifier"),
        ("SCHOOL,,,,,", "text", "identifier"),
        ("MOTHER FIRST NAME,VARCHAR2(30),,,,", "text", "identifier"),
        ("SSN,NUMBER(9),,,,", "text", "identifier"),
        ("DOSES,NUMBER(2),,,,", "integer", "attribute"),
        ("CONSENT DATE,DATE,,,,", "date", "date"),
        ("CONSENT DATE,DATE (DD-MON-YY),,,,", "text", "identifier"),
        ("CONSENT TYPE,CHAR(2),,,IA;IC;DC;PA,", "code", "attribute"),
        ("DISASTER CONSENT,Y/N,,,,", "code", "attribute"),
    ] {
        let context = TestContext::new();
        context.put("state.csv", table(&[("", line)]));
        import(&context, "state.csv", &["--field", &format!("{}=new", line.split(',').next().unwrap())]).done();
        let written: toml::Table = toml::from_str(&overlay(&context)).unwrap();
        let [field] = written["field"].as_array().unwrap().as_slice() else { panic!("{line}") };
        assert_eq!((field["type"].as_str(), field["role"].as_str()), (Some(kind), Some(role)), "{line}");
        assert_eq!((field.get("table"), field["assumed"].as_bool()), (None, Some(true)), "{line}");
    }
}

#[test]
fn what_is_not_certain_is_asked_and_the_flag_is_named() {
    let births = table(&[("BIRTH DATE", "PATIENT BIRTH DATE,DATE,,,,")]);
    let no_zip = table(&[("ZIP CODE", "POSTCODE,CHAR(5),,,,")]);
    let twice = "Field,Column,Type\nCLIENT ID,a,text\n".to_owned();
    for (text, hint) in [
        (&births, "--field 'PATIENT BIRTH DATE=birth_date', or --field 'PATIENT BIRTH DATE=new' when it is another"),
        (&no_zip, "--field 'THEIR HEADER=zip' for our ZIP CODE, without which nothing can be loaded"),
        (&twice, "--map 'header=1' (Field), or --map 'header=2' (Column), or --map 'header=' for none"),
    ] {
        let context = TestContext::new();
        context.put("state.csv", text);
        let outcome = import(&context, "state.csv", &[]).ended(2);
        assert!(outcome.stderr.contains(hint), "{}", outcome.stderr);
        assert_eq!(context.tree(), ["state.csv"]);
    }
    for (text, flag, name, header) in [
        (&births, "PATIENT BIRTH DATE=birth_date", "birth_date", "PATIENT BIRTH DATE"),
        (&no_zip, "POSTCODE=zip", "zip", "POSTCODE"),
    ] {
        let context = TestContext::new();
        context.put("state.csv", text);
        import(&context, "state.csv", &["--field", flag]).done();
        let written: toml::Table = toml::from_str(&overlay(&context)).unwrap();
        let field = &written["field"][0];
        assert_eq!((field["name"].as_str(), field["header"].as_str()), (Some(name), Some(header)));
    }
}

#[cfg(unix)]
#[test]
fn on_a_terminal_the_questions_are_asked() {
    let context = TestContext::new();
    let text = table(&[
        ("BIRTH DATE", "PATIENT BIRTH DATE,DATE,,,,"),
        ("ZIP CODE", "POSTCODE,CHAR(5),,,,"),
        ("SHORT NAME", "SHRT NAME,CHAR(5),,,,"),
    ]);
    context.put("state.csv", text.replacen("Description", "Definition,Meaning", 1));
    let command = format!("{} dictionary import state.csv --out ours", env!("CARGO_BIN_EXE_phds"));
    let mut asked = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .current_dir(context.path(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Which is the description; is it the birth date; is it the short name; which is the ZIP code.
    asked.stdin.take().unwrap().write_all(b"6\ny\nno\nPOSTCODE\n").unwrap();
    let outcome = asked.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&outcome.stdout).into_owned();
    assert!(outcome.status.success(), "{told}");
    let flags =
        "--map 'description=6' --field 'PATIENT BIRTH DATE=birth_date' --field 'SHRT NAME=new' --field 'POSTCODE=zip'";
    assert!(told.contains(flags), "{told}");
    let written = overlay(&context);
    // The flags give the same without a terminal.
    std::fs::rename(context.path("ours"), context.path("asked")).unwrap();
    let flags = ["--map", "description=6", "--field", "PATIENT BIRTH DATE=birth_date", "--field", "SHRT NAME=new"];
    import(&context, "state.csv", &[&flags[..], &["--field", "POSTCODE=zip"]].concat()).done();
    assert_eq!(overlay(&context), written);
}

/// A dictionary as JSON without what names the edition.
fn dictionary(context: &TestContext) -> Value {
    let mut value: Value = serde_json::from_slice(&context.phds("dictionary --json").done().stdout).unwrap();
    for key in ["version", "source", "fingerprint"] {
        value.as_object_mut().unwrap().remove(key);
    }
    value
}

#[test]
#[cfg_attr(windows, ignore = "paths stand in other quotes")]
fn the_built_in_dictionary_comes_back_as_it_went() {
    let context = TestContext::new();
    let before = dictionary(&context);
    context.put("built-in.csv", context.phds("dictionary --format csv").done().stdout);
    let told = import(&context, "built-in.csv", &["--version", "1", "--source", "us"]).done();
    assert_eq!(overlay(&context), "");
    settings(&context);
    assert_eq!(dictionary(&context), before);
    insta::assert_snapshot!(context.filtered(&told.stderr), @r##"
    Read from built-in.csv.
    Columns of the table: header = header, aliases = aliases, title = title, description = description, type = type, format = format, length = length, required = required, codes = codes, identifier = identifier.

    `ours/dictionary.toml` is written: phds 1, fingerprint [HASH]. Read it, then name it in phds.toml:

    [dictionary]
    file = "ours/dictionary.toml"

    and see what is in force with `phds dictionary`, and how a month fits with `phds check FILE --period YYYY-MM`.
    "##);
    insta::assert_snapshot!(String::from_utf8(context.read("ours/dictionary.toml")).unwrap(), @r##"
    # A department's own dictionary file, made by `phds dictionary import`. It says only what differs from the built-in
    # edition, phds 2024.5. It decides what is stored and shown: two people should read it before it is used.
    #
    # Read from built-in.csv.
    # Columns of the table: header = header, aliases = aliases, title = title, description = description, type = type, format = format, length = length, required = required, codes = codes, identifier = identifier.

    version = "1"
    source = "us"
    "##);
}

#[test]
fn a_month_is_checked_by_the_dictionary_that_came() {
    let context = TestContext::new();
    context.put(
        "state.csv",
        table(&[
            ("VACCINATION DATE", "DATE GIVEN,DATE (MM/DD/YYYY),,Y,,"),
            ("PROVIDER CITY", "PROVIDER CITY,VARCHAR2(6),,,,"),
            ("", "SCHOOL,VARCHAR2(60),,,,"),
        ]),
    );
    import(&context, "state.csv", &["--field", "DATE GIVEN=vaccination_date"]).done();
    settings(&context);
    let month = String::from_utf8(
        Month::of("CLIENT ID | VACCINATION DATE | PROVIDER CITY | SCHOOL\n1 | 07/01/2022 | AUSTIN | OAK\n2 | 2022-07-01 | BUDA | OAK\n3 | 07/01/2022 | HOUSTON | OAK\n")
            .bytes()
            .to_vec(),
    );
    context.put("month.csv", month.unwrap().replacen("VACCINATION DATE", "DATE GIVEN", 1));
    context.phds(&format!("check month.csv --period {PERIOD} --report out")).done();
    let report = context.json("out/report.json");
    let told = |code: &str, column: &str| {
        let rules = report["rules"].as_array().unwrap();
        let columns = rules.iter().find(|rule| rule["code"] == code).unwrap()["by_column"].as_array().unwrap();
        columns.iter().find(|one| one["column"] == column).unwrap()["first_lines"].to_string()
    };
    assert_eq!(told("PHDS-F03", "DATE GIVEN"), "[3]");
    assert_eq!(told("PHDS-F08", "PROVIDER CITY"), "[4]");
}

/// The rows of a sheet.
fn fill(sheet: &mut Worksheet, from: u32, rows: &str) {
    for (row, line) in (from..).zip(rows.lines()) {
        for (column, cell) in (0..).zip(line.split('|').map(str::trim)) {
            sheet.write(row, column, cell.replace('/', "\n")).unwrap();
        }
    }
}

#[test]
#[cfg_attr(windows, ignore = "paths stand in other quotes")]
fn a_workbook_with_titles_merged_cells_and_a_sheet_of_codes() {
    let context = TestContext::new();
    let mut workbook = Workbook::new();
    fill(workbook.add_worksheet().set_name("About").unwrap(), 0, "PHDS extract | 2026");
    let sheet = workbook.add_worksheet().set_name("Data Dictionary").unwrap();
    sheet.merge_range(0, 0, 0, 4, "PHDS extract, columns", &Format::new()).unwrap();
    sheet.merge_range(1, 2, 1, 3, "Value", &Format::new()).unwrap();
    fill(sheet, 2, "# | Column Name | Data Type | Max Length | Nullable | Owner");
    let mut row = 3;
    for (number, header) in HEADER.iter().enumerate() {
        if number == 13 {
            sheet.write(row, 1, "Immunization").unwrap(); // A heading within the table.
            fill(sheet, row + 1, "# | Column Name | Data Type | Max Length | Nullable | Owner");
            row += 2;
        }
        sheet.write(row, 0, u32::try_from(number + 1).unwrap()).unwrap();
        sheet.write(row, 1, *header).unwrap();
        sheet.write(row, 2, if header.contains("DATE") { "DATE" } else { "VARCHAR2" }).unwrap();
        row += 1;
    }
    // A length by a formula, whose last value Excel keeps.
    sheet.write_formula(3 + 25, 3, Formula::new("=2*5").set_result("10")).unwrap();
    sheet.write(3, 4, "NOT NULL").unwrap();
    sheet.write(row, 1, "CONSENT TYPE").unwrap();
    sheet.write(row, 2, "CHAR(2)").unwrap();
    let codes = workbook.add_worksheet().set_name("Codes").unwrap();
    codes.merge_range(1, 0, 2, 0, "SEX CODE", &Format::new()).unwrap();
    fill(codes, 0, "Column Name | Code | Description");
    for (row, cells) in [(1, ["1", "Male"]), (2, ["2", "Female"])] {
        codes.write(row, 1, cells[0]).unwrap().write(row, 2, cells[1]).unwrap();
    }
    fill(codes, 3, "CONSENT TYPE | IA | \nCONSENT TYPE | DC | Disaster\nNOBODY | 1 | x");
    context.put("state.xlsx", workbook.save_to_buffer().unwrap());
    let told = import(&context, "state.xlsx", &[]).done();
    insta::assert_snapshot!(context.filtered(&told.stderr), @r##"
    Read from state.xlsx, sheet Data Dictionary.
    Columns of the table: header = Column Name, type = Data Type, length = Max Length, nullable = Nullable, position = #.
    Columns that are not used: Owner.
    Rows that describe no column (the first 20): 17.
    Codes of the sheet Codes: 4 taken, 1 of no column of the table.
    SEX CODE: codes of the table; 0 of them are not in our list, and 2 of ours are not in the table.
    Assumed: CONSENT TYPE: new, as code consent_type (attribute), not stored.

    `ours/dictionary.toml` is written: phds state, fingerprint [HASH]. Read it, then name it in phds.toml:

    [dictionary]
    file = "ours/dictionary.toml"

    and see what is in force with `phds dictionary`, and how a month fits with `phds check FILE --period YYYY-MM`.
    "##);
    insta::assert_snapshot!(overlay(&context), @r##"
    [codelists]
    sex = "codelists/sex.csv"
    consent_type = "codelists/consent_type.csv"

    [[field]]
    name = "provider_city"
    max_length = 10

    [[field]]
    name = "consent_type"
    header = "CONSENT TYPE"
    title = "CONSENT TYPE"
    description = "The table does not describe it."
    type = "code"
    role = "attribute"
    presence = "optional"
    codelist = "consent_type"
    unlisted = "review"
    assumed = true
    "##);
    let text = |name: &str| String::from_utf8(context.read(&format!("ours/codelists/{name}.csv"))).unwrap();
    assert_eq!(text("sex"), "code,label,aliases\nM,Male,MALE|1\nF,Female,FEMALE|2\n");
    assert_eq!(text("consent_type"), "code,label,aliases\nIA,IA,\nDC,Disaster,\n");
    let other = TestContext::new();
    other.put("state.xlsx", context.read("state.xlsx"));
    let outcome = import(&other, "state.xlsx", &["--sheet", "Columns"]).ended(2);
    assert!(outcome.stderr.contains("it has `About`, `Data Dictionary`, `Codes`"), "{}", outcome.stderr);
}

#[test]
fn any_way_of_writing_a_csv_file_is_read() {
    let plain = table(&[("SHORT NAME", "SHORT NAME,,,,,Años")]);
    let latin = plain.replace('ñ', "\u{1}").into_bytes();
    for bytes in [
        plain.clone().into_bytes(),
        format!("\u{feff}{plain}").into_bytes(),
        plain.replace(',', ";").into_bytes(),
        plain.replace(',', "\t").into_bytes(),
        plain.replace('\n', "\r\n").into_bytes(),
        plain.replace('\n', "\r").into_bytes(),
        format!("PHDS extract,,,,,\n\n,,Value,,,\n{plain}").into_bytes(),
        latin.iter().map(|byte| if *byte == 1 { 0xf1 } else { *byte }).collect(),
    ] {
        let context = TestContext::new();
        context.put("state.csv", &bytes);
        import(&context, "state.csv", &[]).done();
        let written = "[[field]]\nname = \"short_name\"\ndescription = \"Años\"";
        assert_eq!(overlay(&context), written, "{}", String::from_utf8_lossy(&bytes[..60]));
    }
}

#[test]
fn what_is_no_dictionary_is_told_and_leaves_nothing() {
    let long = table(&[("SHORT NAME", &format!("SHORT NAME,,,,,{}", "x".repeat(10 << 20)))]);
    let many = format!("{}{}", table(&[]), "LINE,text,,,,\n".repeat(100_000));
    let twice = table(&[("SHORT NAME", "SEX CODE,,,,,")]);
    let both = table(&[("SHORT NAME", "GENDER CODE,,,,,")]);
    let utf16: Vec<u8> = table(&[]).bytes().flat_map(|byte| [byte, 0]).collect();
    let header = "Column Name,Data Type\n";
    let delivery = Month::of("CLIENT ID | BIRTH DATE\n1 | 2021-06-15\n").bytes().to_vec();
    let old = [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];
    for (bytes, message) in [
        (Vec::new(), "is empty"),
        (b"\n\n,,\n".to_vec(), "is empty"),
        (header.into(), "has no rows below its header in row 1"),
        (delivery, "has no header among its first 25 rows that is understood"),
        (long.into_bytes(), "the cell has more than 32767 characters"),
        (many.into_bytes(), "row 20001, column 1: a dictionary has no more than 20000 rows"),
        (twice.into_bytes(), "has the column `SEX CODE` twice, in rows 7 and 22"),
        (both.into_bytes(), "has two columns that are our sex: `SEX CODE` and `GENDER CODE`"),
        (vec![b','; 17 << 20], "is larger than 16 MB"),
        (utf16, "is neither an Excel file nor a text in UTF-8 or Windows-1252"),
        (old.to_vec(), "is an Excel file of before 2007, or has a password"),
        (b"PK\x03\x04 and nothing of a workbook".to_vec(), "is not an Excel file that can be read"),
    ] {
        let context = TestContext::new();
        context.put("state.csv", bytes);
        let outcome = import(&context, "state.csv", &[]).ended(2);
        assert!(outcome.stderr.contains(message), "{message}: {}", outcome.stderr);
        assert!(
            !outcome.stderr.contains("2021-06-15") && outcome.stderr.contains("hint: ")
                || message == "is empty"
                || message.contains("no rows"),
            "{}",
            outcome.stderr
        );
        assert_eq!(context.tree(), ["state.csv"], "{message}");
    }
}

#[test]
fn a_workbook_of_a_far_cell_a_failed_formula_or_a_flood_is_refused() {
    let plain = |fill: &dyn Fn(&mut Worksheet)| {
        let mut workbook = Workbook::new();
        let sheet = workbook.add_worksheet();
        sheet.write(0, 0, "Column Name").unwrap().write(0, 1, "Data Type").unwrap();
        fill(sheet);
        workbook.save_to_buffer().unwrap()
    };
    // 100 MB of nothing in 100 KB: a part of the workbook that no reader of it needs.
    let flood = {
        let mut archive = zip::ZipWriter::new_append(std::io::Cursor::new(plain(&|_| ()))).unwrap();
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        archive.start_file("xl/media/image1.png", options).unwrap();
        archive.write_all(&vec![0; 100 << 20]).unwrap();
        archive.finish().unwrap().into_inner()
    };
    assert!(flood.len() < 1 << 20, "{}", flood.len());
    let failed = Formula::new("=1/0").set_result("#DIV/0!");
    for (bytes, message) in [
        (
            plain(&|sheet| assert!(sheet.write(1_048_575, 16_383, "x").is_ok())),
            "row 1048576, column 16384: a dictionary",
        ),
        (
            plain(&|sheet| assert!(sheet.write_formula(1, 0, failed.clone()).is_ok())),
            "row 2, column 1: a formula has failed",
        ),
        (plain(&|_| ()), "has no rows below its header"),
        (Workbook::new().save_to_buffer().unwrap(), "is empty"),
        (flood, "holds more than 64 MB when it is unpacked"),
    ] {
        let context = TestContext::new();
        context.put("state.xlsx", bytes);
        let outcome = import(&context, "state.xlsx", &[]).ended(2);
        assert!(outcome.stderr.contains(message), "{message}: {}", outcome.stderr);
        assert_eq!(context.tree(), ["state.xlsx"], "{message}");
    }
}

#[test]
fn a_folder_with_something_in_it_is_left_alone() {
    let context = TestContext::new();
    context.put("state.csv", table(&[]));
    context.put("ours/dictionary.toml", "version = 'mine'\n");
    let outcome = import(&context, "state.csv", &[]).ended(2);
    assert!(outcome.stderr.contains("`ours` is there and is left as it is"), "{}", outcome.stderr);
    assert_eq!(context.read("ours/dictionary.toml"), b"version = 'mine'\n");
    std::fs::remove_file(context.path("ours/dictionary.toml")).unwrap();
    import(&context, "state.csv", &[]).done();
    assert_eq!(context.tree(), ["ours/", "ours/dictionary.toml", "state.csv"]);
}

#[test]
fn a_flag_that_fits_nothing_is_told() {
    let context = TestContext::new();
    context.put("state.csv", table(&[]));
    for (flags, message) in [
        (["--map", "colour=1"], "write WHAT=COLUMN, with one of: header, aliases, title"),
        (["--map", "length=Breadth"], "has no column `Breadth` in row 1"),
        (["--field", "SCHOOL"], "write HEADER=FIELD"),
        (["--field", "SCHOOL=new"], "describes no column `SCHOOL`"),
        (["--field", "SEX CODE=sexe"], "the built-in dictionary has no field `sexe`"),
        (["--sheet", "One"], "a CSV file has no sheets"),
    ] {
        let outcome = import(&context, "state.csv", &flags).ended(2);
        assert!(outcome.stderr.contains(message), "{message}: {}", outcome.stderr);
    }
}
