//! A hash by which an image is recognised: of its size and its pixels.

use sha2::{Digest, Sha256};

/// Returns the first 8 bytes of the SHA-256 of an image, as a little-endian number. `bytes` are its pixels, plane by plane, and
/// `sizes` its height, width and number of channels, which are hashed first.
pub fn image_hash(bytes: &[u8], sizes: [usize; 3]) -> u64 {
    let mut sum = Sha256::new();
    sizes.iter().for_each(|&size| sum.update((size as u64).to_le_bytes()));
    sum.update(bytes);
    u64::from_le_bytes(*sum.finalize().first_chunk().expect("32 bytes"))
}
