//! Where things are: cells that divide where it's crowded.
//!
//! Space is cut into base cells of 2^`cell_bits` steps; each that has anything in it is the root of a tree, whose leaves
//! hold parcels. A leaf with too many entities gets four (eight) children; they are joined again when few are left. An
//! entity changes its leaf only when it's a sixteenth of the edge beyond the border, so that who walks along a border
//! doesn't change all the time.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::quantise::FARTHEST;
use super::schema::{Layout, MIN_CELL_BITS};

/// A position in steps. In two dimensions the third is 0.
pub(crate) type Steps = [i32; 3];

/// A cell: how often its base cell was divided to get it, and its number along each axis among the cells of that size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) level: u8,
    pub(crate) at: Steps,
}

/// Stands for no cell: for parcels of what is seen wherever it is.
const EVERYWHERE: u8 = u8::MAX;

/// Bits of a position that is not relative to a cell.
const WHOLE_BITS: u32 = FARTHEST.trailing_zeros() + 1;

impl Place {
    pub(crate) const EVERYWHERE: Self = Self {
        level: EVERYWHERE,
        at: [0; 3],
    };

    pub(crate) fn is_everywhere(self) -> bool {
        self.level == EVERYWHERE
    }

    /// Bits of the edge, in steps.
    pub(crate) fn edge_bits(self, layout: &Layout) -> u32 {
        layout.cell_bits - u32::from(self.level)
    }

    /// Where positions in this cell are counted from, along each axis, and how many bits they take. There is room for an
    /// eighth of the edge beyond each border.
    pub(crate) fn frame(self, layout: &Layout) -> (Steps, u32) {
        if self.is_everywhere() {
            return ([-FARTHEST; 3], WHOLE_BITS);
        }
        let bits = self.edge_bits(layout);
        (self.at.map(|at| (at << bits) - (1 << bits) / 8), bits + 1)
    }

    /// Whether an entity of this cell may stay in it.
    pub(crate) fn keeps(self, q: Steps, layout: &Layout) -> bool {
        self.has(q, 16, layout)
    }

    /// Whether a position is no farther than half the edge.
    pub(crate) fn is_next_to(self, q: Steps, layout: &Layout) -> bool {
        self.has(q, 2, layout)
    }

    fn has(self, q: Steps, part: i32, layout: &Layout) -> bool {
        if self.is_everywhere() {
            return true;
        }
        let bits = self.edge_bits(layout);
        let margin = (1 << bits) / part;
        (0..layout.dims).all(|axis| {
            let inside = q[axis] - (self.at[axis] << bits);
            inside >= -margin && inside < (1 << bits) + margin
        })
    }

    /// The box in which all of its entities are: the least corner and the edge.
    pub(crate) fn bounds(self, layout: &Layout) -> (Steps, i32) {
        if self.is_everywhere() {
            return ([0; 3], 0);
        }
        let bits = self.edge_bits(layout);
        let margin = (1 << bits) / 16;
        let mut least = [0; 3];
        for (least, at) in least.iter_mut().zip(self.at).take(layout.dims) {
            *least = (at << bits) - margin;
        }
        (least, (1 << bits) + 2 * margin)
    }

    pub(crate) fn may_be_divided(self, layout: &Layout) -> bool {
        self.edge_bits(layout) > u32::from(MIN_CELL_BITS)
    }

    pub(crate) fn parent(self) -> Option<Self> {
        (self.level != 0 && !self.is_everywhere()).then(|| Self {
            level: self.level - 1,
            at: self.at.map(|at| at >> 1),
        })
    }

    /// Whether a frame may name it: nothing outside of a world, no smaller than the smallest.
    pub(crate) fn is_sound(self, layout: &Layout) -> bool {
        u32::from(self.level) <= layout.cell_bits - u32::from(MIN_CELL_BITS)
            && (0..layout.dims).all(|axis| {
                let at = i64::from(self.at[axis]) << self.edge_bits(layout);
                at.abs() <= i64::from(FARTHEST)
            })
    }
}

/// A node of a base cell's tree.
#[derive(Clone, Debug, Default)]
struct Node {
    /// Where its children are; 0 for a leaf, as the root is nobody's child.
    children: u32,
    /// The parcels of a leaf.
    parcels: SmallVec<[u32; 4]>,
}

/// A base cell's tree.
#[derive(Clone, Debug)]
struct Root {
    nodes: Vec<Node>,
    /// Groups of children that are not used.
    free: Vec<u32>,
}

impl Root {
    /// The node of a place, if the tree reaches that deep.
    fn find(&self, place: Place, dims: usize) -> Option<usize> {
        let mut node = 0;
        for level in 1..=u32::from(place.level) {
            let children = self.nodes[node].children;
            if children == 0 {
                return None;
            }
            let shift = u32::from(place.level) - level;
            node = (children + child_towards(place.at, shift, dims)) as usize;
        }
        Some(node)
    }
}

/// Which of a node's children, at this level, has the place.
fn child_towards(at: Steps, shift: u32, dims: usize) -> u32 {
    (0..dims).fold(0, |child, axis| {
        child | ((at[axis] >> shift & 1) as u32) << axis
    })
}

/// All cells that hold something.
#[derive(Clone, Debug)]
pub(crate) struct Grid {
    cell_bits: u32,
    dims: usize,
    roots: FxHashMap<Steps, Arc<Root>>,
}

impl Grid {
    pub(crate) fn new(layout: &Layout) -> Self {
        Self {
            cell_bits: layout.cell_bits,
            dims: layout.dims,
            roots: FxHashMap::default(),
        }
    }

    fn root_of(&self, place: Place) -> Steps {
        place.at.map(|at| at >> place.level)
    }

    /// The leaf that a position lies in. There need be nothing in it.
    pub(crate) fn leaf(&self, q: Steps) -> Place {
        let key = q.map(|x| x >> self.cell_bits);
        let mut level = 0;
        if let Some(root) = self.roots.get(&key) {
            let mut node = &root.nodes[0];
            while node.children != 0 {
                level += 1;
                let child = child_towards(q, self.cell_bits - level, self.dims);
                node = &root.nodes[(node.children + child) as usize];
            }
        }
        Place {
            level: level as u8,
            at: q.map(|x| x >> (self.cell_bits - level)),
        }
    }

    /// The parcels of a leaf.
    pub(crate) fn parcels(&self, place: Place) -> &[u32] {
        let root = self.roots.get(&self.root_of(place));
        root.and_then(|root| Some(&root.nodes[root.find(place, self.dims)?].parcels[..]))
            .unwrap_or_default()
    }

    /// The list of a leaf's parcels, to be changed. The leaf is made if it's a base cell.
    pub(crate) fn parcels_mut(&mut self, place: Place) -> Option<&mut SmallVec<[u32; 4]>> {
        let key = self.root_of(place);
        let root = self.roots.entry(key).or_insert_with(|| {
            Arc::new(Root {
                nodes: vec![Node::default()],
                free: Vec::new(),
            })
        });
        // Found before it's made our own: a shared tree that has no such node is not copied.
        let node = root.find(place, self.dims)?;
        Some(&mut Arc::make_mut(root).nodes[node].parcels)
    }

    /// Divides a leaf; its parcels are handed back.
    pub(crate) fn divide(&mut self, place: Place) -> SmallVec<[u32; 4]> {
        let Some(root) = self.roots.get(&self.root_of(place)) else {
            return SmallVec::new();
        };
        let Some(node) = root.find(place, self.dims) else {
            return SmallVec::new();
        };
        let key = self.root_of(place);
        let Some(root) = self.roots.get_mut(&key).map(Arc::make_mut) else {
            return SmallVec::new();
        };
        let count = 1 << self.dims;
        let children = root.free.pop().unwrap_or_else(|| {
            let children = root.nodes.len() as u32;
            root.nodes
                .resize_with(root.nodes.len() + count, Node::default);
            children
        });
        root.nodes[node].children = children;
        std::mem::take(&mut root.nodes[node].parcels)
    }

    /// The parcels of a cell's children, if it's divided into leaves.
    pub(crate) fn of_children(&self, place: Place) -> Option<SmallVec<[u32; 16]>> {
        let root = self.roots.get(&self.root_of(place))?;
        let children = root.nodes[root.find(place, self.dims)?].children as usize;
        if children == 0 {
            return None;
        }
        let children = &root.nodes[children..children + (1 << self.dims)];
        if children.iter().any(|child| child.children != 0) {
            return None;
        }
        Some(
            children
                .iter()
                .flat_map(|child| child.parcels.iter().copied())
                .collect(),
        )
    }

    /// Makes a cell whose children are leaves a leaf.
    pub(crate) fn unite(&mut self, place: Place) {
        let key = self.root_of(place);
        let Some(node) = self
            .roots
            .get(&key)
            .and_then(|root| root.find(place, self.dims))
        else {
            return;
        };
        let Some(root) = self.roots.get_mut(&key).map(Arc::make_mut) else {
            return;
        };
        let children = std::mem::take(&mut root.nodes[node].children);
        for child in children as usize..children as usize + (1 << self.dims) {
            root.nodes[child].parcels.clear();
        }
        root.free.push(children);
    }

    /// Forgets a base cell with nothing in it.
    pub(crate) fn tidy(&mut self, place: Place) {
        let key = self.root_of(place);
        if self
            .roots
            .get(&key)
            .is_some_and(|root| root.nodes[0].children == 0 && root.nodes[0].parcels.is_empty())
        {
            self.roots.remove(&key);
        }
    }

    /// Puts a parcel into the leaf of a place, dividing what is above it. Whether it fits: nothing may be in a cell around
    /// it or within it.
    pub(crate) fn open(&mut self, place: Place, number: u32) -> bool {
        let leaf = |level| Place {
            level,
            at: place.at.map(|at| at >> (place.level - level)),
        };
        for level in 0..place.level {
            let root = self.roots.get(&self.root_of(place));
            let node = root.and_then(|root| Some(&root.nodes[root.find(leaf(level), self.dims)?]));
            match node {
                Some(node) if node.children != 0 => {}
                Some(node) if !node.parcels.is_empty() => return false,
                _ => {
                    // The base cell is there from here on.
                    self.parcels_mut(leaf(level));
                    self.divide(leaf(level));
                }
            }
        }
        let root = self.roots.get(&self.root_of(place));
        let node = root.and_then(|root| Some(&root.nodes[root.find(place, self.dims)?]));
        if node.is_some_and(|node| node.children != 0) {
            return false;
        }
        if let Some(parcels) = self.parcels_mut(place) {
            parcels.push(number);
        }
        true
    }

    /// Takes a parcel out of its leaf, and unites what is empty around it.
    pub(crate) fn shut(&mut self, mut place: Place, number: u32) {
        if let Some(parcels) = self.parcels_mut(place) {
            parcels.retain(|other| *other != number);
        }
        while let Some(parent) = place.parent() {
            match self.of_children(parent) {
                Some(parcels) if parcels.is_empty() => self.unite(parent),
                _ => break,
            }
            place = parent;
        }
        self.tidy(place);
    }

    /// Gives the parcels of all leaves of which `wanted` says yes, and so of all cells around them; it's given a cell's
    /// box, and asked of a cell before its children. `area` (least and greatest corner) is where to look.
    pub(crate) fn visit(
        &self,
        area: (Steps, Steps),
        layout: &Layout,
        wanted: &mut dyn FnMut(Steps, i32) -> bool,
        found: &mut dyn FnMut(&[u32]),
    ) {
        // An entity may be a sixteenth of the edge beyond the border of its cell.
        let margin = (1 << self.cell_bits) / 16;
        let least = area.0.map(|x| x.saturating_sub(margin) >> self.cell_bits);
        let greatest = area.1.map(|x| x.saturating_add(margin) >> self.cell_bits);
        let cells: i64 = (0..self.dims)
            .map(|axis| i64::from(greatest[axis]) - i64::from(least[axis]) + 1)
            .fold(1, i64::saturating_mul);
        let mut walk = |root: &Root, at: Steps| {
            self.walk(root, 0, Place { level: 0, at }, layout, wanted, found);
        };
        if cells > self.roots.len() as i64 {
            for (&at, root) in &self.roots {
                walk(root, at);
            }
            return;
        }
        let third = if self.dims == 3 {
            least[2]..=greatest[2]
        } else {
            0..=0
        };
        for z in third {
            for y in least[1]..=greatest[1] {
                for x in least[0]..=greatest[0] {
                    if let Some(root) = self.roots.get(&[x, y, z]) {
                        walk(root, [x, y, z]);
                    }
                }
            }
        }
    }

    fn walk(
        &self,
        root: &Root,
        node: usize,
        place: Place,
        layout: &Layout,
        wanted: &mut dyn FnMut(Steps, i32) -> bool,
        found: &mut dyn FnMut(&[u32]),
    ) {
        let (least, edge) = place.bounds(layout);
        if !wanted(least, edge) {
            return;
        }
        let node = &root.nodes[node];
        if node.children == 0 {
            return found(&node.parcels);
        }
        for child in 0..1_u32 << self.dims {
            let mut at = place.at;
            for (axis, at) in at.iter_mut().enumerate().take(self.dims) {
                *at = *at << 1 | (child >> axis & 1) as i32;
            }
            let level = place.level + 1;
            let child = (node.children + child) as usize;
            self.walk(root, child, Place { level, at }, layout, wanted, found);
        }
    }
}
