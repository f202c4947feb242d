//! The integration tests: one binary, one module for each thing that must hold.
//!
//! Most of them run the real program in a folder of their own and look at what it printed and wrote.

#![allow(clippy::disallowed_methods, reason = "tests write their own small files")]
#![cfg_attr(
    not(unix),
    allow(unused_imports, dead_code, reason = "what takes servers or shells of Unix is left out there")
)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

/// The walls between the rooms of `src` stand where ARCHITECTURE.md draws them, read from the sources.
mod architecture;
/// An attacker who tries every table, and shares no code with the program.
mod attacker;
/// Twenty-four ways to learn of few clients from what the program gives out: none may work.
mod attacks;
/// `phds audit`: what can be computed of suppressed counts, against the attacker who tries every table.
mod audit;
/// Every bad input ends with the right exit code and a message that helps, and leaves nothing half-written.
mod bad_input;
/// `--coarsen`: a coarser table in place of one of which too little could be shown.
mod coarsen;
/// `phds compare`: two months by their releases.
mod compare;
/// `phds demo` does the whole road in one folder.
mod demo;
/// The dictionary as other tools read it, held to a month as the check is.
mod dictionary;
/// What the documents say of the repository: paths, links, names, and the order of the glossary.
mod documents;
/// A file comes whole or not at all, whatever the line, the server, the disk and the user do.
mod download;
/// `phds fetch` and `phds load` bring a month from a server and only read there.
mod fetch;
/// The FTPS client against real servers, and one in this process that misbehaves.
#[cfg(unix)]
mod ftps;
/// The guide and the README: every command does what they say.
#[cfg(unix)]
mod guide;
/// The help texts, completions, the manual page and the JSON Schemas are what they were, and true.
mod help;
/// A month against the report of the last, and the report as a page.
mod history;
/// A table that a state sends becomes the dictionary that it means, and nothing by a guess.
mod import;
/// `phds init`: asked, scripted and repeated.
mod init;
/// `phds query FILE --keep-going`: what passes is published without what is refused.
mod keep_going;
/// No name, id, street or birth date of a month gets out of the files that may hold it.
mod leak;
/// What is published is noted for good; the evidence for the privacy officer.
mod ledger;
/// Every measure at its boundaries, by hand and against a second evaluator.
mod measures;
/// The minimality attack: what the choice of a pattern tells somebody who has the program.
mod minimality;
/// `phds mirror`, `phds status` and `phds doctor`: what is copied, what is due, what stands in the way.
mod mirror;
/// `--within`: tables in which the labels of one dimension are sums of those of another.
mod nested;
/// The counts of the rules against a second author's, rule by rule and line by line.
mod oracle;
/// Releases as files that other programs open, tables that fit a screen, completions that know the program.
mod output;
/// The unit of systemd, the image, and what only one kind of system has.
mod packaging;
/// `phds report`: a page of releases, of which every number is in one.
mod page;
/// A synthetic month with planted faults: each is found at its line, and nothing else.
mod planted;
/// Figures: whole XML, no number that is not in the release, withheld values hatched, bad input refused.
mod plot;
/// Files in every shape that CSV files have been seen in: read right, or refused or rejected by name.
mod pollution;
/// Counts of people: taken in whole and right, or refused by line; and the groups that they make.
mod population;
/// `phds protect`: no suppressed count can be told, and little is lost for it.
mod protect;
/// Tiny months with known coverage, from CSV to table, and the formats of tables.
mod query;
/// Kills, stops, full disks and months of a shape that nobody expects: the last good state stays, memory is bounded.
mod robust;
/// `phds protect --round`: every cell has a number, all totals are sums, and no count can be told.
mod rounding;
/// Tiny tables for every rule of the check: which line breaks which rule.
mod rules;
/// The SFTP client against a real server in this process.
mod sftp;
/// The counts of the rules a third time, in SQL.
mod sql_oracle;
/// The SFTP client against real servers of others.
#[cfg(unix)]
mod ssh_servers;
/// The formulas of `src/statistics` and R agree.
mod statistics;
/// Severities of a department, and the rejected rows themselves, for those who may have them.
mod steward;
/// A store keeps its last good state, whatever happens to it.
mod store;
/// What the other modules share: a folder with the program in it, small months, tables of cases.
mod support;
/// A registry drawn by lot from stated chances: the program finds the chances again.
mod truth;
