//! Trying again what somebody else was quicker with.

use std::time::Duration;

/// Attempts at a write that is done only if nobody else has written since it was read.
///
/// Two who try again at once meet again: on nodes that read and write in the same rhythm, the same one was seen to lose
/// twenty times in a row. So from the third attempt on there is a wait by chance before it, up to twice as long each time.
/// All of them together take about half a second where nobody gives way.
///
/// ```
/// # async fn write() -> bool { true }
/// # async fn change() -> Result<(), lakh_hub::Failure> {
/// let mut attempts = lakh_hub::Attempts::default();
/// while attempts.another().await {
///     if write().await {
///         return Ok(());
///     }
/// }
/// Err(lakh_hub::Failure::new("unavailable", "this is being changed; try again"))
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Attempts {
    made: u32,
}

impl Attempts {
    /// So many, and no more.
    pub const MOST: u32 = 20;
    /// Longest wait.
    const LONGEST: Duration = Duration::from_millis(64);

    /// Whether there is another one, once it's time for it.
    pub async fn another(&mut self) -> bool {
        let left = self.made < Self::MOST;
        if left && let Some(longest) = self.longest_wait() {
            let mut chance = [128];
            // Without random bytes all wait the same, which is no worse than not waiting.
            let _ = getrandom::fill(&mut chance);
            tokio::time::sleep(longest.mul_f64(f64::from(chance[0]) / 255.0)).await;
        }
        self.made += 1;
        left
    }

    /// The longest that the next one may wait. `None`: not at all.
    fn longest_wait(&self) -> Option<Duration> {
        let doubled = self.made.checked_sub(2)?;
        Some(Self::LONGEST.min(Duration::from_millis(1 << doubled.min(16))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound() {
        let ms = |made| {
            Attempts { made }
                .longest_wait()
                .map(|wait| wait.as_millis())
        };
        let waits: Vec<_> = (0..10).map(ms).collect();
        let waited = [1, 2, 4, 8, 16, 32, 64, 64].map(Some);
        assert_eq!(waits, [&[None, None], &waited[..]].concat());
        assert_eq!(ms(u32::MAX), Some(64));
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_an_end_to_it() {
        let (mut attempts, mut made) = (Attempts::default(), 0);
        while attempts.another().await {
            made += 1;
        }
        assert_eq!(made, Attempts::MOST);
    }
}
