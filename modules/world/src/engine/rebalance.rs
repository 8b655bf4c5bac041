//! Divides leaves with too many in them, and joins those with too few.
//!
//! The parcels of what is divided or joined are closed: they are no leaf's any more, and are kept a while to say where
//! their entities went.

use super::space::Place;
use super::step::Step;

impl Step<'_> {
    pub(crate) fn divide_and_unite(&mut self) {
        let mut entities = Vec::new();
        // A child that is crowded itself is noted as its entities join it.
        while let Some(place) = self.works.crowded.pop() {
            if place.may_be_divided(self.layout) && self.is_crowded(place) {
                for number in self.view.grid.divide(place) {
                    self.close(number, &mut entities);
                }
                for index in entities.drain(..) {
                    self.relocate(index);
                }
            }
        }
        while let Some(place) = self.works.sparse.pop() {
            let Some(parcels) = self.view.grid.of_children(place) else {
                continue;
            };
            let count: usize = parcels
                .iter()
                .map(|number| usize::from(self.view.heads[*number as usize].count))
                .sum();
            if count > self.setup.join {
                continue;
            }
            self.view.grid.unite(place);
            for number in parcels {
                self.close(number, &mut entities);
            }
            for index in entities.drain(..) {
                self.relocate(index);
            }
            self.works.sparse.extend(place.parent());
        }
        // Joining notes what it crowds, and what was just united is not.
        self.works.crowded.clear();
    }

    fn is_crowded(&self, place: Place) -> bool {
        let parcels = self.view.grid.parcels(place);
        parcels.iter().any(|number| {
            let kind = self.view.heads[*number as usize].kind;
            let of_kind: usize = parcels
                .iter()
                .map(|other| &self.view.heads[*other as usize])
                .filter(|other| other.kind == kind)
                .map(|other| usize::from(other.count))
                .sum();
            of_kind > self.setup.split
        })
    }
}
