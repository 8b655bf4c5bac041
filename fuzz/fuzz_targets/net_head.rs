//! Request heads: whole and in pieces agree, what is taken keeps its promises, and every refusal is one answer.
#![no_main]

use lakh_net::fuzzing::{
    Head, HeadError, HeadReader, ParsedHead, header_slots, parse_head, write_head_error,
};
use libfuzzer_sys::fuzz_target;

const MAX_HEAD_BYTES: usize = 1024;

fuzz_target!(|data: &[u8]| {
    let Some((&piece, bytes)) = data.split_first() else {
        return;
    };
    let mut slots = header_slots();
    let whole = match parse_head(bytes, &mut slots, MAX_HEAD_BYTES) {
        ParsedHead::Partial => {
            assert!(bytes.len() <= MAX_HEAD_BYTES);
            return;
        }
        ParsedHead::Complete { head, len } => {
            assert!(len <= bytes.len().min(MAX_HEAD_BYTES));
            check_head(&head);
            Some(len)
        }
        ParsedHead::Invalid(error) => {
            check_answer(error);
            None
        }
    };
    let pieces = in_pieces(bytes, usize::from(piece) + 1);
    // A head may be refused earlier in pieces than whole, or later, but never be read with another length.
    if whole.is_some() || pieces.is_some() {
        assert_eq!(whole, pieces);
    }
});

fn check_head(head: &Head<'_>) {
    let path = head.path();
    assert!(path.is_empty() || path.starts_with('/'));
    assert!(!path.contains(['?', '#']));
    assert!(!head.query().unwrap_or_default().contains('#'));
    let _ = head.keep_alive();
    match head.websocket_upgrade() {
        Ok(upgrade) => {
            assert!(head.wants_websocket());
            assert_eq!((head.method, head.minor_version), ("GET", 1));
            assert_eq!(upgrade.key.len(), 24);
            assert!(head.header("transfer-encoding").is_none());
            assert!(head.header_values("content-length").count() <= 1);
            assert_eq!(head.header_values("host").count(), 1);
        }
        Err(error) => check_answer(error),
    }
}

fn check_answer(error: HeadError) {
    let mut out = bytes::BytesMut::new();
    write_head_error(&mut out, error);
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut answer = httparse::Response::new(&mut headers);
    let parsed = answer.parse(&out).expect("every refusal is an answer");
    assert_eq!(
        parsed,
        httparse::Status::Complete(out.len() - error.message.len())
    );
}

fn in_pieces(bytes: &[u8], piece: usize) -> Option<usize> {
    let mut reader = HeadReader::default();
    let mut end = 0;
    while end < bytes.len() {
        end = (end + piece).min(bytes.len());
        let mut slots = header_slots();
        match reader.parse(&bytes[..end], &mut slots, MAX_HEAD_BYTES) {
            ParsedHead::Partial => {}
            ParsedHead::Complete { len, .. } => return Some(len),
            ParsedHead::Invalid(_) => return None,
        }
    }
    None
}
