//! Rankings as maps of scores, sorted when they are read.

use std::collections::HashMap;

use super::{Refusal, Undo};
use crate::batch::ScoreChange;
use crate::documents::Order;
use crate::limits;
use crate::rankings::{Ranked, ScoreRange, checked_score};

pub(crate) type Ranking = HashMap<String, f64>;

#[derive(Default)]
pub(crate) struct Rankings(HashMap<String, Ranking>);

impl Rankings {
    pub(crate) fn rescore(
        &mut self,
        name: &str,
        member: &str,
        change: impl FnOnce(Option<f64>) -> f64,
        undo: &mut Vec<Undo>,
    ) -> Result<ScoreChange, Refusal> {
        let before = self.score(name, member);
        let score = checked_score(change(before)).map_err(Refusal::Invalid)?;
        self.0
            .entry(name.to_owned())
            .or_default()
            .insert(member.to_owned(), score);
        undo.push(Undo::Score(name.to_owned(), member.to_owned(), before));
        Ok(ScoreChange {
            score,
            added: before.is_none(),
        })
    }

    pub(crate) fn remove_member(&mut self, name: &str, member: &str, undo: &mut Vec<Undo>) -> bool {
        let before = self.score(name, member);
        self.restore_score(name, member, None);
        undo.push(Undo::Score(name.to_owned(), member.to_owned(), before));
        before.is_some()
    }

    pub(crate) fn restore_score(&mut self, name: &str, member: &str, before: Option<f64>) {
        if let Some(score) = before {
            self.0
                .entry(name.to_owned())
                .or_default()
                .insert(member.to_owned(), score);
        } else if let Some(ranking) = self.0.get_mut(name) {
            ranking.remove(member);
            if ranking.is_empty() {
                self.0.remove(name);
            }
        }
    }

    pub(crate) fn remove(&mut self, name: &str, undo: &mut Vec<Undo>) -> bool {
        let before = self.0.remove(name);
        let existed = before.is_some();
        undo.push(Undo::Ranking(name.to_owned(), before));
        existed
    }

    pub(crate) fn restore(&mut self, name: String, before: Option<Ranking>) {
        match before {
            Some(ranking) => self.0.insert(name, ranking),
            None => self.0.remove(&name),
        };
    }

    pub(crate) fn score(&self, name: &str, member: &str) -> Option<f64> {
        self.0.get(name)?.get(member).copied()
    }

    fn sorted(&self, name: &str, scores: ScoreRange, order: Order) -> Vec<(&String, f64)> {
        let members = self.0.get(name).into_iter().flatten();
        let mut sorted: Vec<_> = members
            .map(|(member, score)| (member, *score))
            .filter(|(_, score)| scores.contains(*score))
            .collect();
        sorted.sort_by(|(name, score), (other, other_score)| {
            score.total_cmp(other_score).then(name.cmp(other))
        });
        if order == Order::Descending {
            sorted.reverse();
        }
        sorted
    }

    pub(crate) fn rank(&self, name: &str, member: &str, order: Order) -> Option<u64> {
        let sorted = self.sorted(name, ScoreRange::ALL, order);
        sorted
            .iter()
            .position(|(other, _)| *other == member)
            .map(|rank| rank as u64)
    }

    pub(crate) fn count(&self, name: &str, scores: ScoreRange) -> u64 {
        self.sorted(name, scores, Order::Ascending).len() as u64
    }

    pub(crate) fn list(
        &self,
        name: &str,
        scores: ScoreRange,
        (offset, limit): (u64, usize),
        order: Order,
    ) -> Vec<Ranked> {
        let members = self.sorted(name, scores, order);
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        members
            .into_iter()
            .skip(offset)
            .take(limits::page(limit))
            .map(|(member, score)| Ranked {
                member: member.clone(),
                score,
            })
            .collect()
    }
}
