//! How state, locks and cursors are set up.

/// Where a room's state and locks are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeepState {
    /// In memory on a node that is alone, in the store where several share one.
    #[default]
    Auto,
    /// In this node's memory. It's gone when the node ends; in a fleet it's refused.
    Memory,
    /// In the store.
    Store,
}

/// Whether there are others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nodes {
    /// This node is alone.
    #[default]
    One,
    /// It's one of several that share the store.
    SharedStore,
    /// It's one of several, and each has a store of its own: state and locks are refused.
    OwnStores,
}

/// What holds for all rooms of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateSetup {
    /// Whether there are other nodes.
    pub nodes: Nodes,
    /// Rooms whose state or locks this node has in memory at most; the two count apart.
    pub max_rooms: usize,
    /// Milliseconds between two batches of cursors.
    pub cursor_tick_ms: u64,
}

impl Default for StateSetup {
    fn default() -> Self {
        Self {
            nodes: Nodes::One,
            max_rooms: 100_000,
            cursor_tick_ms: 50,
        }
    }
}

/// Options of state, locks and cursors, for rooms of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateOptions {
    /// Where it's kept.
    pub keep: KeepState,
    /// Keys of a room at most.
    pub max_keys: usize,
    /// Longest value, in bytes of JSON.
    pub max_value_bytes: usize,
    /// Bytes of a room's keys and values together, and 64 for each.
    pub max_room_bytes: usize,
    /// Writes of state that one socket may make in a second; besides, as many reads, and as many requests for locks. As many may
    /// come at once.
    pub writes_per_second: u32,
    /// Milliseconds for which the store keeps changes for those who ask what has changed since.
    pub kept_changes_ms: u64,
    /// Milliseconds for which what goes with somebody stays when their connection has broken off.
    pub owner_grace_ms: u64,
    /// A change is sent as a patch if that has at most so many percent of the value's bytes.
    pub patch_percent: u32,
    /// Prefixes of keys that belong to a person: `{user}` stands for their id.
    pub own_keys: Vec<String>,
    /// Longest time for which a lock may be taken or waited for, in milliseconds.
    pub max_lock_ms: u64,
    /// Sockets that may wait for one lock.
    pub max_lock_waiters: usize,
    /// Moves that one socket may make in a second.
    pub cursor_moves_per_second: u32,
    /// Positions that each member is told in a second at most: in crowds batches come less often.
    pub cursor_positions_per_second: u32,
    /// Longest data of a cursor besides its place, in bytes of JSON.
    pub max_cursor_bytes: usize,
}

impl Default for StateOptions {
    fn default() -> Self {
        Self {
            keep: KeepState::Auto,
            max_keys: 1_000,
            max_value_bytes: 65_536,
            max_room_bytes: 1 << 20,
            writes_per_second: 100,
            kept_changes_ms: 120_000,
            owner_grace_ms: 10_000,
            patch_percent: 50,
            own_keys: Vec::new(),
            max_lock_ms: 300_000,
            max_lock_waiters: 100,
            cursor_moves_per_second: 60,
            cursor_positions_per_second: 2_000,
            max_cursor_bytes: 256,
        }
    }
}
