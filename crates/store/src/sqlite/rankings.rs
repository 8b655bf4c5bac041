//! Rankings: `members` holds the scores, its index by score the order, and a row of `rankings` how many there are.

use rusqlite::{Connection, OptionalExtension, params};

use super::fault::{Fault, int, uint};
use crate::batch::ScoreChange;
use crate::documents::Order;
use crate::limits;
use crate::rankings::{Ranked, ScoreRange, checked_score};

fn open(conn: &Connection, name: &str) -> rusqlite::Result<Option<(i64, u64)>> {
    conn.prepare_cached("SELECT id, members FROM rankings WHERE name = ?1")?
        .query_row([name], |row| Ok((row.get(0)?, uint(row.get(1)?))))
        .optional()
}

fn create(conn: &Connection, name: &str) -> rusqlite::Result<i64> {
    conn.prepare_cached("INSERT INTO rankings (name, members) VALUES (?1, 0)")?
        .execute([name])?;
    Ok(conn.last_insert_rowid())
}

fn score_of(conn: &Connection, ranking: i64, member: &str) -> rusqlite::Result<Option<f64>> {
    conn.prepare_cached("SELECT score FROM members WHERE ranking = ?1 AND member = ?2")?
        .query_row(params![ranking, member], |row| row.get(0))
        .optional()
}

/// Gives a member the score that `change` makes of the one it had.
fn rescore(
    conn: &Connection,
    name: &str,
    member: &str,
    change: impl FnOnce(Option<f64>) -> f64,
) -> Result<ScoreChange, Fault> {
    let known = open(conn, name)?;
    let before = match known {
        Some((id, _)) => score_of(conn, id, member)?,
        None => None,
    };
    let score = checked_score(change(before)).map_err(Fault::Invalid)?;
    let id = match known {
        Some((id, _)) => id,
        None => create(conn, name)?,
    };
    conn.prepare_cached(
        "INSERT INTO members (ranking, member, score) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET score = ?3",
    )?
    .execute(params![id, member, score])?;
    if before.is_none() {
        conn.prepare_cached("UPDATE rankings SET members = members + 1 WHERE id = ?1")?
            .execute([id])?;
    }
    Ok(ScoreChange {
        score,
        added: before.is_none(),
    })
}

pub(crate) fn set(
    conn: &Connection,
    name: &str,
    member: &str,
    score: f64,
) -> Result<ScoreChange, Fault> {
    rescore(conn, name, member, |_| score)
}

pub(crate) fn add(
    conn: &Connection,
    name: &str,
    member: &str,
    by: f64,
) -> Result<ScoreChange, Fault> {
    rescore(conn, name, member, |before| before.unwrap_or(0.0) + by)
}

pub(crate) fn remove_member(conn: &Connection, name: &str, member: &str) -> Result<bool, Fault> {
    let Some((id, members)) = open(conn, name)? else {
        return Ok(false);
    };
    let removed = conn
        .prepare_cached("DELETE FROM members WHERE ranking = ?1 AND member = ?2")?
        .execute(params![id, member])?;
    if removed == 0 {
        return Ok(false);
    }
    if members <= 1 {
        conn.prepare_cached("DELETE FROM rankings WHERE id = ?1")?
            .execute([id])?;
    } else {
        conn.prepare_cached("UPDATE rankings SET members = members - 1 WHERE id = ?1")?
            .execute([id])?;
    }
    Ok(true)
}

/// Takes a ranking's name away; its members go with the purges.
pub(crate) fn remove(conn: &Connection, name: &str) -> Result<bool, Fault> {
    let changed = conn
        .prepare_cached("UPDATE rankings SET name = NULL WHERE name = ?1")?
        .execute([name])?;
    Ok(changed > 0)
}

/// Frees members of removed rankings, at most `limit`.
pub(crate) fn purge(conn: &Connection, limit: usize) -> Result<usize, Fault> {
    let mut removed = 0;
    while removed < limit {
        let next = conn
            .prepare_cached("SELECT id FROM rankings WHERE name IS NULL LIMIT 1")?
            .query_row([], |row| row.get::<_, i64>(0))
            .optional()?;
        let Some(ranking) = next else { break };
        let rows = conn
            .prepare_cached(
                "DELETE FROM members WHERE ranking = ?1 AND member IN (SELECT member FROM members WHERE ranking = ?1 LIMIT ?2)",
            )?
            .execute(params![ranking, int((limit - removed) as u64)])?;
        removed += rows;
        if removed < limit {
            conn.prepare_cached("DELETE FROM rankings WHERE id = ?1")?
                .execute([ranking])?;
            removed += 1;
        }
    }
    Ok(removed)
}

pub(crate) fn score(conn: &Connection, name: &str, member: &str) -> rusqlite::Result<Option<f64>> {
    match open(conn, name)? {
        Some((id, _)) => score_of(conn, id, member),
        None => Ok(None),
    }
}

pub(crate) fn rank(
    conn: &Connection,
    name: &str,
    member: &str,
    order: Order,
) -> rusqlite::Result<Option<u64>> {
    let Some((id, _)) = open(conn, name)? else {
        return Ok(None);
    };
    let Some(score) = score_of(conn, id, member)? else {
        return Ok(None);
    };
    let before = match order {
        Order::Ascending => {
            "SELECT count(*) FROM members WHERE ranking = ?1 AND (score, member) < (?2, ?3)"
        }
        Order::Descending => {
            "SELECT count(*) FROM members WHERE ranking = ?1 AND (score, member) > (?2, ?3)"
        }
    };
    conn.prepare_cached(before)?
        .query_row(params![id, score, member], |row| {
            Ok(Some(uint(row.get(0)?)))
        })
}

pub(crate) fn count(conn: &Connection, name: &str, scores: ScoreRange) -> rusqlite::Result<u64> {
    let Some((id, members)) = open(conn, name)? else {
        return Ok(0);
    };
    if scores == ScoreRange::ALL {
        return Ok(members);
    }
    conn.prepare_cached(
        "SELECT count(*) FROM members WHERE ranking = ?1 AND score BETWEEN ?2 AND ?3",
    )?
    .query_row(params![id, scores.min, scores.max], |row| {
        Ok(uint(row.get(0)?))
    })
}

/// Which of the members in a range of scores.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    pub(crate) offset: u64,
    pub(crate) limit: usize,
    pub(crate) order: Order,
}

pub(crate) fn list(
    conn: &Connection,
    name: &str,
    scores: ScoreRange,
    window: Window,
) -> rusqlite::Result<Vec<Ranked>> {
    let Some((id, _)) = open(conn, name)? else {
        return Ok(Vec::new());
    };
    let mut statement = conn.prepare_cached(match window.order {
        Order::Ascending => {
            "SELECT member, score FROM members WHERE ranking = ?1 AND score BETWEEN ?2 AND ?3
             ORDER BY score, member LIMIT ?4 OFFSET ?5"
        }
        Order::Descending => {
            "SELECT member, score FROM members WHERE ranking = ?1 AND score BETWEEN ?2 AND ?3
             ORDER BY score DESC, member DESC LIMIT ?4 OFFSET ?5"
        }
    })?;
    let limit = int(limits::page(window.limit) as u64);
    let rows = statement.query_map(
        params![id, scores.min, scores.max, limit, int(window.offset)],
        |row| {
            Ok(Ranked {
                member: row.get(0)?,
                score: row.get(1)?,
            })
        },
    )?;
    rows.collect()
}
