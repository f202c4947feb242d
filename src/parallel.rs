//! The same work on many things by several threads.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::Result;

/// How much of the machine a run may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resources {
    /// Threads that work at the same time.
    pub threads: usize,
    /// Bytes of memory, about: what does not fit is set aside on disk.
    pub memory: usize,
}

impl Default for Resources {
    /// All processors, and 1 GiB.
    fn default() -> Self {
        Self { threads: std::thread::available_parallelism().map_or(1, usize::from), memory: 1 << 30 }
    }
}

impl Resources {
    /// Bytes of memory that a thread needs for its work, about.
    const OF_A_THREAD: usize = 32 << 20;

    /// The same threads with half of the memory: for one of two that hold something at the same time.
    #[must_use]
    pub fn half(self) -> Self {
        Self { memory: self.memory / 2, ..self }
    }

    /// Bytes that may be held in memory for later: what the threads do not need, and half of all at the least.
    #[must_use]
    pub fn to_hold(self) -> usize {
        self.memory.saturating_sub(self.threads.saturating_mul(Self::OF_A_THREAD)).max(self.memory / 2)
    }
}

/// Does `work` on each of the numbers below `count`, by so many threads, and gives the results in the order of the
/// numbers. The first error ends it: no further work is begun.
pub fn map<R: Send>(threads: usize, count: usize, work: impl Fn(usize) -> Result<R> + Sync) -> Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<(usize, Result<R>)>> = Mutex::new(Vec::with_capacity(count));
    let run = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                break;
            }
            let result = work(number);
            if result.is_err() {
                next.store(count, Ordering::Relaxed);
            }
            lock(&results).push((number, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(count) {
            scope.spawn(run);
        }
        run();
    });
    let mut results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    results.sort_unstable_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Locks; what a thread that panicked has left is looked at no more, because its panic goes on.
pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn results_come_in_order_and_an_error_ends_the_work() {
        for threads in [1, 2, 8] {
            let squares = map(threads, 100, |number| Ok(number * number)).unwrap();
            assert_eq!(squares, (0..100).map(|number| number * number).collect::<Vec<_>>());
            let failed = map(threads, 100, |number| if number == 3 { Err(Error::usage("three")) } else { Ok(()) });
            assert_eq!(failed.unwrap_err().to_string(), "three");
            assert!(map(threads, 0, |_| Ok(())).unwrap().is_empty());
        }
    }
}
