//! What a world does that has more to do than its time allows: first it tells less often of what is far, then its time
//! passes more slowly. Nobody is cut off.

use std::time::Duration;

use crate::engine::world::Pace;

/// The parts of its time that a world may take before it gives way, and below which it takes back.
const STRAINED: f64 = 0.85;
const CALM: f64 = 0.4;
/// Ticks for which it must be so.
const STRAINED_TICKS: u32 = 10;
const CALM_TICKS: u32 = 60;
/// A tick's part in the running mean.
const WEIGHT: f64 = 0.2;
const REAL_TIME: u8 = 128;
/// Time never passes more slowly than an eighth of its speed.
const SLOWEST: u8 = REAL_TIME / 8;
const MOST_EASE: u8 = 3;

/// How much of its time a world takes.
#[derive(Debug, Default)]
pub(crate) struct Load {
    mean: f64,
    strained: u32,
    calm: u32,
    pace: Pace,
}

impl Load {
    pub(crate) fn pace(&self) -> Pace {
        self.pace
    }

    /// How long until the next tick.
    pub(crate) fn period(&self, hz: u8) -> Duration {
        let real = Duration::from_secs(1) / u32::from(hz.max(1));
        real * u32::from(REAL_TIME) / u32::from(self.pace.dilation)
    }

    /// A tick was over so long after it should have begun.
    pub(crate) fn took(&mut self, time: Duration, hz: u8) {
        let part = time.as_secs_f64() / self.period(hz).as_secs_f64();
        // One that was held up by something else says little: no more than twice its time counts.
        self.mean += (part.min(2.0) - self.mean) * WEIGHT;
        self.strained = match self.mean > STRAINED {
            true => self.strained + 1,
            false => 0,
        };
        self.calm = match self.mean < CALM {
            true => self.calm + 1,
            false => 0,
        };
        if self.strained >= STRAINED_TICKS {
            self.strained = 0;
            self.give_way();
        } else if self.calm >= CALM_TICKS {
            self.calm = 0;
            self.take_back();
        }
    }

    fn give_way(&mut self) {
        if self.pace.ease < MOST_EASE {
            self.pace.ease += 1;
        } else {
            self.pace.dilation = (self.pace.dilation - self.pace.dilation / 8).max(SLOWEST);
        }
    }

    fn take_back(&mut self) {
        if self.pace.dilation < REAL_TIME {
            self.pace.dilation = (self.pace.dilation + self.pace.dilation / 6 + 1).min(REAL_TIME);
        } else {
            self.pace.ease = self.pace.ease.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HZ: u8 = 20;

    fn ticks(load: &mut Load, count: u32, took: Duration) {
        for _ in 0..count {
            load.took(took, HZ);
        }
    }

    #[test]
    fn first_the_far_is_told_less_often_then_time_slows_and_both_come_back() {
        let mut load = Load::default();
        ticks(&mut load, 25, Duration::from_millis(60));
        assert_eq!(load.pace().dilation, 128);
        assert!(load.pace().ease > 0);
        ticks(&mut load, 500, Duration::from_millis(60));
        assert_eq!(load.pace().ease, 3);
        // Until what there is to do fits into its time.
        let period = load.period(HZ);
        assert!(period > Duration::from_millis(60) && period < Duration::from_millis(90));
        ticks(&mut load, 5_000, Duration::from_millis(5));
        assert_eq!(load.pace(), Pace::default());
    }

    #[test]
    fn a_single_slow_tick_changes_nothing() {
        let mut load = Load::default();
        for _ in 0..100 {
            ticks(&mut load, 1, Duration::from_secs(3));
            ticks(&mut load, 30, Duration::from_millis(10));
        }
        assert_eq!(load.pace(), Pace::default());
    }

    #[test]
    fn time_never_stands_still() {
        let mut load = Load::default();
        ticks(&mut load, 100_000, Duration::from_secs(10));
        assert_eq!(load.pace().dilation, 16);
    }
}
