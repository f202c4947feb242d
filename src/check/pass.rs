//! One pass over a file by several threads: each takes the next piece, checks it by itself, and hands in what came of it.
//! Results are added up in the order of the file, so that they are the same for any number of threads.

use std::collections::BTreeMap;
use std::io::{Seek, SeekFrom, Sink, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::across::{self, Across, Kept};
use super::fields::{FieldReader, FieldRules, NO_TEXT, Values};
use super::findings::{Findings, Found, RuleId, rejecting};
use super::place::Place;
use super::profile::{Plan, Profile};
use super::reader::{Broken, Chunk, Chunker, Form, Records, Structure};
use super::rejected::RejectedList;
use super::report;
use super::rows::RowRules;
use super::ruleset::Kind;
use super::{Checker, ClientKeys, Rows};
use crate::calendar;
use crate::dictionary::{Dictionary, names};
use crate::encoding::{Detector, Encoding};
use crate::error::{Error, Result};
use crate::fetch::Delivery;
use crate::fs::Sha256Writer;
use crate::parallel::lock;
use crate::progress::Reporter;

/// Bytes read at a time. What is known of the rows of a piece stays in the processor's cache.
const PIECE: usize = 1 << 20;
/// Pieces for each thread that may wait for an earlier one to be done.
const WAITING: usize = 4;

/// A delivery in pieces of whole records.
pub struct Pieces<'a> {
    delivery: &'a Delivery,
    chunker: Chunker<std::fs::File>,
    detector: Detector,
    /// Offset and line on which each piece begins.
    starts: Vec<(u64, u64)>,
}

impl<'a> Pieces<'a> {
    /// Opens a delivery.
    pub fn new(delivery: &'a Delivery, dictionary: &Dictionary) -> Result<Self> {
        let dialect = dictionary.dialect();
        Ok(Self {
            delivery,
            chunker: Chunker::new(delivery.open()?, dictionary.delimiter(), PIECE, dialect.skip_lines),
            detector: Detector::new(dialect.encoding),
            starts: Vec::new(),
        })
    }

    /// What stands before the first piece.
    pub fn passed_over(&self) -> &[u8] {
        self.chunker.passed_over()
    }

    /// Takes the bytes of a piece back when they are done with.
    pub fn reuse(&mut self, bytes: Vec<u8>) {
        self.chunker.reuse(bytes);
    }

    /// The next piece, or `None` at the end.
    pub fn next(&mut self) -> Result<Option<Chunk>> {
        let read_failed = |error: std::io::Error| Error::io("read", self.delivery.path(), &error);
        let Some(mut chunk) = self.chunker.next_chunk().map_err(read_failed)? else { return Ok(None) };
        let rest = || {
            let mut file = std::fs::File::open(self.delivery.path())?;
            file.seek(SeekFrom::Start(chunk.first_offset)).map(|_| file)
        };
        chunk.encoding = self.detector.of(&chunk.bytes, rest).map_err(read_failed)?;
        self.starts.push((chunk.first_offset, chunk.first_line));
        Ok(Some(chunk))
    }

    /// The record in which the file ended inside a quoted field, or that did not end.
    pub fn cut_off(&self) -> Option<Place> {
        self.chunker.cut_off()
    }

    /// Whether the file begins with a byte order mark.
    pub fn has_byte_order_mark(&self) -> bool {
        self.chunker.has_byte_order_mark()
    }

    /// The byte that ends a line.
    pub fn line_end(&self) -> u8 {
        self.chunker.line_end()
    }

    /// The encoding of the file, and whether it was found out and not declared.
    pub fn encoding(&self) -> (Encoding, bool) {
        self.detector.told()
    }
}

/// The SHA-256 of a delivery, which is found out while its pieces go by, unless it is known.
pub struct Sum(Option<Mutex<Sha256Writer<Sink>>>);

impl Sum {
    /// Nothing has gone by yet.
    pub fn of(delivery: &Delivery) -> Self {
        Self((!delivery.is_known()).then(|| Mutex::new(Sha256Writer::new(std::io::sink()))))
    }

    /// Whoever has the next bytes of the file takes the turn.
    pub fn turn(&self) -> Turn<'_> {
        Turn(self.0.as_ref().map(lock))
    }

    /// Tells the delivery.
    pub fn tell(self, delivery: &Delivery) {
        if let Some(sum) = self.0 {
            let (bytes, sha256) = sum.into_inner().unwrap_or_else(PoisonError::into_inner).sum();
            delivery.found_out(bytes, sha256);
        }
    }
}

/// While one has it, no other bytes go by.
pub struct Turn<'a>(Option<MutexGuard<'a, Sha256Writer<Sink>>>);

impl Turn<'_> {
    /// The next bytes of the file.
    pub fn add(&mut self, bytes: &[u8]) {
        if let Some(sum) = &mut self.0 {
            // There is nothing behind it that could fail.
            let _ = sum.write_all(bytes);
        }
    }
}

/// What a pass leaves beside the report.
pub struct Outcome<'a> {
    /// What the records are made of.
    pub structure: Structure,
    /// The file, read to its end.
    pub pieces: Pieces<'a>,
}

/// One pass over a file.
pub struct Pass<'a> {
    checker: &'a Checker<'a>,
    rules: &'a FieldRules,
    plan: &'a Plan,
    row_rules: RowRules,
    /// The rules on shape, in the order of [`Broken`].
    broken: Vec<RuleId>,
    rejecting: Vec<bool>,
    keys: ClientKeys,
    across: Across<'a>,
    /// For each column of the file, the position of its field in the dictionary.
    order: Vec<usize>,
    /// The header as it stands in the file.
    header: Vec<u8>,
    /// The days of the reporting period.
    /// The first days of the month before the period, of the period, and of the month after it.
    months: [i32; 3],
    sum: &'a Sum,
}

/// What came of one piece.
struct Checked {
    bytes: u64,
    read: u64,
    structure: Structure,
    found: Found,
    /// Accepted rows with a vaccination in the reporting period.
    recent: [u64; 2],
    /// The records that are out, in the order of the file.
    rejected: Vec<Place>,
}

/// From where the threads take pieces.
struct Supply<'a> {
    /// What stands behind the header in the first piece.
    rest: Option<Chunk>,
    pieces: Pieces<'a>,
    taken: u64,
}

/// Where they hand in what came of them.
struct Desk<'a, 'b, 'c> {
    report: &'a mut report::Builder<'b>,
    list: &'a mut RejectedList<'c>,
    structure: Structure,
    profile: Profile,
    /// Pieces that are added up.
    added: u64,
    /// Results of later pieces.
    waiting: BTreeMap<u64, Checked>,
    /// The first error; nothing is taken any more.
    failed: Option<Error>,
    stopped: bool,
}

impl<'a> Pass<'a> {
    /// Binds the rules to a delivery.
    pub fn new(
        checker: &'a Checker<'a>,
        rules: &'a FieldRules,
        plan: &'a Plan,
        delivery: &Delivery,
        order: Vec<usize>,
        header: Vec<u8>,
        sum: &'a Sum,
    ) -> Result<Self> {
        let (ruleset, dictionary, period) = (checker.rules, checker.dictionary, delivery.period());
        let aside = (checker.scratch, checker.resources.to_hold());
        Ok(Self {
            checker,
            rules,
            plan,
            row_rules: RowRules::new(ruleset, dictionary, period)?,
            broken: Broken::ALL.iter().map(|broken| ruleset.position(&Kind::from(*broken))).collect::<Result<_>>()?,
            rejecting: rejecting(ruleset),
            keys: ClientKeys::new()?,
            across: Across::new(ruleset, dictionary, period, &order, aside, delivery.bytes())?,
            order,
            header,
            months: [period.previous(), period, period.next()].map(|month| calendar::day(month.first_day())),
            sum,
        })
    }

    /// Checks `rest` and what follows it. Accepted rows go to `sink`; everything else is added up in the order of the file.
    pub fn run<'p>(
        &self,
        rest: Option<Chunk>,
        begun: Outcome<'p>,
        sink: &dyn super::Sink,
        report: &mut report::Builder<'_>,
        list: &mut RejectedList<'_>,
        reporter: &dyn Reporter,
    ) -> Result<(Outcome<'p>, Profile)> {
        let supply = Mutex::new(Supply { rest, pieces: begun.pieces, taken: 0 });
        let desk = Mutex::new(Desk {
            report,
            list,
            structure: begun.structure,
            profile: Profile::new(self.plan),
            added: 0,
            waiting: BTreeMap::new(),
            failed: None,
            stopped: false,
        });
        let moved = Condvar::new();
        let work = || {
            // A thread that panics would be waited for.
            let leaving = Leaving { desk: &desk, moved: &moved };
            let done = self.work(&supply, &leaving, sink, reporter);
            if let Err(error) = done {
                let mut desk = lock(&desk);
                desk.failed.get_or_insert(error);
                desk.stopped = true;
                moved.notify_all();
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.checker.resources.threads {
                scope.spawn(work);
            }
            work();
        });
        let desk = desk.into_inner().unwrap_or_else(PoisonError::into_inner);
        let supply = supply.into_inner().unwrap_or_else(PoisonError::into_inner);
        match desk.failed {
            Some(error) => Err(error),
            None => Ok((Outcome { structure: desk.structure, pieces: supply.pieces }, desk.profile)),
        }
    }

    fn work(
        &self,
        supply: &Mutex<Supply<'_>>,
        desk: &Leaving<'_, '_, '_, '_>,
        sink: &dyn super::Sink,
        reporter: &dyn Reporter,
    ) -> Result<()> {
        let mut reader = FieldReader::new(self.checker.dictionary, self.rules)?;
        let mut profile = Profile::new(self.plan);
        let mut done = Vec::new();
        loop {
            let (number, chunk) = {
                let mut supply = lock(supply);
                supply.pieces.reuse(done);
                supply.taken += 1;
                let number = supply.taken - 1;
                if let Some(rest) = supply.rest.take() {
                    (number, rest)
                } else {
                    let Some(chunk) = supply.pieces.next()? else { break };
                    // The turn is taken before the next piece can be: so the pieces go by in the order of the file.
                    let mut turn = self.sum.turn();
                    drop(supply);
                    turn.add(&chunk.bytes);
                    (number, chunk)
                }
            };
            let checked = self.check(&chunk, &mut reader, &mut profile, sink)?;
            if !desk.hand_in(number, checked, self.checker.resources.threads, reporter)? {
                break;
            }
            done = chunk.bytes;
        }
        profile.other_formats = reader.other_formats();
        lock(desk.desk).profile.merge(profile);
        Ok(())
    }

    fn check(
        &self,
        chunk: &Chunk,
        reader: &mut FieldReader<'_>,
        profile: &mut Profile,
        sink: &dyn super::Sink,
    ) -> Result<Checked> {
        let dictionary = self.checker.dictionary;
        let form = Form { delimiter: dictionary.delimiter(), width: self.order.len(), header: &self.header };
        let records = Records::split(chunk, form);
        let mut findings = Findings::new(records.places(), &self.rejecting, dictionary.fields().len());
        let columns = reader.read(&records, &self.order, &mut findings)?;
        self.row_rules.check(&columns, &mut findings);
        let read = (records.len() + records.broken.len()) as u64;
        for rule in &self.broken {
            findings.checked(*rule, None, read);
        }
        for (place, broken) in &records.broken {
            findings.broken(*place, self.broken[*broken as usize]);
        }
        let mut rejected: Vec<Place> = records.broken.iter().map(|(place, _)| *place).collect();
        let places = records.places().iter().zip(findings.rejected());
        rejected.extend(places.filter(|(_, rejected)| **rejected).map(|(place, _)| *place));
        rejected.sort_unstable();
        let accepted: Vec<u32> =
            (0..).zip(findings.rejected()).filter(|(_, rejected)| !**rejected).map(|(row, _)| row).collect();
        let clients = self.clients(&columns, &accepted)?;
        profile.add(self.plan, &columns, &clients, findings.rejected());
        self.across.add(Kept { rows: &accepted, records: &records, columns: &columns, clients: &clients })?;
        sink.accept(Rows { accepted: &accepted, clients: &clients, places: records.places(), columns: &columns })?;
        Ok(Checked {
            bytes: chunk.bytes.len() as u64,
            read,
            structure: records.structure,
            recent: self.recent(&columns, &accepted),
            found: findings.into_found(),
            rejected,
        })
    }

    /// The doses of the period among the accepted rows, and those of the month before.
    fn recent(&self, columns: &[Values], accepted: &[u32]) -> [u64; 2] {
        let days = self.checker.dictionary.position(names::VACCINATION_DATE).map(|at| &columns[at]);
        let Some(Values::Dates(days)) = days else { return [0; 2] };
        let [first_before, first, after] = self.months;
        let mut recent = [0; 2];
        for day in accepted.iter().map(|row| days[*row as usize]).filter(|day| (first_before..after).contains(day)) {
            recent[usize::from(day < first)] += 1;
        }
        recent
    }

    /// The key of each row's client. A row without one is rejected, so its key is never used.
    fn clients(&self, columns: &[Values], accepted: &[u32]) -> Result<Vec<i64>> {
        let client = self.checker.dictionary.position(names::CLIENT).map(|at| &columns[at]);
        let Some(Values::Texts(clients)) = client else {
            return Err(Error::internal("the client id has not been read"));
        };
        if accepted.iter().any(|row| clients.ids[*row as usize] == NO_TEXT) {
            return Err(Error::internal("a row without a client would be kept"));
        }
        let keys: Vec<i64> = clients.different.iter().map(|client| self.keys.key(client.unwrap_or_default())).collect();
        Ok(clients.ids.iter().map(|id| keys.get(*id as usize).copied().unwrap_or_default()).collect())
    }

    /// Looks at what was set aside for the rules across rows.
    pub fn finish(self, delivery: &Delivery, pieces: &Pieces<'_>, threads: usize) -> Result<across::Found> {
        self.across.finish(delivery, pieces.line_end(), &pieces.starts, threads)
    }
}

/// A thread at the desk. When it panics, the others leave as well.
struct Leaving<'d, 'a, 'b, 'c> {
    desk: &'d Mutex<Desk<'a, 'b, 'c>>,
    moved: &'d Condvar,
}

impl Drop for Leaving<'_, '_, '_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            lock(self.desk).stopped = true;
            self.moved.notify_all();
        }
    }
}

impl Leaving<'_, '_, '_, '_> {
    /// Hands in what came of a piece, and waits while too many wait for an earlier one. `false` means to stop.
    fn hand_in(&self, number: u64, checked: Checked, threads: usize, reporter: &dyn Reporter) -> Result<bool> {
        let mut desk = lock(self.desk);
        desk.waiting.insert(number, checked);
        desk.add_up(reporter)?;
        self.moved.notify_all();
        let desk: MutexGuard<'_, Desk<'_, '_, '_>> = self
            .moved
            .wait_while(desk, |desk| !desk.stopped && desk.waiting.len() > threads * WAITING)
            .unwrap_or_else(PoisonError::into_inner);
        Ok(!desk.stopped)
    }
}

impl Desk<'_, '_, '_> {
    fn add_up(&mut self, reporter: &dyn Reporter) -> Result<()> {
        while let Some(checked) = self.waiting.remove(&self.added) {
            self.added += 1;
            self.structure.merge(checked.structure);
            self.list.add(&checked.found.findings, &checked.rejected)?;
            self.report.add(checked.read, checked.rejected.len() as u64, checked.recent, checked.found);
            reporter.counted(checked.read);
            reporter.advanced(checked.bytes);
        }
        Ok(())
    }
}
