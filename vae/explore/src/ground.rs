//! The ground of pictures: whether their border is dark or light. A model that was trained on white digits on a black ground cannot
//! make sense of a black digit on white paper, so the page offers to invert such a picture.

use serde::Serialize;

/// The share of border pixels that must be on one side of [`MIDDLE`].
const SHARE: f64 = 0.75;
/// Half of the brightest value.
const MIDDLE: f32 = 0.5;

/// The ground of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ground {
    /// Most of the border is darker than half of the brightest value.
    Dark,
    /// Most of the border is lighter.
    Light,
}

impl Ground {
    /// Returns the ground of images `[channels, size, size]`, pixels in [0, 1], image after image. `None` if their borders are
    /// neither mostly dark nor mostly light, as those of photographs.
    pub fn of(pixels: &[f32], [channels, size, _]: [usize; 3]) -> Option<Ground> {
        let (mut dark, mut count) = (0_usize, 0_usize);
        for image in pixels.chunks_exact(channels * size * size) {
            for place in (0..size * size).filter(|place| is_border(*place, size)) {
                let sum: f32 = image.iter().skip(place).step_by(size * size).sum();
                dark += usize::from(sum / (channels as f32) < MIDDLE);
                count += 1;
            }
        }
        let share = dark as f64 / count.max(1) as f64;
        match count {
            0 => None,
            _ if share >= SHARE => Some(Ground::Dark),
            _ if share <= 1.0 - SHARE => Some(Ground::Light),
            _ => None,
        }
    }
}

fn is_border(place: usize, size: usize) -> bool {
    [place / size, place % size].iter().any(|&at| at == 0 || at == size - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_border_decides() {
        // A ring of 12 pixels around 4; `light` of the ring are light.
        let image = |light: usize, inside: f32| {
            let mut ring = 0;
            let pixel = |place| match is_border(place, 4) {
                true => {
                    ring += 1;
                    if ring <= light { 0.9 } else { 0.1 }
                }
                false => inside,
            };
            (0..16).map(pixel).collect::<Vec<f32>>()
        };
        let of = |light, inside| Ground::of(&image(light, inside), [1, 4, 4]);
        assert_eq!((of(0, 1.0), of(3, 1.0)), (Some(Ground::Dark), Some(Ground::Dark)));
        assert_eq!((of(4, 0.0), of(8, 1.0)), (None, None));
        assert_eq!((of(9, 0.0), of(12, 0.0)), (Some(Ground::Light), Some(Ground::Light)));
        // The borders of several images count together, and the channels of a colour are averaged.
        assert_eq!(Ground::of(&[image(4, 0.0), image(0, 1.0)].concat(), [1, 4, 4]), Some(Ground::Dark));
        let colour = [vec![1.0; 16], vec![0.2; 16], vec![0.2; 16]].concat();
        assert_eq!(Ground::of(&colour, [3, 4, 4]), Some(Ground::Dark));
        assert_eq!(Ground::of(&[], [1, 4, 4]), None);
    }
}
