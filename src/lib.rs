//! `phds` turns the monthly immunization file of the Texas registry into coverage rates that may be looked at.
//!
//! ```text
//! fetch ──► Delivery ──► check ──► (Report, Accepted) ──► convert ──► Partition ──► query ──► Release ──► output
//! ```
//!
//! Each arrow is a room of this crate, each type has few makers, and holding one is the proof that its stage went well:
//! `ARCHITECTURE.md` tells what it proves. A record never leaves the rooms before [`disclosure`], but
//! for the rejected ones that the steward asks for (`phds rejects`).

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests write their own small files"))]

// The rooms, in the order in which data flows through them.
pub mod fetch;

pub mod check;

pub mod history;

pub mod convert;
pub mod store;

pub mod query;

pub mod disclosure;

pub mod comparison;
pub mod figure;
pub mod output;
pub mod page;

// What they know.
pub mod dictionary;
pub mod knowledge;
pub mod measure;
pub mod population;

// Invented months, and a server for them.
pub mod demo;
pub mod synth;

// The program around the rooms.
pub mod cli;
pub mod commands;
pub mod doctor;
pub mod settings;
pub mod status;
pub mod terminal;

// The small things that all of them share.
pub mod calendar;
pub mod encoding;
pub mod error;
pub mod fs;
pub mod parallel;
pub mod period;
pub mod progress;
pub mod provenance;
pub mod random;
pub mod secret;
pub mod spill;
pub mod statistics;
pub mod volume;
pub mod words;
