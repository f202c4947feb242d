//! What only the demo and the tests need.

pub mod server;
