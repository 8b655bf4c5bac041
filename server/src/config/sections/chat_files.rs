//! `[chat.files]`: what files people may send, and where their bytes are kept.

use std::path::PathBuf;

use openidconnect::url::Url;

use crate::config::section::{above_zero, section};
use crate::config::value::Secret;

section! {
    /// Files in messages: what may be sent, and where the bytes are kept.
    ChatFiles as "chat.files" {
        /// Bytes of one file at most.
        max_bytes: u64 = 26_214_400;
        /// Types that may be sent: as in "image/png", or with a `*` at the end. What a file is comes from its bytes where they
        /// say something; what is called a picture must be one.
        types: Vec<String> = lakh_chat::DEFAULT_TYPES.map(str::to_owned).to_vec();
        /// Bytes that all files of one person may have together, those among them that are on their way.
        quota_bytes: u64 = 1_073_741_824;
        /// Pixels of one picture at most, across times down: so much has to be decoded to make a small one of it.
        max_pixels: u64 = 50_000_000;
        /// Time for which an address with a word of access (`attachment:access`) can be used, at least; at most twice as long.
        access_ms: u64 = 3_600_000;
        /// Folder that bytes are kept in. Unset: `files` in `server.data`.
        folder: Option<PathBuf> = None;
        /// Says that all nodes of a fleet have the same folder, by a file system that they share. Without it, and without a
        /// bucket, a fleet takes no files: other nodes could not give them out.
        shared_folder: bool = false;
        /// Bucket that bytes are kept in instead, with what stands before all names: "s3://bucket/prefix". It must be there.
        s3_url: Option<String> = None;
        /// Where the bucket is, if not at Amazon: "https://minio.example.org:9000".
        s3_endpoint: Option<String> = None;
        /// The bucket's region.
        s3_region: String = "us-east-1".into();
        /// Id of the key for the bucket.
        s3_key_id: Option<String> = None;
        /// The key's secret.
        s3_secret: Option<Secret> = None;
        /// File that holds the secret instead.
        s3_secret_file: Option<PathBuf> = None;
    }
    check |files, wrong| {
        above_zero(wrong, &[
            ("max_bytes", files.max_bytes),
            ("quota_bytes", files.quota_bytes),
            ("max_pixels", files.max_pixels),
        ]);
        if !(60_000..=2_592_000_000).contains(&files.access_ms) {
            wrong.push(("access_ms", "must be 60000 (a minute) to 2592000000 (30 days)".into()));
        }
        // It is decoded in memory, two at a time.
        if files.max_pixels > 250_000_000 {
            wrong.push(("max_pixels", "must be at most 250000000".into()));
        }
        if let Some(kind) = files.types.iter().find(|kind| !is_pattern(kind)) {
            wrong.push(("types", format!("\"{kind}\" is no type: write one such as \"image/png\" or \"image/*\"")));
        }
        check_bucket(files, wrong);
    };
}

fn is_pattern(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._/".contains(&byte);
    let rest = text.strip_suffix('*').unwrap_or(text);
    text == "*/*"
        || (rest.bytes().all(plain)
            && rest.split('/').count() == 2
            && !rest.starts_with('/')
            && (rest.len() < text.len() || !rest.ends_with('/')))
}

fn check_bucket(files: &ChatFiles, wrong: &mut Vec<(&'static str, String)>) {
    let Some(url) = &files.s3_url else {
        if files.s3_endpoint.is_some() {
            wrong.push(("s3_endpoint", "needs `chat.files.s3_url`".into()));
        }
        return;
    };
    if cfg!(not(feature = "s3")) {
        let message = "needs a server that was built with the feature `s3`";
        wrong.push(("s3_url", message.into()));
    }
    if bucket(url).is_none() {
        wrong.push(("s3_url", "must look like `s3://bucket/prefix`".into()));
    }
    if files.folder.is_some() {
        wrong.push((
            "folder",
            "and `chat.files.s3_url` exclude each other".into(),
        ));
    }
    if files.s3_key_id.is_none() || files.s3_secret.is_none() {
        let message =
            "needs `chat.files.s3_key_id` and `chat.files.s3_secret`, or `s3_secret_file`";
        wrong.push(("s3_url", message.into()));
    }
    let is_http = |url: &Url| matches!(url.scheme(), "http" | "https");
    if let Some(endpoint) = &files.s3_endpoint
        && !Url::parse(endpoint).is_ok_and(|url| is_http(&url))
    {
        let message = "must be a URL that begins with `https://` or `http://`";
        wrong.push(("s3_endpoint", message.into()));
    }
}

/// The name of a bucket, and what stands before all names in it.
pub(crate) fn bucket(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("s3://")?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let is_name = (3..=63).contains(&bucket.len()) && bucket.bytes().all(plain);
    let is_path = prefix.bytes().all(|byte| plain(byte) || byte == b'/');
    (is_name && is_path).then_some((bucket, prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_has_a_name_and_a_prefix() {
        assert_eq!(bucket("s3://files"), Some(("files", "")));
        assert_eq!(bucket("s3://my.files/a/b"), Some(("my.files", "a/b")));
        for url in [
            "",
            "files",
            "s3://",
            "s3://a",
            "https://files",
            "s3://fi les",
            "s3://files/?x",
        ] {
            assert_eq!(bucket(url), None, "{url}");
        }
    }

    #[test]
    fn types_may_end_in_a_star() {
        for text in ["image/*", "*/*", "image/svg+xml", "application/vnd.ms-*"] {
            assert!(is_pattern(text), "{text}");
        }
        for text in [
            "", "*", "image", "image/", "/png", "*/png", "a/b/c", "a/b;c",
        ] {
            assert!(!is_pattern(text), "{text}");
        }
    }
}
