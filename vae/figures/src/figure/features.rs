//! What a network sees at each of its stages: a row a stage, four of its maps, each from its least (black) to its largest (white).

use vae_core::learn::Stage;
use vae_core::random::Purpose;

use super::grid::{Row, grid};

/// Maps that are shown of each stage.
const MAPS: usize = 4;

/// The pixels of an image in [0, 1], of this `[channels, size, size]`, and below it the stages that it passes through, as a
/// PNG; `seed` picks the maps, the same of a stage for every model that has it.
///
/// # Panics
/// If there are no pixels.
pub fn features(title: &str, image: &[f32], shape: [usize; 3], stages: &[Stage], seed: u64) -> Vec<u8> {
    let [channels, size, _] = shape;
    let drawn: Vec<(String, Vec<f32>)> = stages
        .iter()
        .zip(0..)
        .map(|(stage, row)| {
            let [count, height, width] = stage.shape;
            let mut chosen = Purpose::Maps.stream(seed, row).permutation(count);
            chosen.truncate(MAPS);
            chosen.sort_unstable();
            let maps = chosen.iter().map(|map| &stage.maps[map * height * width..][..height * width]);
            let pixels = maps.flat_map(|map| enlarged(map, [height, width], size).repeat(channels)).collect();
            (format!("{}  {count}×{height}×{width}", stage.name), pixels)
        })
        .collect();
    let mut rows = vec![Row { name: "image", pixels: image }];
    rows.extend(drawn.iter().map(|(name, pixels)| Row { name, pixels }));
    grid(title, &rows, shape, rows.len())
}

/// A map in its own range, 0 to 1, each of its numbers a block of the `size` × `size` pixels; a flat one is all 0.
fn enlarged(map: &[f32], [height, width]: [usize; 2], size: usize) -> Vec<f32> {
    let finite = map.iter().filter(|x| x.is_finite());
    let (low, high) = finite.fold((f32::MAX, f32::MIN), |(low, high), &x| (low.min(x), high.max(x)));
    let scaled = |x: f32| if high > low { (x - low) / (high - low) } else { 0.0 };
    let pixel = |i: usize| scaled(map[i / size * height / size * width + i % size * width / size]);
    (0..size * size).map(pixel).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_spans_its_own_range_in_blocks() {
        let big = enlarged(&[-2.0, 0.0, 2.0, 6.0], [2, 2], 4);
        assert_eq!(big[..8], [0.0, 0.0, 0.25, 0.25, 0.0, 0.0, 0.25, 0.25]);
        assert_eq!(big[8..12], [0.5, 0.5, 1.0, 1.0]);
        assert_eq!(enlarged(&[3.0; 4], [2, 2], 2), [0.0; 4]);
        assert_eq!(enlarged(&[0.0, 1.0, 1.0, 0.0], [2, 2], 1), [0.0], "more maps than pixels: the first");
    }

    /// Four different maps a stage, or all that it has; other maps by another seed.
    #[test]
    fn a_row_a_stage_and_maps_by_the_seed() {
        let stage = |name: &str, count: usize| {
            let maps = (0..count).flat_map(|map| (0..16).map(move |i| if i <= map { 1.0 } else { 0.0 })).collect();
            Stage { name: name.into(), shape: [count, 4, 4], maps }
        };
        let stages = [stage("encoder.stem", 15), stage("decoder.layer1", 3)];
        let draw = |seed| features("t", &[0.5; 3 * 64], [3, 8, 8], &stages, seed);
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let picture = image::load_from_memory(&draw(1)).unwrap().into_rgb8();
        // A cell is 64 pixels and a gap of 4, in three rows; left of them the longest name, above them the title.
        let left = 14 + 9 * "decoder.layer1  3×4×4".chars().count() as u32 + 10;
        assert_eq!(picture.dimensions(), (left + 4 * 68 + 14, 14 + 18 + 10 + 3 * 68 + 14));
        let white = |row: u32, column: u32| {
            let at = |x, y| picture.get_pixel(left + column * 68 + x, 42 + row * 68 + y).0;
            (0..16).filter(|i| at(i % 4 * 16 + 8, i / 4 * 16 + 8) == [255; 3]).count()
        };
        let first: Vec<usize> = (0..4).map(|column| white(1, column)).collect();
        assert!(first.windows(2).all(|pair| pair[0] < pair[1]), "{first:?}: four different maps, in order");
        assert_eq!(
            [white(2, 0), white(2, 1), white(2, 2), white(2, 3)],
            [1, 2, 3, 16],
            "a stage of three, and white paper"
        );
    }
}
