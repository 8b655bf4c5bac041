//! The order of a room's messages, as most of its receivers saw it.
//!
//! No receiver sees all, and a server that is broken shows them different orders. So what each saw is laid over the
//! others: a step from one message to the next counts once for each who saw it. Where the steps contradict each other,
//! the fewest are left out.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::records::Name;

/// Puts the messages of `sequences` into one order. Where no receiver tells, `sent` does.
#[must_use]
pub fn merge<'a>(
    sequences: impl Iterator<Item = &'a [Name]>,
    sent: impl Fn(Name) -> u64,
) -> Vec<Name> {
    let mut graph = Graph::default();
    for sequence in sequences {
        graph.lay(sequence);
    }
    graph.sort(sent)
}

#[derive(Default)]
struct Graph {
    names: Vec<Name>,
    index: HashMap<Name, usize>,
    /// By message: those that came next, and how often.
    next: Vec<HashMap<usize, u32>>,
}

impl Graph {
    fn node(&mut self, name: Name) -> usize {
        *self.index.entry(name).or_insert_with(|| {
            self.names.push(name);
            self.next.push(HashMap::new());
            self.names.len() - 1
        })
    }

    fn lay(&mut self, sequence: &[Name]) {
        let mut before = None;
        for name in sequence {
            let node = self.node(*name);
            if let Some(before) = before.replace(node)
                && before != node
            {
                *self.next[before].entry(node).or_insert(0) += 1;
            }
        }
    }

    fn sort(&self, sent: impl Fn(Name) -> u64) -> Vec<Name> {
        // By message: how many steps lead into it, and how many of them are left.
        let mut steps: Vec<u32> = vec![0; self.names.len()];
        for (&to, &count) in self.next.iter().flatten() {
            steps[to] += count;
        }
        let mut waits = steps.clone();
        let mut done = vec![false; self.names.len()];
        let mut order = Vec::with_capacity(self.names.len());
        let key = |node: usize| Reverse((sent(self.names[node]), node));
        let free = waits.iter().enumerate().filter(|(_, waits)| **waits == 0);
        let mut ready: BinaryHeap<_> = free.map(|(node, _)| key(node)).collect();
        while order.len() < self.names.len() {
            let free = ready.pop().map(|Reverse((_, node))| node);
            let Some(node) = free.or_else(|| {
                // In a circle: the one into which the smallest part of its steps is left.
                let open = (0..waits.len()).filter(|node| !done[*node]);
                open.min_by_key(|&node| {
                    let part = u64::from(waits[node]) * 1_000 / u64::from(steps[node].max(1));
                    (part, waits[node], sent(self.names[node]))
                })
            }) else {
                break;
            };
            if std::mem::replace(&mut done[node], true) {
                continue;
            }
            order.push(self.names[node]);
            for (&to, &count) in &self.next[node] {
                waits[to] -= count;
                if waits[to] == 0 && !done[to] {
                    ready.push(key(to));
                }
            }
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::merge;
    use crate::records::Name;

    fn names(numbers: &[u32]) -> Vec<Name> {
        let name = |number: &u32| Name {
            writer: 1,
            number: *number,
        };
        numbers.iter().map(name).collect()
    }

    fn merged(sequences: &[&[u32]]) -> Vec<u32> {
        let sequences: Vec<_> = sequences.iter().map(|numbers| names(numbers)).collect();
        // Sent backwards, so that it is what was seen that counts.
        let order = merge(sequences.iter().map(Vec::as_slice), |name| {
            u64::from(1_000 - name.number)
        });
        order.iter().map(|name| name.number).collect()
    }

    #[test]
    fn parts_make_a_whole() {
        assert_eq!(
            merged(&[&[1, 2, 3], &[3, 4], &[2, 3, 4, 5]]),
            [1, 2, 3, 4, 5]
        );
        assert_eq!(merged(&[&[1, 3], &[1, 2, 3]]), [1, 2, 3]);
    }

    #[test]
    fn most_receivers_are_right() {
        let right: &[u32] = &[1, 2, 3, 4];
        assert_eq!(merged(&[right, &[1, 3, 2, 4], right]), [1, 2, 3, 4]);
        assert_eq!(merged(&[&[2, 1, 3, 4], right, right]), [1, 2, 3, 4]);
        assert_eq!(merged(&[right, right, &[1, 2, 4, 3]]), [1, 2, 3, 4]);
    }
}
