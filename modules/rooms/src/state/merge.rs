//! JSON merge patches (RFC 7396): applying one to a value, and finding the one that leads from a value to another.

use serde_json::{Map, Value};

/// What is left of `target` when `patch` was applied.
pub(crate) fn apply(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else {
        return;
    };
    for (name, change) in patch {
        if change.is_null() {
            target.remove(&name);
        } else {
            apply(target.entry(name).or_insert(Value::Null), change);
        }
    }
}

/// The patch that makes `new` out of `old`. `None`, if no patch can: it can't put a null into an object.
pub(crate) fn diff(old: &Value, new: &Value) -> Option<Value> {
    let (Value::Object(before), Value::Object(after)) = (old, new) else {
        return whole(new);
    };
    let mut patch = Map::new();
    for name in before.keys() {
        if !after.contains_key(name) {
            patch.insert(name.clone(), Value::Null);
        }
    }
    for (name, value) in after {
        match before.get(name) {
            Some(same) if same == value => {}
            Some(other) => {
                patch.insert(name.clone(), diff(other, value)?);
            }
            None => {
                patch.insert(name.clone(), whole(value)?);
            }
        }
    }
    Some(Value::Object(patch))
}

/// A value as a patch that puts it where something else is. Nulls in its objects would be taken for removals, and an object
/// would be merged with what it is to replace.
fn whole(value: &Value) -> Option<Value> {
    let keeps = match value {
        Value::Object(members) => members
            .values()
            .all(|member| !member.is_null() && whole(member).is_some()),
        Value::Null => false,
        _ => true,
    };
    keeps.then(|| value.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The table of RFC 7396, appendix A.
    #[test]
    fn patches_do_what_the_standard_says() {
        let table = [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (
                json!({"a":"b","b":"c"}),
                json!({"a":null}),
                json!({"b":"c"}),
            ),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (
                json!({"a":{"b":"c"}}),
                json!({"a":{"b":"d","c":null}}),
                json!({"a":{"b":"d"}}),
            ),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a":"b"}), json!(["c"]), json!(["c"])),
            (json!({"a":"foo"}), json!(null), json!(null)),
            (json!({"a":"foo"}), json!("bar"), json!("bar")),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!([1, 2]), json!({"a":"b","c":null}), json!({"a":"b"})),
            (
                json!({}),
                json!({"a":{"bb":{"ccc":null}}}),
                json!({"a":{"bb":{}}}),
            ),
        ];
        for (mut target, patch, result) in table {
            apply(&mut target, patch.clone());
            assert_eq!(target, result, "{patch}");
        }
    }

    #[test]
    fn a_patch_that_was_found_leads_from_one_value_to_the_other() {
        let values = [
            json!(1),
            json!([1, null]),
            json!({}),
            json!({"a": 1, "b": {"c": [1, {"d": null}]}}),
            json!({"a": {"x": 1}, "b": {"c": [1], "e": "f"}}),
            json!({"b": {}}),
            json!({"a": {"b": {"c": {"d": 1}}}}),
            json!({"a": {"b": 1}}),
        ];
        for old in &values {
            for new in &values {
                let patch = diff(old, new).unwrap_or_else(|| panic!("{old} to {new}"));
                let mut patched = old.clone();
                apply(&mut patched, patch.clone());
                assert_eq!(patched, *new, "{old} with {patch}");
            }
        }
    }

    #[test]
    fn what_no_patch_can_say_is_told_whole() {
        assert_eq!(diff(&json!({"a": 1}), &json!({"a": null})), None);
        assert_eq!(diff(&json!({}), &json!({"a": {"b": null}})), None);
        assert_eq!(diff(&json!(1), &json!(null)), None);
        assert_eq!(
            diff(&json!({"a": null}), &json!({"a": null})),
            Some(json!({}))
        );
    }
}
