//! Brightness of a colour: luma = 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601).

/// The weights of red, green and blue.
pub const LUMA: [f64; 3] = [0.299, 0.587, 0.114];

/// The luma of a colour of bytes, rounded to the nearest byte.
pub fn luma8([r, g, b]: [u8; 3]) -> u8 {
    let [r, g, b] = [r, g, b].map(u32::from);
    ((299 * r + 587 * g + 114 * b + 500) / 1000) as u8 // in whole numbers: the same on every machine
}
