//! Values to arguments and back.

use serde_json::{Value, json};

use super::*;

#[derive(Debug, PartialEq, serde::Deserialize)]
struct Newtype(Option<u8>);

fn text<T: Serialize>(args: &T) -> String {
    encode(Some("e"), args)
        .map(|payload| payload.text)
        .unwrap_or_default()
}

fn answer<T: Serialize>(args: &T) -> String {
    encode(None, args)
        .map(|payload| payload.text)
        .unwrap_or_default()
}

#[test]
fn a_tuple_is_a_list_of_arguments_and_anything_else_is_one() {
    assert_eq!(text(&()), r#"["e"]"#);
    assert_eq!(text(&"x"), r#"["e","x"]"#);
    assert_eq!(text(&("x", 1, [true])), r#"["e","x",1,[true]]"#);
    assert_eq!(text(&vec![1, 2]), r#"["e",[1,2]]"#);
    assert_eq!(text(&json!({"a": 1})), r#"["e",{"a":1}]"#);
    assert_eq!(text(&None::<u8>), r#"["e",null]"#);
    assert_eq!(text(&Value::Null), r#"["e",null]"#);
    assert_eq!(answer(&Value::Null), "[null]");
    assert_eq!(answer(&("x", 2)), r#"["x",2]"#);
    assert_eq!(answer(&()), "[]");
}

#[test]
fn arguments_are_read_as_javascript_would() -> Result<(), ArgsError> {
    let list = r#"["e", "x", 1, {"a":[1]}]"#;
    assert_eq!(decode::<String>(list, 1, &[])?, "x");
    assert_eq!(decode::<(String, u8)>(list, 1, &[])?, ("x".to_owned(), 1));
    let (_, _, _, missing) = decode::<(String, u8, Value, Option<u8>)>(list, 1, &[])?;
    assert_eq!(missing, None);
    assert_eq!(decode::<Option<String>>(r#"["e"]"#, 1, &[])?, None);
    decode::<()>(list, 1, &[])?;
    assert!(decode::<u8>(list, 1, &[]).is_err());
    // One argument that is missing is null, in a tuple as well.
    assert_eq!(
        decode::<(Value, Option<Value>)>("[1]", 1, &[])?,
        (Value::Null, None)
    );
    assert!(decode::<(String, u8)>(r#"["e","x"]"#, 1, &[]).is_err());
    assert_eq!(decode::<Vec<u8>>("[[1,2],3]", 0, &[])?, [1, 2]);
    assert_eq!(
        decode::<(Vec<u8>, u8)>(" [ [1,2] , 3 ] ", 0, &[])?,
        (vec![1, 2], 3)
    );
    assert_eq!(decode::<Option<Newtype>>("[]", 0, &[])?, None);
    assert_eq!(decode::<(Newtype,)>("[]", 0, &[])?.0, Newtype(None));
    Ok(())
}

#[test]
fn binary_values_travel_as_attachments() -> Result<(), ArgsError> {
    let sent = (
        Binary(Bytes::from_static(b"one")),
        json!(5),
        vec![Binary(Bytes::from_static(b"two"))],
    );
    let payload = encode(Some("e"), &sent)?;
    assert_eq!(
        &*payload.text,
        r#"["e",{"_placeholder":true,"num":0},5,[{"_placeholder":true,"num":1}]]"#
    );
    let back: (Binary, Value, Vec<Binary>) = decode(&payload.text, 1, &payload.attachments)?;
    assert_eq!(back, sent);
    Ok(())
}

#[test]
fn a_placeholder_without_its_attachment_is_an_error() {
    assert!(decode::<Binary>(r#"["e",{"_placeholder":true,"num":3}]"#, 1, &[]).is_err());
}
