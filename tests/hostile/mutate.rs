//! Mutations of a valid file: one to four changes, as a disk, a network or an attacker could make them.

use reference::law::{between, one_of};
use tensor::Generator;

/// Values for header fields: zero, the largest of each width, and the smallest that overflows it.
const EDGES: [u64; 9] =
    [0, 1, 0x7fff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x7fff_ffff_ffff_ffff, 0xffff_ffff_ffff_ffff];
/// The same for numbers written as digits.
const DIGITS: [&str; 8] =
    ["0", "-1", "2147483648", "4294967295", "9223372036854775807", "18446744073709551615", "1e308", "00000000000"];

/// A mutation of `bytes`. `other` is a second file to take parts from, `words` are tokens with a meaning for the reader.
pub(crate) fn mutant(rng: &mut Generator, bytes: &[u8], other: &[u8], words: &[&str]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..between(rng, 1, 4) {
        change(rng, &mut bytes, other, words);
    }
    bytes
}

fn change(rng: &mut Generator, bytes: &mut Vec<u8>, other: &[u8], words: &[&str]) {
    let at = place(rng, bytes.len());
    let block = at..bytes.len().min(at + between(rng, 1, 64));
    match rng.below(12) {
        0 => bytes.truncate(rng.below(bytes.len() + 1)),
        1 => bytes[block.start..].iter_mut().take(1).for_each(|byte| *byte ^= 1 << rng.below(8)),
        2 => bytes[block].iter_mut().take(4).for_each(|byte| *byte = rng.below(256) as u8),
        3 | 4 => {
            let (edge, width) = (one_of(rng, &EDGES), one_of(rng, &[1, 2, 4, 8]));
            let field = if rng.below(2) == 0 { edge.to_le_bytes() } else { (edge << (64 - 8 * width)).to_be_bytes() };
            bytes[at..].iter_mut().zip(&field[..width]).for_each(|(byte, new)| *byte = *new);
        }
        5 => drop(bytes.drain(block)),
        6 => {
            let copy = bytes[block].repeat(one_of(rng, &[1, 1, 2, 9]));
            let to = place(rng, bytes.len());
            bytes.splice(to..to, copy);
        }
        7 => {
            let copy = bytes[block].to_vec();
            let to = place(rng, bytes.len());
            bytes[to..].iter_mut().zip(copy).for_each(|(byte, new)| *byte = new);
        }
        8 => {
            let rest = &other[place(rng, other.len())..];
            bytes.truncate(at);
            bytes.extend_from_slice(rest);
        }
        9 => {
            let from = place(rng, other.len());
            bytes.splice(at..at, other[from..].iter().take(block.len()).copied());
        }
        10 if !words.is_empty() => {
            bytes.splice(at..at, one_of(rng, words).bytes());
        }
        _ => {
            let digits = |byte: &u8| byte.is_ascii_digit();
            let start = bytes[at..].iter().position(digits).map_or(at, |from| at + from);
            let end = start + bytes[start..].iter().take_while(|byte| digits(byte)).count();
            bytes.splice(start..end, one_of(rng, &DIGITS).bytes());
        }
    }
}

/// A position in the file or at its end. Every second one is in the first or last 64 bytes, where headers are.
fn place(rng: &mut Generator, len: usize) -> usize {
    let near = rng.below(65.min(len + 1));
    match rng.below(4) {
        0 => near,
        1 => len - near,
        _ => rng.below(len + 1),
    }
}
