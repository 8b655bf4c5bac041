//! How many things a request asks for at once, for its caller's pace: a batch by another name must not be cheaper.

use async_graphql::Request;
use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, Selection, SelectionSet,
};

/// Fragments within fragments that are looked into. Whatever is nested deeper is refused before it's executed.
const MAX_DEPTH: usize = 16;
/// What is looked at: more costs more than a request may.
const MAX_LOOKED_AT: usize = 10_000;

/// Fields of the operation that a request runs, each under its own alias; 0 if that can't be told, which its execution
/// will say better.
pub(super) fn root_fields(request: &mut Request) -> usize {
    let wanted = request.operation_name.clone();
    let Ok(document) = request.parsed_query() else {
        return 0;
    };
    let operation = match &document.operations {
        DocumentOperations::Single(operation) => Some(operation),
        DocumentOperations::Multiple(operations) => {
            wanted.and_then(|name| operations.get(name.as_str()))
        }
    };
    let mut left = MAX_LOOKED_AT;
    operation.map_or(0, |operation| {
        fields(
            &operation.node.selection_set.node,
            document,
            MAX_DEPTH,
            &mut left,
        )
    })
}

fn fields(
    set: &SelectionSet,
    document: &ExecutableDocument,
    depth: usize,
    left: &mut usize,
) -> usize {
    let mut count = 0;
    for item in &set.items {
        if *left == 0 || depth == 0 {
            break;
        }
        *left -= 1;
        let inner = match &item.node {
            Selection::Field(_) => {
                count += 1;
                continue;
            }
            Selection::InlineFragment(fragment) => Some(&fragment.node.selection_set.node),
            Selection::FragmentSpread(spread) => {
                let fragment = document.fragments.get(&spread.node.fragment_name.node);
                fragment.map(|fragment| &fragment.node.selection_set.node)
            }
        };
        count += inner.map_or(0, |inner| fields(inner, document, depth - 1, left));
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(query: &str) -> usize {
        root_fields(&mut Request::new(query))
    }

    #[test]
    fn what_is_asked_for_at_once_is_counted_through_fragments() {
        assert_eq!(count("{ a b { c d } }"), 2);
        assert_eq!(
            count("mutation { x: emit y: emit ... on Mutation { z: emit } }"),
            3
        );
        assert_eq!(count("query { ...F a } fragment F on Query { b c }"), 3);
        assert_eq!(count("query A { a } query B { b }"), 0, "nobody says which");
        assert_eq!(count("{"), 0);
    }

    #[test]
    fn fragments_that_grow_without_bound_are_not_followed_to_their_end() {
        assert_eq!(count("{ ...F } fragment F on Query { ...F }"), 0);
        let mut query = "{ ...F0 }".to_owned();
        for n in 0..15 {
            let spreads = format!("...F{} ", n + 1).repeat(100);
            query += &format!(" fragment F{n} on Query {{ a {spreads} }}");
        }
        query += " fragment F15 on Query { a }";
        let counted = count(&query);
        assert!((100..=MAX_LOOKED_AT).contains(&counted), "{counted}");
    }
}
