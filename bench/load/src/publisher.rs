//! Broadcasts: who sends them, how they are numbered, and when the next is due.

use std::collections::VecDeque;

use crate::dialect::Envelope;
use crate::frame;
use crate::stamp::Stamp;
use crate::swarm::Swarm;

/// The first member of each room, publishing to it.
#[derive(Debug)]
pub(crate) struct Publisher {
    pub members: u32,
    /// How many broadcasts each room has had.
    pub numbers: Vec<u32>,
    /// What stands around each room's payload.
    envelopes: Vec<Envelope>,
    before: String,
    sizes: Vec<usize>,
    pub published: u64,
}

impl Publisher {
    pub(crate) fn new(swarm: &Swarm, rooms: u32, members: u32, sizes: &[usize]) -> Self {
        Self {
            members,
            numbers: vec![0; rooms as usize],
            envelopes: (0..rooms).map(|room| swarm.words.publish(room)).collect(),
            before: String::new(),
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
        let envelope = &self.envelopes[room as usize];
        envelope.open(*number, &mut self.before);
        let (before, after) = (&self.before, envelope.after);
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

/// Those that were refused, until they try again: asking at once would measure refusals.
#[derive(Debug, Default)]
pub(crate) struct Resting {
    until: VecDeque<(u64, u32)>,
}

impl Resting {
    const REST_NS: u64 = 10_000_000;

    /// All of these rest from now on.
    pub(crate) fn put(&mut self, refused: &mut Vec<u32>, now_ns: u64) {
        let until = now_ns + Self::REST_NS;
        self.until.extend(refused.drain(..).map(|who| (until, who)));
    }

    /// When the next one has rested, but no later than this.
    pub(crate) fn wake_ns(&self, latest_ns: u64) -> u64 {
        let next = self.until.front();
        next.map_or(latest_ns, |(at, _)| latest_ns.min(*at))
    }

    /// The next one that has rested.
    pub(crate) fn take(&mut self, now_ns: u64) -> Option<u32> {
        let next = self.until.pop_front_if(|(at, _)| *at <= now_ns);
        next.map(|(_, who)| who)
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

    #[test]
    fn who_was_refused_comes_again_after_a_rest_and_in_turn() {
        let mut resting = Resting::default();
        assert_eq!(resting.wake_ns(7), 7);
        resting.put(&mut vec![3, 4], 1000);
        assert_eq!(resting.take(1000), None);
        let wake = resting.wake_ns(u64::MAX);
        assert_eq!(resting.take(wake), Some(3));
        assert_eq!(resting.take(wake), Some(4));
        assert_eq!(resting.take(wake), None);
    }
}
