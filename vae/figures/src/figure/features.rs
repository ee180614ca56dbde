//! The feature maps of a network: one row per stage with four of its maps, each scaled from its minimum (black) to its maximum
//! (white).

use vae_core::learn::Stage;
use vae_core::random::Purpose;

use super::grid::{Row, Tiles, grid};

/// The number of maps that are shown of each stage.
const MAPS: usize = 4;

/// Draws an image and the feature maps of the stages that it passes through. `image` has pixels in [0, 1] and the
/// shape `[channels, size, size]`. `seed` selects the maps; a stage at the same depth shows the same maps in every model.
///
/// # Panics
/// If `image` is empty.
pub fn features(title: &str, image: &[f32], shape: [usize; 3], stages: &[Stage], seed: u64) -> Tiles {
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

/// Scales a map to [0, 1] by its own minimum and maximum and enlarges each element to a block, to `size` × `size` pixels. A
/// constant map becomes 0.
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
    fn a_map_is_scaled_by_its_own_range_and_enlarged_in_blocks() {
        let big = enlarged(&[-2.0, 0.0, 2.0, 6.0], [2, 2], 4);
        assert_eq!(big[..8], [0.0, 0.0, 0.25, 0.25, 0.0, 0.0, 0.25, 0.25]);
        assert_eq!(big[8..12], [0.5, 0.5, 1.0, 1.0]);
        assert_eq!(enlarged(&[3.0; 4], [2, 2], 2), [0.0; 4]);
        assert_eq!(enlarged(&[0.0, 1.0, 1.0, 0.0], [2, 2], 1), [0.0], "more maps than pixels: the first");
    }

    /// Each stage shows four different maps, or all if it has fewer. Another seed selects other maps.
    #[test]
    fn one_row_per_stage_and_the_seed_selects_the_maps() {
        let stage = |name: &str, count: usize| {
            let maps = (0..count).flat_map(|map| (0..16).map(move |i| if i <= map { 1.0 } else { 0.0 })).collect();
            Stage { name: name.into(), shape: [count, 4, 4], maps }
        };
        let stages = [stage("encoder.stem", 15), stage("decoder.layer1", 3)];
        let draw = |seed| features("t", &[0.5; 3 * 64], [3, 8, 8], &stages, seed).png;
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let picture = image::load_from_memory(&draw(1)).unwrap().into_rgb8();
        // A cell has 64 pixels and a gap of 4, in three rows. The longest name is to the left, the title above.
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
