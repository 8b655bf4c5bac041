//! Broadcasts: who sends them, how they are numbered, and when the next is due.

use crate::frame;
use crate::stamp::Stamp;
use crate::swarm::Swarm;

/// The first member of each room, publishing to it.
#[derive(Debug)]
pub(crate) struct Publisher {
    pub members: u32,
    /// How many broadcasts each room has had.
    pub numbers: Vec<u32>,
    /// What stands before and after each room's payload.
    texts: Vec<(String, &'static str)>,
    sizes: Vec<usize>,
    pub published: u64,
}

impl Publisher {
    pub(crate) fn new(swarm: &Swarm, rooms: u32, members: u32, sizes: &[usize]) -> Self {
        Self {
            members,
            numbers: vec![0; rooms as usize],
            texts: (0..rooms).map(|room| swarm.words.publish(room)).collect(),
            sizes: sizes.to_vec(),
            published: 0,
        }
    }

    pub(crate) fn rooms(&self) -> u32 {
        self.numbers.len() as u32
    }

    /// Queues one broadcast.
    pub(crate) fn publish(&mut self, swarm: &mut Swarm, room: u32, due_ns: u64) {
        let number = &mut self.numbers[room as usize];
        let size = self.sizes[*number as usize % self.sizes.len()].max(crate::stamp::LENGTH);
        let (before, after) = &self.texts[room as usize];
        let stamp = Stamp {
            room,
            number: *number,
            due_us: due_ns / 1000,
        };
        let length = before.len() + size + after.len();
        swarm.queue(room * self.members, |out| {
            frame::append(out, frame::TEXT, length, |out| {
                out.extend_from_slice(before.as_bytes());
                stamp.append(out, size);
                out.extend_from_slice(after.as_bytes());
            });
        });
        *number = number.wrapping_add(1);
        self.published += 1;
    }
}

/// An even schedule: the n-th of something is due n intervals after the start, however late the ones before were.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    start_ns: u64,
    interval_ns: f64,
    next: u64,
}

impl Schedule {
    pub(crate) fn new(start_ns: u64, a_second: f64) -> Self {
        Self {
            start_ns,
            interval_ns: 1e9 / a_second.max(1e-3),
            next: 0,
        }
    }

    /// When the next one is due.
    pub(crate) fn due_ns(&self) -> u64 {
        self.start_ns + (self.next as f64 * self.interval_ns) as u64
    }

    /// Takes the next one if it's due: which one it is, and since when.
    pub(crate) fn take(&mut self, now_ns: u64) -> Option<(u64, u64)> {
        let due_ns = self.due_ns();
        if due_ns > now_ns {
            return None;
        }
        self.next += 1;
        Some((self.next - 1, due_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_that_was_late_catches_up_and_keeps_the_original_times() {
        let mut schedule = Schedule::new(1000, 1e6);
        assert_eq!(schedule.take(999), None);
        assert_eq!(schedule.take(4000), Some((0, 1000)));
        assert_eq!(schedule.take(4000), Some((1, 2000)));
        assert_eq!(schedule.take(4000), Some((2, 3000)));
        assert_eq!(schedule.take(4000), Some((3, 4000)));
        assert_eq!(schedule.take(4000), None);
        assert_eq!(schedule.due_ns(), 5000);
    }
}
