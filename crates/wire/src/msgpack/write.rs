//! Writing, byte for byte as notepack does: the shortest form of each value, floats always in 64 bits.

/// Appends a whole number that is not negative.
pub(crate) fn write_u64(out: &mut Vec<u8>, number: u64) {
    match number {
        0..=0x7f => out.push(number as u8),
        0x80..=0xff => out.extend_from_slice(&[0xcc, number as u8]),
        0x100..=0xffff => write_head(out, 0xcd, &(number as u16).to_be_bytes()),
        0x1_0000..=0xffff_ffff => write_head(out, 0xce, &(number as u32).to_be_bytes()),
        _ => write_head(out, 0xcf, &number.to_be_bytes()),
    }
}

/// Appends a whole number.
pub(crate) fn write_i64(out: &mut Vec<u8>, number: i64) {
    match number {
        0.. => write_u64(out, number.unsigned_abs()),
        -0x20..=-1 => out.push(number as u8),
        -0x80..=-0x21 => out.extend_from_slice(&[0xd0, number as u8]),
        -0x8000..=-0x81 => write_head(out, 0xd1, &(number as i16).to_be_bytes()),
        -0x8000_0000..=-0x8001 => write_head(out, 0xd2, &(number as i32).to_be_bytes()),
        _ => write_head(out, 0xd3, &number.to_be_bytes()),
    }
}

/// Appends a number as JavaScript would: whole ones as integers, where 64 bits hold them.
pub(crate) fn write_f64(out: &mut Vec<u8>, number: f64) {
    const TWO_63: f64 = 9_223_372_036_854_775_808.0;
    if number.fract() == 0.0 && (-TWO_63..TWO_63).contains(&number) {
        write_i64(out, number as i64);
    } else if number.fract() == 0.0 && (TWO_63..2.0 * TWO_63).contains(&number) {
        write_u64(out, number as u64);
    } else {
        write_head(out, 0xcb, &number.to_be_bytes());
    }
}

/// Appends text.
pub(crate) fn write_str(out: &mut Vec<u8>, text: &str) {
    match text.len() {
        length @ 0..=0x1f => out.push(0xa0 | length as u8),
        length @ 0x20..=0xff => out.extend_from_slice(&[0xd9, length as u8]),
        length @ 0x100..=0xffff => write_head(out, 0xda, &(length as u16).to_be_bytes()),
        length => write_head(out, 0xdb, &(length as u32).to_be_bytes()),
    }
    out.extend_from_slice(text.as_bytes());
}

/// Appends bytes.
pub(crate) fn write_bin(out: &mut Vec<u8>, data: &[u8]) {
    match data.len() {
        length @ 0..=0xff => out.extend_from_slice(&[0xc4, length as u8]),
        length @ 0x100..=0xffff => write_head(out, 0xc5, &(length as u16).to_be_bytes()),
        length => write_head(out, 0xc6, &(length as u32).to_be_bytes()),
    }
    out.extend_from_slice(data);
}

/// Appends the head of an array.
pub(crate) fn write_array_header(out: &mut Vec<u8>, length: u32) {
    match length {
        0..=0x0f => out.push(0x90 | length as u8),
        0x10..=0xffff => write_head(out, 0xdc, &(length as u16).to_be_bytes()),
        _ => write_head(out, 0xdd, &length.to_be_bytes()),
    }
}

/// Appends the head of a map.
pub(crate) fn write_map_header(out: &mut Vec<u8>, pairs: u32) {
    match pairs {
        0..=0x0f => out.push(0x80 | pairs as u8),
        0x10..=0xffff => write_head(out, 0xde, &(pairs as u16).to_be_bytes()),
        _ => write_head(out, 0xdf, &pairs.to_be_bytes()),
    }
}

fn write_head(out: &mut Vec<u8>, prefix: u8, rest: &[u8]) {
    out.push(prefix);
    out.extend_from_slice(rest);
}
