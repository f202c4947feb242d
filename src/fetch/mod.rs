//! Remote or local file → [`Delivery`]. The server is only ever listed and read: no trait or type in this room has a
//! way to write, rename or delete anything on it.

pub mod download;
pub mod ftps;
pub mod known_hosts;
pub mod link;
pub mod local;
pub mod mirror;
pub mod observation;
mod outside;
mod part;
pub mod pick;
pub mod receipt;
pub mod sftp;
pub mod shelf;

use std::io::Read;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::Result;

pub use link::{Link, Retry};
pub use observation::{Observation, Verdict};
pub use receipt::{Delivery, Receipt, fetch};

/// One file in the folder of a [`Source`], as the source names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoteFile {
    /// The name without any folder. Comes from outside: check with [`pick::safe_name`] before using it in a path, and
    /// clean it before a terminal sees it.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Time of the last change, UTC, when the source tells it.
    #[schemars(with = "Option<String>")]
    pub modified: Option<DateTime<Utc>>,
}

/// Where a delivery came from, as written into its receipt: never a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// `sftp`, `ftps` or `local`.
    pub protocol: String,
    /// Host and port of the server; empty for a local file.
    pub server: String,
    /// The account on the server; empty for a local file.
    pub user: String,
    /// The folder of the account, as the settings name it; empty for a local file.
    pub folder: String,
    /// The key or certificate by which the server proved itself, as `SHA256:…`; empty for a local file.
    pub server_identity: String,
}

impl Origin {
    /// A file of this machine.
    pub fn local() -> Self {
        Self {
            protocol: "local".to_owned(),
            server: String::new(),
            user: String::new(),
            folder: String::new(),
            server_identity: String::new(),
        }
    }

    /// Whether it is the same folder of the same account, whatever key the server has now.
    pub fn is_same_place(&self, other: &Self) -> bool {
        (&self.protocol, &self.server, &self.user, &self.folder)
            == (&other.protocol, &other.server, &other.user, &other.folder)
    }
}

/// A place from which deliveries come. It can be listed and read, nothing else.
pub trait Source {
    /// Where this is, for the receipt.
    fn origin(&self) -> Origin;
    /// The plain files of the folder, in no particular order.
    fn list(&mut self) -> Result<Vec<RemoteFile>>;
    /// Size and time of one file now.
    fn stat(&mut self, name: &str) -> Result<RemoteFile>;
    /// The bytes of one file from `offset` to its end.
    fn open_at<'a>(&'a mut self, name: &str, offset: u64) -> Result<Box<dyn Read + 'a>>;
    /// What a person should know about the server and is no error. Each note is given once.
    fn take_notes(&mut self) -> Vec<String> {
        Vec::new()
    }
    /// What was agreed on with the server and what it turned out to be able to do, for `phds doctor`. Says the more, the
    /// more has been asked of the source before.
    fn observations(&self) -> Vec<Observation> {
        Vec::new()
    }
}
