//! `[world]`: the module world.

use crate::config::section::{above_zero, section};

section! {
    /// The module world.
    World as "world" {
        /// Make worlds that aren't there when somebody first enters them.
        open_worlds: bool = true;
        /// Names of the worlds that are made so; `*` stands for any run of characters.
        worlds: String = "*".into();
        /// Most worlds at work on this node at the same time. One without people goes to rest.
        max_worlds: u32 = 1_000;
        /// Time after which a world without people goes to rest: what doesn't last in it is gone then.
        rest_ms: u64 = 30_000;
        /// Ticks a second of worlds that were made without saying; 1 to 60.
        hz: u32 = 20;
        /// How far from 0 such worlds reach along each axis, in their units.
        bounds: u32 = 10_000;
        /// How fast people may move in such worlds, in units a second.
        max_speed: u32 = 64;
        /// How much time's worth of way somebody may be ahead of that, because their clock or the network isn't even.
        slack_ms: u64 = 250;
        /// Inputs a second of one connection. A second's worth may come at once.
        inputs_per_second: u32 = 60;
        /// How far people see who don't say.
        view: u32 = 60;
        /// How far people see at most around themselves, whatever they say.
        max_view: u32 = 1_000;
        /// Let people ask for what isn't around themselves: fixed places, kinds wherever they are, everything.
        far_sight: bool = true;
        /// Bytes a second of frames for people who don't say. At least 8192.
        budget_bytes: u32 = 65_536;
        /// Most bytes a second of frames for one connection, whatever it says.
        max_budget_bytes: u32 = 1_048_576;
        /// Bytes that the kernel keeps back for a connection in a world, beyond what is on its way: the power of two below. Who
        /// doesn't read fills this, and gets fewer frames, each of which tells all that was missed.
        unsent_bytes: u32 = 16_384;
        /// Who was in a world before may choose where to come in; else it's where they were.
        choose_place: bool = true;
        /// Time for which the entity of somebody whose connection broke off waits for them.
        grace_ms: u64 = 15_000;
        /// Most people in one world on this node.
        max_people: u32 = 20_000;
        /// Most entities in one world.
        max_entities: u32 = 100_000;
        /// Most entities of one person in one world, beside their own.
        entities_each: u32 = 1_000;
        /// Most bots that may be let loose in one world; 0 for none.
        max_bots: u32 = 500;
        /// Entities that one person may make, change and remove a second. Four seconds' worth may come at once.
        builds_per_second: u32 = 50;
        /// So many of the nearest are told of in every tick...
        nearest: u32 = 100;
        /// ... so many more as often as `near_every` says, and all others as often as `far_every` does.
        near: u32 = 900;
        /// Every how many ticks those are told of that are near, but not among the nearest: 1, 2, 4, ... 64.
        near_every: u32 = 4;
        /// Every how many ticks all others are told of: 1, 2, 4, ... 64.
        far_every: u32 = 16;
        /// Give worlds that are made when they are first entered land of tiles, 16 by 16 in a chunk.
        open_land: bool = true;
        /// Bytes of one world's land that are kept in memory.
        land_cache_bytes: u32 = 8_388_608;
        /// Requests a second by which one connection changes land, each of up to 256 cells. A second's worth may come at once.
        paints_per_second: u32 = 30;
        /// Most bytes of a picture, or of something else opaque, in a chunk of land.
        max_part_bytes: u32 = 262_144;
    }
    check |world, wrong| {
        above_zero(wrong, &[
            ("max_worlds", world.max_worlds.into()),
            ("bounds", world.bounds.into()),
            ("max_speed", world.max_speed.into()),
            ("inputs_per_second", world.inputs_per_second.into()),
            ("view", world.view.into()),
            ("max_view", world.max_view.into()),
            ("max_people", world.max_people.into()),
            ("builds_per_second", world.builds_per_second.into()),
            ("nearest", world.nearest.into()),
            ("paints_per_second", world.paints_per_second.into()),
        ]);
        if !(1..=60).contains(&world.hz) {
            wrong.push(("hz", "must be 1 to 60".into()));
        }
        if world.bounds > 8_000_000 {
            wrong.push(("bounds", "must be at most 8000000: that's how far positions reach".into()));
        }
        if !(1..=1 << 20).contains(&world.max_entities) {
            wrong.push(("max_entities", "must be 1 to 1048576".into()));
        }
        if world.budget_bytes < 8_192 {
            wrong.push(("budget_bytes", "must be at least 8192".into()));
        }
        if world.max_budget_bytes < world.budget_bytes {
            wrong.push(("max_budget_bytes", "must be at least `world.budget_bytes`".into()));
        }
        if world.land_cache_bytes < 1 << 20 {
            wrong.push(("land_cache_bytes", "must be at least 1048576".into()));
        }
        if world.max_part_bytes > 4 << 20 {
            wrong.push(("max_part_bytes", "must be at most 4194304".into()));
        }
        if world.unsent_bytes < 4_096 {
            wrong.push(("unsent_bytes", "must be at least 4096".into()));
        }
        for (key, every) in [("near_every", world.near_every), ("far_every", world.far_every)] {
            if !(every.is_power_of_two() && every <= 64) {
                wrong.push((key, "must be 1, 2, 4, 8, 16, 32 or 64".into()));
            }
        }
    };
}
