//! Drawn images whose factors of variation are all known. The factors are those of dSprites (Matthey et al. 2017), at
//! any size, in grey or colour, without a file.
//!
//! | factor | values | meaning of value k |
//! |---|---|---|
//! | shape | 3 | a square, an ellipse, a heart; also the label |
//! | scale | 6 | radius r = 0.2·(0.5 + 0.1k) of the image's side |
//! | rotation | `data.rotations`, R | by 2πk/R, clockwise |
//! | x | 32 | centroid at 0.2 + 0.6k/31 of the side, from the left |
//! | y | 32 | the same from the top |
//! | hue | 10, only in colour images | saturated colours, 36° apart, from red |
//!
//! In units of r, relative to the centroid, the shapes are:
//!
//! - square: |u|, |v| ≤ √½
//! - ellipse: u² + (v/0.6)² ≤ 1
//! - heart: (x² + y² − 1)³ ≤ x²y³, shifted so that its centroid is 0, and scaled so that its tip has the radius 1
//!
//! No shape crosses the border of its image. The value of a pixel is the fraction of 4 × 4 sample points in it that the
//! shape covers.
//!
//! There are 3·6·R·32·32(·10) combinations, numbered with the last factor fastest. The seed decides which `data.images`
//! of them are used. A square rotated by 90° and an ellipse rotated by 180° do not change, so these rotations cannot be
//! inferred from the images.

use std::collections::HashSet;
use std::sync::Arc;

use crate::config::{Config, HUES, PLACES, SHAPES, split_sizes};
use crate::data::{Factors, Images, Source, Split, random_split};
use crate::error::Result;
use crate::random::Purpose;

/// The number of sample points of a pixel along each axis.
const SUBSAMPLES: usize = 4;
/// The heart's centroid on its axis of symmetry, and the distance from there to its tip.
const HEART: [f64; 2] = [0.293_478_1, 1.293_478_1];

/// All combinations of factors, and how many of them are used as images.
#[derive(Clone, Debug)]
pub struct Grid {
    sizes: Vec<usize>,
    side: usize,
    images: usize,
}

impl Grid {
    /// Creates the grid of a configuration.
    pub fn new(config: &Config) -> Grid {
        Grid { sizes: config.shapes_factors(), side: config.image_size(), images: config.shapes_images() }
    }

    /// Returns the number of combinations.
    pub fn combinations(&self) -> usize {
        self.sizes.iter().product()
    }

    /// Returns the number of combinations that are used as images.
    pub fn images(&self) -> usize {
        self.images
    }

    /// Returns the factors of a combination.
    pub fn factors(&self, combination: usize) -> Vec<u16> {
        let mut rest = combination;
        let mut factors: Vec<u16> = self.sizes.iter().rev().map(|size| (rest % size, rest /= size).0 as u16).collect();
        factors.reverse();
        factors
    }

    /// Draws a combination to `out`, `[channels, side, side]`.
    pub fn draw(&self, combination: usize, out: &mut [u8]) {
        let factors: Vec<usize> = self.factors(combination).into_iter().map(usize::from).collect();
        let [shape, scale, rotation, x, y] = [0, 1, 2, 3, 4].map(|i| factors[i]);
        let side = self.side as f64;
        let radius = 0.2 * side * (0.5 + 0.1 * scale as f64);
        let [x, y] = [x, y].map(|k| side * (0.2 + 0.6 * k as f64 / (PLACES - 1) as f64));
        let [cos, sin] = cos_sin(rotation, self.sizes[2]);
        let inside = |row: f64, column: f64| {
            let (right, down) = ((column - x) / radius, (row - y) / radius);
            contains(shape, right * cos + down * sin, down * cos - right * sin)
        };
        let colour = factors.get(5).map_or(vec![255], |&hue| rgb(hue).to_vec());
        let reach = |centre: f64| {
            let [first, last] = [centre - radius - 1.0, centre + radius + 1.0].map(|at| at.clamp(0.0, side) as usize);
            first..last
        };
        out.fill(0);
        for row in reach(y) {
            for column in reach(x) {
                let point = |at: usize, k: usize| at as f64 + (k as f64 + 0.5) / SUBSAMPLES as f64;
                let points =
                    (0..SUBSAMPLES * SUBSAMPLES).map(|k| (point(row, k / SUBSAMPLES), point(column, k % SUBSAMPLES)));
                let covered = points.filter(|&(row, column)| inside(row, column)).count() as u32;
                for (plane, full) in out.chunks_exact_mut(self.side * self.side).zip(&colour) {
                    let all = (SUBSAMPLES * SUBSAMPLES) as u32;
                    plane[row * self.side + column] = ((covered * full + all / 2) / all) as u8;
                }
            }
        }
    }
}

/// Returns cosine and sine of the angle 2π·k/of. Quarter turns are exact, so that a square rotated by one is unchanged.
fn cos_sin(k: usize, of: usize) -> [f64; 2] {
    let (quarter, rest) = (4 * k / of % 4, 4 * k % of);
    let angle = std::f64::consts::FRAC_PI_2 * rest as f64 / of as f64;
    let (cos, sin) = (libm::cos(angle), libm::sin(angle)); // the same on every platform
    match quarter {
        0 => [cos, sin],
        1 => [-sin, cos],
        2 => [-cos, -sin],
        _ => [sin, -cos],
    }
}

/// Returns whether a shape of radius 1 contains the point (u, v). The axis of v points down.
fn contains(shape: usize, u: f64, v: f64) -> bool {
    match shape {
        0 => u.abs().max(v.abs()) <= std::f64::consts::FRAC_1_SQRT_2,
        1 => u * u + (v / 0.6) * (v / 0.6) <= 1.0,
        _ => {
            let [centroid, tip] = HEART;
            let (x, y) = (u * tip, centroid - v * tip);
            let ring = x * x + y * y - 1.0;
            ring * ring * ring <= x * x * y * y * y
        }
    }
}

/// Returns a saturated colour as bytes. Hue 0 is red.
fn rgb(hue: usize) -> [u32; 3] {
    let (sector, rise) = (hue * 6 / HUES, (hue * 6 % HUES * 255 / HUES) as u32);
    let fall = 255 - rise;
    match sector {
        0 => [255, rise, 0],
        1 => [fall, 255, 0],
        2 => [0, 255, rise],
        3 => [0, fall, 255],
        4 => [rise, 0, 255],
        _ => [255, 0, fall],
    }
}

/// A source that draws the chosen combinations on demand.
#[derive(Debug)]
struct ShapeSource {
    grid: Grid,
    combinations: Vec<u32>,
}

impl Source for ShapeSource {
    fn read(&self, index: usize, out: &mut [u8]) -> Result<()> {
        self.grid.draw(self.combinations[index] as usize, out);
        Ok(())
    }

    fn memory(&self) -> u64 {
        4 * self.combinations.len() as u64
    }

    fn key(&self, index: usize) -> Option<u64> {
        Some(u64::from(self.combinations[index]))
    }
}

/// Returns the training, validation and test images in the ratio 10 : 1 : 1. The seed decides which combinations are
/// used and how they are split.
pub fn splits(config: &Config) -> [Split; 3] {
    let grid = Grid::new(config);
    let combinations = subset(grid.combinations(), grid.images(), config.seed);
    let values: Vec<u16> = combinations.iter().flat_map(|&combination| grid.factors(combination as usize)).collect();
    let labels = values.chunks_exact(grid.sizes.len()).map(|factors| factors[0]).collect();
    let names = ["shape", "scale", "rotation", "x", "y", "hue"][..grid.sizes.len()].to_vec();
    let factors = Factors { names, sizes: grid.sizes.clone(), values };
    let [count, side] = [grid.images(), grid.side];
    let drawn = ShapeSource { grid, combinations };
    let images =
        Images::new(drawn, labels, config.channels(), [side, side]).with_class_names(SHAPES).with_factors(factors);
    random_split(Arc::new(images), split_sizes(count), &mut Purpose::Split.stream(config.seed, 0))
}

/// Returns `count` of the numbers `0..all` in ascending order. All sets of this size are equally likely (Floyd's
/// algorithm).
fn subset(all: usize, count: usize, seed: u64) -> Vec<u32> {
    if count == all {
        return (0..all as u32).collect();
    }
    let mut draw = Purpose::Split.stream(seed, 1);
    let mut chosen = HashSet::with_capacity(count);
    for most in all - count..all {
        let number = draw.below(most + 1);
        if !chosen.insert(number as u32) {
            chosen.insert(most as u32);
        }
    }
    let mut chosen: Vec<u32> = chosen.into_iter().collect();
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    fn config(settings: &[&str]) -> Config {
        let mut all = Settings::default();
        all.assignment("data.kind=shapes").unwrap();
        settings.iter().for_each(|setting| all.assignment(setting).unwrap());
        all.resolve().unwrap()
    }

    /// Returns the combination of these factors. This is the inverse of [`Grid::factors`].
    fn combination(grid: &Grid, factors: &[u16]) -> usize {
        grid.sizes.iter().zip(factors).fold(0, |number, (size, &k)| number * size + usize::from(k))
    }

    fn draw(grid: &Grid, factors: &[u16]) -> Vec<u8> {
        let mut out = vec![9; (if factors.len() == 6 { 3 } else { 1 }) * grid.side * grid.side];
        grid.draw(combination(grid, factors), &mut out);
        out
    }

    /// Returns the sum of all pixels in units of white pixels, and the centroid in pixels from the upper left corner.
    fn moments(image: &[u8], side: usize) -> [f64; 3] {
        let mut sums = [0.0; 3];
        for (i, &byte) in image.iter().enumerate() {
            let weight = f64::from(byte) / 255.0;
            let [x, y] = [i % side, i / side].map(|at| at as f64 + 0.5);
            [sums[0], sums[1], sums[2]] = [sums[0] + weight, sums[1] + weight * x, sums[2] + weight * y];
        }
        [sums[0], sums[1] / sums[0], sums[2] / sums[0]]
    }

    #[test]
    fn factors_and_combinations_convert_into_each_other() {
        for settings in [&["data.rotations=7"][..], &["data.channels=3"]] {
            let grid = Grid::new(&config(settings));
            for number in (0..grid.combinations()).step_by(997) {
                let factors = grid.factors(number);
                assert_eq!(combination(&grid, &factors), number);
                assert!(factors.iter().zip(&grid.sizes).all(|(&k, &size)| usize::from(k) < size));
            }
        }
        assert_eq!(Grid::new(&config(&[])).combinations(), 737_280, "dSprites' number");
    }

    #[test]
    fn mass_and_centroid_follow_scale_and_place() {
        for side in [33, 64] {
            let grid = Grid::new(&config(&[&format!("data.image_size={side}")]));
            for (shape, area) in [2.0, std::f64::consts::PI * 0.6, 3.661_97 / HEART[1].powi(2)].iter().enumerate() {
                for [scale, rotation, x, y] in
                    [[0, 0, 0, 0], [5, 3, 31, 0], [2, 11, 7, 30], [5, 38, 0, 31], [3, 21, 16, 9]]
                {
                    let [mass, right, down] = moments(&draw(&grid, &[shape as u16, scale, rotation, x, y]), side);
                    let pixels = side as f64;
                    let radius = 0.2 * pixels * (0.5 + 0.1 * f64::from(scale));
                    let wanted = area * radius * radius;
                    assert!((mass / wanted - 1.0).abs() < 1.5 / pixels, "{side} {shape} {scale}: {mass} for {wanted}");
                    let at = |k: u16| pixels * (0.2 + 0.6 * f64::from(k) / 31.0);
                    let off = (right - at(x)).abs().max((down - at(y)).abs());
                    assert!(off < 0.06, "{side} {shape} {scale} {rotation}: {right}, {down} for {}, {}", at(x), at(y));
                }
            }
        }
    }

    #[test]
    fn quarter_turns_follow_the_symmetry_of_the_shapes() {
        let grid = Grid::new(&config(&[]));
        let turned = |shape: u16, by: u16| draw(&grid, &[shape, 4, 3 + by, 11, 20]);
        for quarter in [10, 20, 30] {
            assert_eq!(turned(0, quarter), turned(0, 0), "a square by {quarter} of 40");
        }
        assert_ne!(turned(0, 5), turned(0, 0), "by 45°");
        assert_eq!(turned(1, 20), turned(1, 0), "an ellipse by 180°");
        assert_ne!(turned(1, 10), turned(1, 0));
        assert_ne!(turned(2, 20), turned(2, 0), "a heart upside down");
    }

    #[test]
    fn rotation_is_clockwise_and_the_tip_of_a_heart_points_down() {
        let grid = Grid::new(&config(&["data.image_size=96"]));
        // The extent of the bright pixels from the centroid to the left, right, top and bottom, in radii.
        let reach = |rotation| {
            let image = draw(&grid, &[2, 5, rotation, 16, 16]);
            let centre = 96.0 * (0.2 + 0.6 * 16.0 / 31.0);
            let lit = (0..image.len()).filter(|&i| image[i] > 0);
            lit.fold([0.0_f64; 4], |[l, r, u, d], i| {
                let [x, y] = [i % 96, i / 96].map(|at| (at as f64 + 0.5 - centre) / (0.2 * 96.0));
                [l.max(-x), r.max(x), u.max(-y), d.max(y)]
            })
        };
        let [left, right, up, down] = reach(0);
        assert!((left - right).abs() < 0.06 && up < 0.8 && down > 0.95, "{left} {right} {up} {down}");
        let [left, right, up, down] = reach(10);
        assert!((up - down).abs() < 0.06 && right < 0.8 && left > 0.95, "by 90°: {left} {right} {up} {down}");
    }

    #[test]
    fn hues_change_colour_alone() {
        let grid = Grid::new(&config(&["data.channels=3", "data.image_size=32"]));
        let grey = Grid::new(&config(&["data.image_size=32"]));
        let shape = draw(&grey, &[2, 3, 5, 9, 9]);
        let red = draw(&grid, &[2, 3, 5, 9, 9, 0]);
        assert_eq!((&red[..1024], red[1024..].iter().max()), (&shape[..], Some(&0)));
        assert_eq!((0..10).map(rgb).collect::<HashSet<_>>().len(), 10);
        assert_eq!((rgb(0), rgb(5)), ([255, 0, 0], [0, 255, 255]), "opposite");
        assert_eq!([rgb(1), rgb(2), rgb(4)], [[255, 153, 0], [204, 255, 0], [0, 255, 102]]);
        assert_eq!([rgb(6), rgb(8), rgb(9)], [[0, 102, 255], [204, 0, 255], [255, 0, 153]]);
    }

    #[test]
    fn the_border_belongs_to_the_shape() {
        let beyond = 1.0 + 1e-9;
        for (shape, [u, v]) in [(0, [std::f64::consts::FRAC_1_SQRT_2, 0.5]), (1, [1.0, 0.0]), (2, [0.0, 1.0])] {
            assert!(contains(shape, u, v) && !contains(shape, beyond * u, beyond * v), "{shape}");
        }
    }

    #[test]
    fn every_number_can_be_in_a_subset() {
        let drawn: HashSet<u32> = (0..50).flat_map(|seed| subset(3, 1, seed)).collect();
        assert_eq!(drawn.len(), 3);
    }

    #[test]
    fn splits_depend_on_the_seed_and_have_factors() {
        let few = config(&["data.images=120", "data.image_size=32"]);
        let [train, validation, test] = splits(&few);
        assert_eq!([train.count(), validation.count(), test.count()], [100, 10, 10]);
        let images = train.images();
        let (grid, factors) = (Grid::new(&few), images.factors().unwrap());
        let mut out = vec![0; 1024];
        for place in 0..100 {
            let index = train.indices()[place];
            train.read(place, &mut out).unwrap();
            assert_eq!(out, draw(&grid, factors.of(index)));
            assert_eq!(images.key(index), Some(combination(&grid, factors.of(index)) as u64));
            assert_eq!(train.label(place), usize::from(factors.of(index)[0]));
        }
        let again = |seed: &str| splits(&config(&["data.images=120", "data.image_size=32", seed]));
        let values = |splits: &[Split; 3]| splits[0].images().factors().unwrap().values.clone();
        assert_eq!(values(&again("seed=1")), factors.values);
        assert_ne!(values(&again("seed=2")), factors.values);
        let different: HashSet<_> = factors.values.chunks(5).collect();
        assert_eq!(different.len(), 120, "none is drawn twice");
        let mean = |factor| different.iter().map(|values| f64::from(values[factor])).sum::<f64>() / 120.0;
        for (factor, size) in grid.sizes.iter().enumerate() {
            let middle = (*size as f64 - 1.0) / 2.0;
            assert!((mean(factor) - middle).abs() < 0.15 * *size as f64, "factor {factor}: {}", mean(factor));
        }
        assert_eq!((images.class_names().len(), images.memory()), (3, 480));
        let [train, ..] = splits(&config(&["data.images=0", "data.rotations=1"]));
        assert_eq!(train.images().count(), 3 * 6 * 32 * 32);
    }
}
