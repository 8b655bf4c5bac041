//! Seeded noise: random bytes that a seed reproduces. Xorshift64*, by Sebastiano Vigna ("An experimental exploration
//! of Marsaglia's xorshift generators, scrambled").

/// A stream of pseudo-random numbers. The same seed gives the same stream.
#[derive(Clone, Debug)]
pub struct Noise(u64);

impl Noise {
    /// A stream for `seed`; each seed has a stream of its own.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // The state must not be zero, and small seeds must not start alike: one odd multiplication does both.
        Self((seed ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9) | 1)
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`, which must not be 0.
    pub fn below(&mut self, bound: usize) -> usize {
        // The remainder is below `bound`, so it fits. The bias is far too small to matter here.
        (self.next_u64() % bound as u64) as usize
    }

    /// A number from 0 up to 1, without 1.
    pub fn unit(&mut self) -> f64 {
        // 53 bits are what a double holds.
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number from `least` up to `most`.
    pub fn between(&mut self, least: f64, most: f64) -> f64 {
        least + (most - least) * self.unit()
    }

    /// `count` random bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| (self.next_u64() >> 56) as u8).collect()
    }

    /// One of `choices`, which must not be empty.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::Noise;

    #[test]
    fn a_seed_reproduces_its_stream_and_another_seed_does_not() {
        assert_eq!(Noise::new(7).bytes(64), Noise::new(7).bytes(64));
        assert_ne!(Noise::new(7).bytes(64), Noise::new(8).bytes(64));
        assert_ne!(Noise::new(0).bytes(8), vec![0; 8]);
    }

    #[test]
    fn parts_lie_everywhere_between_their_ends() {
        let mut noise = Noise::new(7);
        let mut tenths = [0; 10];
        for _ in 0..10_000 {
            let x = noise.between(-2.0, 3.0);
            assert!((-2.0..3.0).contains(&x));
            tenths[((x + 2.0) * 2.0) as usize] += 1;
        }
        assert!(
            tenths.iter().all(|count| (900..1100).contains(count)),
            "{tenths:?}"
        );
    }
}
