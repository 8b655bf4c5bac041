//! `person:find`: people by the beginning of their name or id.

use lakh_hub::Failure;
use lakh_hub::store::Scan;
use serde::{Deserialize, Serialize};

use super::profile::Profile;
use crate::asker::Asker;
use crate::records::{self, FoundRecord};
use crate::{Chat, names, stored};

/// People in a page when the client names no number.
const PAGE: usize = 20;
/// People in a page at most.
const MAX_PAGE: usize = 100;
/// Longest search, in characters.
const MAX_SEARCH_CHARS: usize = 64;
/// Bytes of a folded name that count: with the longest id it fits into a key.
const MAX_FOLDED_BYTES: usize = 96;

/// A name so that those that only differ in case, spaces at the ends or control characters are the same.
pub(crate) fn fold(name: &str) -> String {
    let plain = name
        .trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c });
    let mut folded: String = plain.flat_map(char::to_lowercase).collect();
    let mut end = folded.len().min(MAX_FOLDED_BYTES);
    while !folded.is_char_boundary(end) {
        end -= 1;
    }
    folded.truncate(end);
    folded
}

/// Under which key a person is found by a name or by their id.
pub(super) fn key(name: &str, id: &str) -> String {
    format!("{}\n{id}", fold(name))
}

#[derive(Deserialize)]
pub(crate) struct Find {
    search: String,
    cursor: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize)]
pub(crate) struct Found {
    people: Vec<Profile>,
    cursor: Option<String>,
}

pub(crate) async fn find(chat: &Chat, asker: &Asker, request: Find) -> Result<Found, Failure> {
    if request.search.chars().nth(MAX_SEARCH_CHARS).is_some() {
        return Err(Failure::bad_request(format!(
            "search is at most {MAX_SEARCH_CHARS} characters"
        )));
    }
    let limit = request.limit.unwrap_or(PAGE).min(MAX_PAGE);
    if limit == 0 {
        return Err(Failure::bad_request(format!("limit is 1 to {MAX_PAGE}")));
    }
    names::check_cursor(request.cursor.as_ref())?;
    let search = fold(&request.search);
    let scan = Scan::prefix(&search).limit(limit).after(request.cursor);
    let page = stored::scan(chat, names::FOUND_BY, scan).await?;
    let mut ids = Vec::with_capacity(page.items.len());
    let mut found = Vec::with_capacity(page.items.len());
    for (key, document) in page.items {
        let by: FoundRecord = records::read(&document)?;
        if let Some((_, id)) = key.split_once('\n')
            && asker.may("profile", id)
        {
            ids.push(id.to_owned());
            found.push(by);
        }
    }
    let profiles = super::profiles(chat, &ids).await?;
    let mut people = Vec::with_capacity(ids.len());
    for ((id, by), record) in ids.into_iter().zip(found).zip(profiles) {
        let Some(record) = record else { continue };
        // Who is found by both stands where the name does.
        let by_name = fold(&record.name).starts_with(&search);
        if by == FoundRecord::Name || !by_name {
            people.push(Profile::new(id, record));
        }
    }
    Ok(Found {
        people,
        cursor: page.next,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_spaces_at_the_ends_make_no_difference() {
        assert_eq!(fold("  Ada LOVELACE "), "ada lovelace");
        assert_eq!(fold("ÉMILE"), "émile");
        assert_eq!(fold("a\nb"), "a b");
    }

    #[test]
    fn the_longest_names_fit_into_the_store() {
        for name in ["x".repeat(500), "é".repeat(300), "🦀".repeat(200)] {
            let key = key(&name, &"i".repeat(400));
            assert!(key.len() <= lakh_hub::store::MAX_NAME_BYTES, "{name}");
        }
    }
}
