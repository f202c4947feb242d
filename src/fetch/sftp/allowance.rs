//! How much a server may send. The library collects a whole listing before it gives any of it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// Bytes that may still come. Clones share them.
#[derive(Clone)]
pub(super) struct Allowance(Arc<AtomicU64>);

impl Allowance {
    pub(super) fn unlimited() -> Self {
        Self(Arc::new(AtomicU64::new(u64::MAX)))
    }

    pub(super) fn set(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    /// Whether the server was cut off.
    pub(super) fn is_spent(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    fn spend(&self, bytes: u64) {
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(bytes)));
    }
}

/// A stream that fails for good when its allowance is spent.
pub(super) struct Metered<R> {
    pub(super) stream: R,
    pub(super) allowance: Allowance,
}

impl<R: AsyncRead + Unpin> AsyncRead for Metered<R> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, allowance } = self.get_mut();
        // Before a read: one that fails may not give bytes too.
        if allowance.is_spent() {
            return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(stream).poll_read(context, buffer))?;
        allowance.spend((buffer.filled().len() - before) as u64);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[test]
    fn ends_when_all_is_spent() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for (allowed, passes) in [(4, true), (3, false), (1, false)] {
            let allowance = Allowance::unlimited();
            allowance.set(allowed);
            let mut stream = Metered { stream: &b"abc"[..], allowance: allowance.clone() };
            let read = runtime.block_on(stream.read_to_end(&mut Vec::new()));
            assert_eq!((read.is_ok(), allowance.is_spent()), (passes, !passes), "{allowed}");
        }
    }
}
