//! Rankings: members with a score, sorted by score and then by the member's bytes.
//!
//! Scores are finite; −0 is 0. A ranking without members is no ranking.

/// A member and its score.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    /// The member's name.
    pub member: String,
    /// Its score, finite.
    pub score: f64,
}

/// Scores from `min` to `max`, both included. Either may be infinite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreRange {
    /// Lowest score meant.
    pub min: f64,
    /// Highest score meant.
    pub max: f64,
}

impl ScoreRange {
    /// Every score.
    pub const ALL: Self = Self {
        min: f64::NEG_INFINITY,
        max: f64::INFINITY,
    };

    /// Whether a score lies in it.
    #[must_use]
    pub fn contains(&self, score: f64) -> bool {
        self.min <= score && score <= self.max
    }
}

/// A score that can be kept, or the reason why not.
pub(crate) fn checked_score(score: f64) -> Result<f64, String> {
    if !score.is_finite() {
        return Err(format!(
            "the score would be {score}; scores are finite numbers"
        ));
    }
    // SQLite keeps whole numbers as integers and so forgets the sign of a zero; no backend shall keep it.
    Ok(if score == 0.0 { 0.0 } else { score })
}
