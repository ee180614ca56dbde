//! The pictures of chapters 5 and 6.

use super::svg::{Axes, BLACK, BLUE, GREEN, GREY, ORANGE, PALE, Svg};

/// A small random number generator, so that pictures need no other crate: the same numbers from −1 to 1 each time.
pub(super) fn noise(state: &mut u64) -> f64 {
    *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    (*state >> 33) as f64 / f64::from(1u32 << 30) - 1.0
}

/// Seven pixels above, four results below, and a line for every weight: the convolution downwards, its transpose upwards.
pub(super) fn transposed() -> String {
    let mut svg = Svg::new(560.0, 230.0);
    let (above, below) = (|i: usize| [70.0 + 70.0 * i as f64, 60.0], |i: usize| [70.0 + 140.0 * i as f64, 170.0]);
    for i in 0..4 {
        for (t, colour) in [BLUE, GREY, ORANGE].iter().enumerate() {
            if let Some(place) = (2 * i + t).checked_sub(1).filter(|place| *place < 7) {
                svg.line(above(place), below(i), colour, 2.0);
            }
        }
    }
    for i in 0..7 {
        svg.dot(above(i), 17.0, PALE);
        svg.text([above(i)[0], 65.0], &format!("x{i}"));
    }
    for i in 0..4 {
        svg.dot(below(i), 17.0, PALE);
        svg.text([below(i)[0], 175.0], &format!("y{i}"));
    }
    svg.note([280.0, 25.0], "downwards: convolution, stride 2, padding 1", BLACK);
    svg.note([280.0, 217.0], "upwards: its transpose, along the same lines with the same weights", BLACK);
    svg.finish()
}

pub(super) fn autoencoder() -> String {
    let mut svg = Svg::new(640.0, 230.0);
    svg.area(&[[130.0, 30.0], [290.0, 85.0], [290.0, 125.0], [130.0, 180.0]], BLUE, 0.2);
    svg.area(&[[350.0, 85.0], [510.0, 30.0], [510.0, 180.0], [350.0, 125.0]], GREEN, 0.2);
    svg.rect([20.0, 55.0], [100.0, 100.0], PALE, BLACK);
    svg.rect([520.0, 55.0], [100.0, 100.0], PALE, BLACK);
    svg.rect([300.0, 75.0], [40.0, 60.0], PALE, ORANGE);
    svg.text([320.0, 110.0], "z");
    svg.text([70.0, 110.0], "image x");
    svg.note([570.0, 102.0], "reconstruction", BLACK);
    svg.text([570.0, 122.0], "x̂");
    svg.text([205.0, 110.0], "encoder");
    svg.text([435.0, 110.0], "decoder");
    svg.note([70.0, 200.0], "144 numbers", GREY);
    svg.note([320.0, 200.0], "2 numbers, the code", ORANGE);
    svg.note([570.0, 200.0], "144 numbers", GREY);
    svg.finish()
}

/// Codes of an autoencoder are wherever training left them. Those of a VAE overlap and fill the region from which one draws.
pub(super) fn codes() -> String {
    let mut svg = Svg::new(640.0, 300.0);
    let mut state = 7;
    let panels = [(20.0, "autoencoder: points with holes between"), (340.0, "VAE: overlapping clouds around 0")];
    for (panel, (left, name)) in panels.iter().enumerate() {
        let axes = Axes { place: [*left, 40.0, 280.0, 230.0], x: [-7.0, 7.0], y: [-5.75, 5.75] };
        svg.rect([*left, 40.0], [280.0, 230.0], "#ffffff", GREY);
        svg.note([left + 140.0, 26.0], name, BLACK);
        for (group, colour) in [BLUE, GREEN, ORANGE, BLACK].iter().enumerate() {
            for _ in 0..14 {
                let (a, b) = (noise(&mut state), noise(&mut state));
                let angle = group as f64 * 1.57 + 0.4;
                if panel == 0 {
                    let along = 3.2 + 1.8 * a;
                    svg.dot(axes.at(along * angle.cos() + 0.4 * b, along * angle.sin() - 0.4 * b), 3.0, colour);
                } else {
                    let at = axes.at(0.9 * angle.cos() + 0.8 * a, 0.9 * angle.sin() + 0.8 * b);
                    svg.area(&circle(at, 9.0), colour, 0.15);
                    svg.dot(at, 2.0, colour);
                }
            }
        }
        let unit = 280.0 / 14.0;
        svg.ellipse(axes.at(0.0, 0.0), [2.0 * unit, 2.0 * unit], 0.0, GREY);
    }
    svg.note([320.0, 292.0], "grey circle: where draws from N(0, I) fall, 86 % of them", GREY);
    svg.finish()
}

fn circle([x, y]: [f64; 2], radius: f64) -> Vec<[f64; 2]> {
    let turn = |i: i32| f64::from(i) * std::f64::consts::TAU / 24.0;
    (0..24).map(|i| [x + radius * turn(i).cos(), y + radius * turn(i).sin()]).collect()
}
