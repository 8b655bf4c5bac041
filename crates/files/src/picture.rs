//! Pictures: how large they are, and small ones of them.
//!
//! What must hold: how large a picture will be in memory is known, and bounded, before anything of it is decoded. What is made
//! anew has nothing of what cameras write beside the picture, such as where it was taken.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::webp::WebPEncoder;
use image::{
    DynamicImage, ExtendedColorType, ImageDecoder as _, ImageEncoder as _, ImageError, ImageFormat,
    ImageReader, Limits,
};

/// Longest side of a small picture, in pixels.
pub const SIDE: u32 = 640;
/// A picture of fewer bytes and no longer sides than [`SIDE`] needs no small one.
const SMALL_BYTES: u64 = 64 << 10;
/// Quality of small pictures, of 100.
const QUALITY: u8 = 80;
/// Bytes that decoding takes for each pixel at most, beside a little: 16 bits for each of four colours, and as much again
/// while it's turned into what is shown.
const BYTES_PER_PIXEL: u64 = 16;

/// A picture that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Pixels across, as it's to be shown.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// A small picture of it, where it's worth one.
    pub small: Option<Small>,
}

/// A small picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Small {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// `image/jpeg`, or `image/webp` if something can be seen through it.
    pub kind: &'static str,
}

/// Why a picture isn't taken.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// It would take too much memory, here and wherever it's shown.
    #[error("the picture has {pixels} pixels; {most} are allowed: make it smaller")]
    TooLarge {
        /// Across times down.
        pixels: u64,
        /// The bound.
        most: u64,
    },
    /// It's cut off, or not what it seems.
    #[error("the picture can't be read, it may be cut off: {0}")]
    Broken(String),
    /// The file can't be read.
    #[error(transparent)]
    File(#[from] std::io::Error),
}

/// Whether pictures of a type are looked at.
#[must_use]
pub fn is_known(kind: &str) -> bool {
    format(kind).is_some()
}

fn format(kind: &str) -> Option<ImageFormat> {
    match kind {
        "image/png" => Some(ImageFormat::Png),
        "image/jpeg" => Some(ImageFormat::Jpeg),
        "image/gif" => Some(ImageFormat::Gif),
        "image/webp" => Some(ImageFormat::WebP),
        _ => None,
    }
}

/// Looks at a picture. It takes processor time and memory: to be called where that holds up nobody, and by few at a time.
///
/// `Ok(None)` for types that aren't known.
///
/// # Errors
/// [`PictureError`].
pub fn look(path: &Path, kind: &str, most_pixels: u64) -> Result<Option<Picture>, PictureError> {
    let Some(format) = format(kind) else {
        return Ok(None);
    };
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let mut reader = ImageReader::with_format(BufReader::new(file), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(most_pixels.saturating_mul(BYTES_PER_PIXEL).max(1 << 20));
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| broken(&error))?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels > most_pixels {
        return Err(PictureError::TooLarge {
            pixels,
            most: most_pixels,
        });
    }
    let orientation = decoder.orientation().map_err(|error| broken(&error))?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| broken(&error))?;
    // What turns and mirrors is cheap on the small one, and the large one is only measured.
    let is_small = width <= SIDE && height <= SIDE && bytes <= SMALL_BYTES;
    if width > SIDE || height > SIDE {
        picture = picture.thumbnail(SIDE, SIDE);
    }
    let before = (picture.width(), picture.height());
    picture.apply_orientation(orientation);
    // A square stays one, turned or not.
    let is_turned = before.0 != before.1 && (picture.width(), picture.height()) != before;
    let (width, height) = match is_turned {
        true => (height, width),
        false => (width, height),
    };
    let small = match is_small {
        true => None,
        false => Some(encode(&picture)?),
    };
    Ok(Some(Picture {
        width,
        height,
        small,
    }))
}

fn broken(error: &ImageError) -> PictureError {
    PictureError::Broken(error.to_string())
}

fn encode(picture: &DynamicImage) -> Result<Small, PictureError> {
    let (width, height) = (picture.width(), picture.height());
    let mut bytes = Vec::new();
    if picture.color().has_alpha() {
        let rgba = picture.to_rgba8();
        if rgba.pixels().any(|pixel| pixel.0[3] != u8::MAX) {
            let encoder = WebPEncoder::new_lossless(&mut bytes);
            let encoded = encoder.write_image(&rgba, width, height, ExtendedColorType::Rgba8);
            encoded.map_err(|error| broken(&error))?;
            return Ok(Small {
                bytes,
                kind: "image/webp",
            });
        }
    }
    let encoder = JpegEncoder::new_with_quality(&mut bytes, QUALITY);
    let encoded = picture.to_rgb8().write_with_encoder(encoder);
    encoded.map_err(|error| broken(&error))?;
    Ok(Small {
        bytes,
        kind: "image/jpeg",
    })
}

#[cfg(test)]
mod tests;
