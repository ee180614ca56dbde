//! The luma (brightness) of a colour: 0.299 R + 0.587 G + 0.114 B, as defined by ITU-R BT.601.

/// The weights of red, green and blue.
pub const LUMA: [f64; 3] = [0.299, 0.587, 0.114];

/// Returns the luma of an 8-bit RGB colour, rounded to the nearest integer.
pub fn luma8([r, g, b]: [u8; 3]) -> u8 {
    let [r, g, b] = [r, g, b].map(u32::from);
    ((299 * r + 587 * g + 114 * b + 500) / 1000) as u8 // integer arithmetic gives the same result on every machine
}
