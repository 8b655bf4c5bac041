//! An allocator that counts, on top of the system's.
//!
//! Bytes are those asked for: what the system's allocator adds for itself (8 bytes and rounding up to 16, with glibc)
//! comes on top. Counts are kept twice: for the calling thread, so that tests in one process don't disturb each other,
//! and for the whole process, where the work is done by threads of its own.

// An allocator can't be written without.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::Sub;
use std::sync::atomic::{AtomicI64, Ordering};

/// To be set as the global allocator of a test.
#[derive(Debug)]
pub struct Counting;

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Allocations made, those that grew among them.
    pub made: i64,
    /// Allocations not freed yet.
    pub live: i64,
    /// Their bytes.
    pub live_bytes: i64,
}

impl Sub for Counts {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            made: self.made - before.made,
            live: self.live - before.live,
            live_bytes: self.live_bytes - before.live_bytes,
        }
    }
}

thread_local! {
    // Neither is made lazily nor dropped, so they may be used from within the allocator at any time.
    static MADE: Cell<i64> = const { Cell::new(0) };
    static LIVE: Cell<i64> = const { Cell::new(0) };
    static LIVE_BYTES: Cell<i64> = const { Cell::new(0) };
}

static ALL_MADE: AtomicI64 = AtomicI64::new(0);
static ALL_LIVE: AtomicI64 = AtomicI64::new(0);
static ALL_LIVE_BYTES: AtomicI64 = AtomicI64::new(0);

/// The counts of the calling thread. What it frees for another thread counts as its own.
#[must_use]
pub fn of_this_thread() -> Counts {
    Counts {
        made: MADE.get(),
        live: LIVE.get(),
        live_bytes: LIVE_BYTES.get(),
    }
}

/// The counts of all threads.
#[must_use]
pub fn of_the_process() -> Counts {
    Counts {
        made: ALL_MADE.load(Ordering::SeqCst),
        live: ALL_LIVE.load(Ordering::SeqCst),
        live_bytes: ALL_LIVE_BYTES.load(Ordering::SeqCst),
    }
}

fn note(made: i64, live: i64, bytes: i64) {
    MADE.set(MADE.get() + made);
    LIVE.set(LIVE.get() + live);
    LIVE_BYTES.set(LIVE_BYTES.get() + bytes);
    ALL_MADE.fetch_add(made, Ordering::SeqCst);
    ALL_LIVE.fetch_add(live, Ordering::SeqCst);
    ALL_LIVE_BYTES.fetch_add(bytes, Ordering::SeqCst);
}

/// A size as a difference. No layout is larger than `isize::MAX`.
fn bytes(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

// SAFETY: every call goes to the system's allocator with the caller's own arguments; counting touches no memory but
// its own counters, allocates nothing and can't unwind.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, 1, bytes(layout.size()));
        // SAFETY: the caller keeps the contract of this very function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(1, 1, bytes(layout.size()));
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        note(0, -1, -bytes(layout.size()));
        // SAFETY: as above; all memory of this allocator is the system's.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(1, 0, bytes(size) - bytes(layout.size()));
        // SAFETY: as above.
        unsafe { System.realloc(place, layout, size) }
    }
}
