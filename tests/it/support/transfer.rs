//! What the tests of the transfers share.

use std::io::Read;

use phds::demo::server::LoopbackServer;
use phds::fetch::Source;
use phds::secret::Secret;

use super::TestContext;

/// The characters that break a client which pastes a password into a URL.
pub const PASSWORD: &str = "p: @/#%w2!";

/// A server of the folder `served`, and the file `password` by which `clinic` logs in to it.
pub fn account(context: &TestContext) -> LoopbackServer {
    context.put_private("password", format!("{PASSWORD}\n"));
    LoopbackServer::start(&context.path("served"), "clinic", &secret(PASSWORD)).unwrap()
}

pub fn secret(value: &str) -> Secret {
    Secret::new(value.into()).unwrap()
}

/// Bytes without a period that a chunk, record or window size could hide behind; every value occurs, line ends too.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// The bytes of a file from `offset` to its end.
pub fn download(source: &mut dyn Source, name: &str, offset: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    source.open_at(name, offset).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}
