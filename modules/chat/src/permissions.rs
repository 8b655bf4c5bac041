//! Who may do what in a room: by the kind of the room and the role in it.
//!
//! One table, filled from [`defaults`] and changed by the configuration. That somebody may use the module at all is
//! another question, which the policy of the house answers ([`crate::asker`]); both must say yes.

use serde::{Deserialize, Serialize};

/// What somebody is in a room. The order is that of power.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// No member.
    Guest,
    /// A member.
    Member,
    /// Keeps order.
    Moderator,
    /// Decides about the room.
    Owner,
}

/// What a room is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Everybody finds it and may come in.
    Public,
    /// Who is invited may come in; nobody else finds it.
    Private,
    /// Between two or a few people; there is one for each set of them.
    Direct,
    /// Belongs to something outside, such as a post; made on first use, and nobody is its owner.
    Thing,
}

macro_rules! names {
    ($type:ident: $($variant:ident = $name:literal),+ $(,)?) => {
        impl $type {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word for it in the configuration and in answers.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// What a word stands for.
            #[must_use]
            pub fn named(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

names! { Role: Guest = "guest", Member = "member", Moderator = "moderator", Owner = "owner" }
names! { Kind: Public = "public", Private = "private", Direct = "direct", Thing = "thing" }

macro_rules! rights {
    ($($(#[$doc:meta])+ $variant:ident = $name:literal),+ $(,)?) => {
        /// What a role may be allowed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Right { $($(#[$doc])+ $variant),+ }
        names! { Right: $($variant = $name),+ }
    };
}

rights! {
    /// Watch the room, read its history and files, search it.
    Read = "read",
    /// See who is a member.
    SeeMembers = "see_members",
    /// Become a member.
    Join = "join",
    /// Send messages.
    Send = "send",
    /// Reply in threads.
    Reply = "reply",
    /// Put reactions to messages.
    React = "react",
    /// Send files.
    Attach = "attach",
    /// Be shown as typing.
    Typing = "typing",
    /// Send messages of this room on to others.
    Forward = "forward",
    /// Have messages sent later.
    Schedule = "schedule",
    /// Send reactions that float by.
    Live = "live",
    /// Mention all.
    MentionAll = "mention_all",
    /// Change one's own messages.
    EditOwn = "edit_own",
    /// Change messages of others.
    EditAny = "edit_any",
    /// Delete one's own messages.
    DeleteOwn = "delete_own",
    /// Delete messages of others.
    DeleteAny = "delete_any",
    /// Delete messages with their history.
    Purge = "purge",
    /// Pin messages.
    Pin = "pin",
    /// Take somebody's voice for a while.
    Mute = "mute",
    /// Put somebody out.
    Kick = "kick",
    /// Keep somebody out.
    Ban = "ban",
    /// Invite people.
    Invite = "invite",
    /// Put people in without asking them.
    Add = "add",
    /// Change name, topic, picture, data and settings.
    ChangeRoom = "change_room",
    /// Give roles.
    SetRole = "set_role",
    /// Close the room for writing.
    Archive = "archive",
    /// Delete the room.
    DeleteRoom = "delete_room",
    /// Report messages.
    Report = "report",
    /// See reports and close them.
    SeeReports = "see_reports",
    /// See what moderators did.
    SeeLog = "see_log",
    /// Send without waiting where the room is slow.
    SlowModeFree = "slow_mode_free",
}

/// Some of the roles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles(u8);

impl Roles {
    /// Nobody.
    pub const NONE: Self = Self(0);

    /// This role and those with more power.
    #[must_use]
    pub fn from(lowest: Role) -> Self {
        let roles = Role::ALL.iter().filter(|role| **role >= lowest);
        roles.copied().collect()
    }

    /// Whether it is among them.
    #[must_use]
    pub fn has(self, role: Role) -> bool {
        self.0 & (1 << role as u8) != 0
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        Self(roles.into_iter().fold(0, |set, role| set | 1 << role as u8))
    }
}

/// Which roles may do what, in each kind of room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions(Vec<Roles>);

impl Permissions {
    /// Whether a role may do something in a room of this kind.
    #[must_use]
    pub fn allow(&self, kind: Kind, role: Role, right: Right) -> bool {
        self.of(kind, right).has(role)
    }

    /// Who may do something in a room of this kind.
    #[must_use]
    pub fn of(&self, kind: Kind, right: Right) -> Roles {
        self.0[at(kind, right)]
    }

    /// Changes who may do something; without a kind, in rooms of every kind.
    pub fn set(&mut self, kind: Option<Kind>, right: Right, roles: Roles) {
        for each in Kind::ALL {
            if kind.is_none_or(|kind| kind == *each) {
                self.0[at(*each, right)] = roles;
            }
        }
    }
}

fn at(kind: Kind, right: Right) -> usize {
    kind as usize * Right::ALL.len() + right as usize
}

impl Default for Permissions {
    fn default() -> Self {
        let mut permissions = Self(vec![Roles::NONE; Kind::ALL.len() * Right::ALL.len()]);
        for kind in Kind::ALL {
            for right in Right::ALL {
                let roles = defaults(*kind, *right).map_or(Roles::NONE, Roles::from);
                permissions.set(Some(*kind), *right, roles);
            }
        }
        permissions
    }
}

/// The least role that may do something where nothing is configured; `None` is nobody.
fn defaults(kind: Kind, right: Right) -> Option<Role> {
    use Right as R;
    let is_direct = kind == Kind::Direct;
    let is_open = matches!(kind, Kind::Public | Kind::Thing);
    // Who takes part: in comments of a thing everybody does, without becoming a member.
    let part = match kind {
        Kind::Thing => Role::Guest,
        _ => Role::Member,
    };
    match right {
        R::Read | R::SeeMembers if is_open => Some(Role::Guest),
        R::Read | R::SeeMembers => Some(Role::Member),
        R::Join => is_open.then_some(Role::Guest),
        R::Send
        | R::Reply
        | R::React
        | R::Attach
        | R::Typing
        | R::Forward
        | R::Schedule
        | R::Live
        | R::EditOwn
        | R::DeleteOwn
        | R::Report => Some(part),
        R::MentionAll | R::Pin | R::ChangeRoom if is_direct => Some(Role::Member),
        R::Invite if kind == Kind::Public => Some(Role::Member),
        R::EditAny => None,
        R::SlowModeFree => Some(Role::Moderator),
        _ if is_direct => None,
        R::Add | R::SetRole | R::Archive | R::DeleteRoom => Some(Role::Owner),
        R::MentionAll
        | R::Pin
        | R::ChangeRoom
        | R::Invite
        | R::DeleteAny
        | R::Purge
        | R::Mute
        | R::Kick
        | R::Ban
        | R::SeeReports
        | R::SeeLog => Some(Role::Moderator),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each right, and the least role that has it in public, private, direct rooms and those of things: g, m, o(moderator
    /// is `k`), and `-` for nobody.
    const TABLE: &str = "
        read            gmmg
        see_members     gmmg
        join            g--g
        send            mmmg
        reply           mmmg
        react           mmmg
        attach          mmmg
        typing          mmmg
        forward         mmmg
        schedule        mmmg
        live            mmmg
        mention_all     kkmk
        edit_own        mmmg
        edit_any        ----
        delete_own      mmmg
        delete_any      kk-k
        purge           kk-k
        pin             kkmk
        mute            kk-k
        kick            kk-k
        ban             kk-k
        invite          mk-k
        add             oo-o
        change_room     kkmk
        set_role        oo-o
        archive         oo-o
        delete_room     oo-o
        report          mmmg
        see_reports     kk-k
        see_log         kk-k
        slow_mode_free  kkkk
    ";

    #[test]
    fn each_role_may_what_the_table_says() {
        let permissions = Permissions::default();
        let rows: Vec<_> = TABLE.split_whitespace().collect();
        assert_eq!(rows.len(), Right::ALL.len() * 2);
        for (row, right) in rows.chunks(2).zip(Right::ALL) {
            assert_eq!(Right::named(row[0]), Some(*right), "{}", row[0]);
            for (letter, kind) in row[1].chars().zip(Kind::ALL) {
                let least = match letter {
                    'g' => Some(Role::Guest),
                    'm' => Some(Role::Member),
                    'k' => Some(Role::Moderator),
                    'o' => Some(Role::Owner),
                    _ => None,
                };
                for role in Role::ALL {
                    let may = least.is_some_and(|least| *role >= least);
                    let (kind, right) = (*kind, *right);
                    assert_eq!(
                        permissions.allow(kind, *role, right),
                        may,
                        "{kind:?} {role:?} {right:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_configuration_changes_one_kind_or_all() {
        let mut permissions = Permissions::default();
        permissions.set(None, Right::Pin, Roles::from(Role::Member));
        permissions.set(
            Some(Kind::Thing),
            Right::Send,
            [Role::Owner].into_iter().collect(),
        );
        for kind in Kind::ALL {
            assert!(permissions.allow(*kind, Role::Member, Right::Pin));
        }
        assert!(!permissions.allow(Kind::Thing, Role::Moderator, Right::Send));
        assert!(permissions.allow(Kind::Thing, Role::Owner, Right::Send));
        assert!(permissions.allow(Kind::Public, Role::Member, Right::Send));
    }
}
