//! Pictures that are what they seem, and those that aren't.

use std::io::Cursor;

use image::{Rgb, RgbImage, Rgba, RgbaImage};

use super::*;

const MOST: u64 = 4_000_000;

fn looked(bytes: &[u8], kind: &str) -> Result<Option<Picture>, PictureError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    look(file.path(), kind, MOST)
}

/// Dark on the left, light on the right, and no pixel like its neighbour.
fn photo(width: u32, height: u32) -> DynamicImage {
    let picture = RgbImage::from_fn(width, height, |x, y| {
        let light = (x * 200 / width) as u8;
        Rgb([light, light.wrapping_add((x * y % 23) as u8), light])
    });
    DynamicImage::ImageRgb8(picture)
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A JPEG that says how it's to be turned.
fn turned(orientation: u8) -> Vec<u8> {
    let jpeg = encoded(&photo(900, 300), ImageFormat::Jpeg);
    let mut exif = b"Exif\0\0II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    let length = (exif.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
}

#[test]
fn each_known_type_has_its_size_and_a_small_picture() {
    for (format, kind) in [
        (ImageFormat::Png, "image/png"),
        (ImageFormat::Jpeg, "image/jpeg"),
        (ImageFormat::Gif, "image/gif"),
        (ImageFormat::WebP, "image/webp"),
    ] {
        let bytes = encoded(&photo(1_280, 320), format);
        let picture = looked(&bytes, kind).unwrap().unwrap();
        assert_eq!((picture.width, picture.height), (1_280, 320), "{kind}");
        let small = picture.small.unwrap();
        let read = image::load_from_memory(&small.bytes).unwrap();
        assert_eq!((read.width(), read.height()), (640, 160), "{kind}");
        assert_eq!(small.kind, "image/jpeg", "{kind}");
        assert!(is_known(kind));
    }
    assert!(looked(b"BM", "image/bmp").unwrap().is_none());
}

#[test]
fn what_is_small_needs_no_small_picture() {
    let bytes = encoded(&photo(64, 48), ImageFormat::Png);
    let picture = looked(&bytes, "image/png").unwrap().unwrap();
    let expected = Picture {
        width: 64,
        height: 48,
        small: None,
    };
    assert_eq!(picture, expected);
}

#[test]
fn what_can_be_seen_through_stays_so() {
    let clear = RgbaImage::from_fn(800, 800, |x, _| {
        Rgba([9, 9, 9, if x < 400 { 0 } else { 255 }])
    });
    let bytes = encoded(&DynamicImage::ImageRgba8(clear), ImageFormat::Png);
    let small = looked(&bytes, "image/png").unwrap().unwrap().small.unwrap();
    assert_eq!(small.kind, "image/webp");
    let read = image::load_from_memory(&small.bytes).unwrap().to_rgba8();
    assert_eq!(
        (read.get_pixel(10, 10).0[3], read.get_pixel(600, 10).0[3]),
        (0, 255)
    );
}

#[test]
fn a_picture_is_turned_as_its_camera_was() {
    for (orientation, size, dark) in [
        (1, (900, 300), (5, 100)),
        (3, (900, 300), (635, 100)),
        // Dark is up, or down.
        (6, (300, 900), (100, 5)),
        (8, (300, 900), (100, 635)),
    ] {
        let picture = looked(&turned(orientation), "image/jpeg").unwrap().unwrap();
        assert_eq!((picture.width, picture.height), size, "{orientation}");
        let small = image::load_from_memory(&picture.small.unwrap().bytes).unwrap();
        let small = small.to_rgb8();
        let [red, ..] = small.get_pixel(dark.0, dark.1).0;
        assert!(red < 40, "{orientation}: {red}");
        let far = (small.width() - 1 - dark.0, small.height() - 1 - dark.1);
        assert!(small.get_pixel(far.0, far.1).0[0] > 150, "{orientation}");
    }
}

#[test]
fn a_small_picture_says_nothing_of_where_it_was_taken() {
    let small = looked(&turned(6), "image/jpeg").unwrap().unwrap().small;
    let bytes = small.unwrap().bytes;
    assert!(!bytes.windows(4).any(|four| four == b"Exif"));
}

/// A few bytes that say they are a picture of 60,000 by 60,000.
fn bomb() -> Vec<u8> {
    let mut bytes = encoded(&photo(8, 8), ImageFormat::Png);
    bytes[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    let crc = crc(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1))
        })
    })
}

#[test]
fn a_bomb_is_refused_before_it_is_decoded() {
    let error = looked(&bomb(), "image/png").unwrap_err();
    assert!(
        matches!(
            error,
            PictureError::TooLarge {
                pixels: 3_600_000_000,
                most: MOST
            }
        ),
        "{error}"
    );
    // A GIF says its size in two places: the picture, and a part of it that may be larger.
    let mut gif = encoded(&photo(8, 8), ImageFormat::Gif);
    gif[6..10].copy_from_slice(&[0xff, 0xff, 0xff, 0xff]);
    assert!(matches!(
        looked(&gif, "image/gif").unwrap_err(),
        PictureError::TooLarge { .. }
    ));
}

#[test]
fn whatever_is_cut_off_is_refused() {
    for (format, kind) in [
        (ImageFormat::Png, "image/png"),
        (ImageFormat::Gif, "image/gif"),
        (ImageFormat::WebP, "image/webp"),
    ] {
        let bytes = encoded(&photo(100, 100), format);
        for length in [0, 10, 40, bytes.len() / 2] {
            let looked = looked(&bytes[..length], kind);
            assert!(
                matches!(looked, Err(PictureError::Broken(_))),
                "{kind} {length}: {looked:?}"
            );
        }
    }
    // Decoders of JPEG show what is there of one, as browsers do; but not of one without a beginning.
    let bytes = encoded(&photo(100, 100), ImageFormat::Jpeg);
    for length in [0, 10, 40] {
        assert!(looked(&bytes[..length], "image/jpeg").is_err(), "{length}");
    }
    assert!(looked(b"GIF89a but not really", "image/png").is_err());
}
