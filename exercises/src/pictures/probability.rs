//! The pictures of chapters 7 and 8.

use super::models::noise;
use super::svg::{Axes, BLACK, BLUE, GREEN, GREY, ORANGE, PALE, Svg};

fn normal(x: f64, mean: f64, sigma: f64) -> f64 {
    (-0.5 * ((x - mean) / sigma).powi(2)).exp() / (sigma * std::f64::consts::TAU.sqrt())
}

fn wide() -> Axes {
    Axes { place: [40.0, 35.0, 480.0, 190.0], x: [-4.0, 4.0], y: [0.0, 0.85] }
}

/// The area under a function between two numbers.
fn shade(svg: &mut Svg, axes: &Axes, [from, to]: [f64; 2], f: impl Fn(f64) -> f64, colour: &str) {
    let mut points = axes.points(from, to, f);
    points.push(axes.at(to, 0.0));
    points.push(axes.at(from, 0.0));
    svg.area(&points, colour, 0.25);
}

fn ticks(svg: &mut Svg, axes: &Axes, numbers: std::ops::RangeInclusive<i32>) {
    for number in numbers {
        let [x, y] = axes.at(f64::from(number), axes.y[0]);
        svg.note([x, y + 16.0], &format!("{number}").replace('-', "−"), BLACK);
    }
}

pub(super) fn density() -> String {
    let mut svg = Svg::new(560.0, 270.0);
    let axes = wide();
    shade(&mut svg, &axes, [-1.0, 1.0], |x| normal(x, 0.0, 1.0), BLUE);
    axes.draw(&mut svg, "x", "density");
    ticks(&mut svg, &axes, -4..=4);
    svg.curve(&axes.points(-4.0, 4.0, |x| normal(x, 0.0, 1.0)), BLUE);
    svg.curve(&axes.points(-4.0, 4.0, |x| normal(x, 1.5, 0.5)), ORANGE);
    svg.label([60.0, 60.0], "N(0, 1); the shaded area is 0.68", BLUE);
    svg.label([60.0, 80.0], "N(1.5, 0.5²): narrower, so higher", ORANGE);
    svg.finish()
}

pub(super) fn expectation() -> String {
    let mut svg = Svg::new(560.0, 270.0);
    let axes = Axes { place: [50.0, 35.0, 480.0, 190.0], x: [0.0, 400.0], y: [0.0, 2.0] };
    axes.draw(&mut svg, "number of draws", "mean of z² so far, for z ~ N(0, 1)");
    for n in [0, 100, 200, 300, 400] {
        let [x, y] = axes.at(f64::from(n), 0.0);
        svg.note([x, y + 16.0], &n.to_string(), BLACK);
    }
    svg.dashes(axes.at(0.0, 1.0), axes.at(400.0, 1.0), BLACK);
    for (seed, colour) in [(1, BLUE), (2, GREEN), (5, ORANGE)] {
        let (mut state, mut sum) = (seed, 0.0);
        let points: Vec<[f64; 2]> = (1..=400)
            .map(|n| {
                let z: f64 = (0..12).map(|_| noise(&mut state) / 2.0).sum(); // nearly normal, with variance 1
                sum += z * z;
                axes.at(f64::from(n), (sum / f64::from(n)).min(2.0))
            })
            .collect();
        svg.curve(&points, colour);
    }
    svg.label([330.0, 60.0], "three runs; the truth is 1", BLACK);
    svg.finish()
}

pub(super) fn kl() -> String {
    let mut svg = Svg::new(560.0, 290.0);
    let axes = Axes { place: [40.0, 35.0, 480.0, 200.0], x: [-4.0, 4.0], y: [-0.2, 1.1] };
    let (q, p) = (|x: f64| normal(x, 1.0, 0.5), |x: f64| normal(x, 0.0, 1.0));
    let integrand = |x: f64| q(x) * (q(x) / p(x)).max(1e-30).ln();
    let mut points = axes.points(-4.0, 4.0, integrand);
    points.push(axes.at(4.0, 0.0));
    points.push(axes.at(-4.0, 0.0));
    svg.area(&points, GREEN, 0.3);
    svg.line(axes.at(-4.0, 0.0), axes.at(4.0, 0.0), BLACK, 1.2);
    svg.curve(&axes.points(-4.0, 4.0, p), BLUE);
    svg.curve(&axes.points(-4.0, 4.0, q), ORANGE);
    ticks(&mut svg, &axes, -4..=4);
    svg.label([60.0, 55.0], "q = N(1, 0.5²)", ORANGE);
    svg.label([60.0, 75.0], "p = N(0, 1)", BLUE);
    svg.label([60.0, 95.0], "q·ln(q/p): its area is KL(q ‖ p) = 0.82", GREEN);
    svg.finish()
}

pub(super) fn bayes() -> String {
    let mut svg = Svg::new(560.0, 250.0);
    let panels = [("prior", [0.9, 0.1]), ("likelihood of 3 heads", [0.125, 1.0]), ("posterior", [0.5294, 0.4706])];
    for (i, (name, bars)) in panels.iter().enumerate() {
        let left = 30.0 + 185.0 * i as f64;
        svg.note([left + 70.0, 25.0], name, BLACK);
        svg.line([left, 200.0], [left + 140.0, 200.0], BLACK, 1.2);
        for (j, (bar, colour)) in bars.iter().zip([BLUE, ORANGE]).enumerate() {
            let x = left + 15.0 + 62.0 * j as f64;
            svg.rect([x, 200.0 - 150.0 * bar], [48.0, 150.0 * bar], PALE, colour);
            svg.note([x + 24.0, 194.0 - 150.0 * bar], &format!("{bar:.3}"), colour);
            svg.note([x + 24.0, 218.0], ["fair", "two heads"][j], colour);
        }
        if i < 2 {
            svg.text([left + 162.0, 120.0], ["×", "→"][i]);
        }
    }
    svg.note([280.0, 242.0], "the products, divided by their sum 0.2125, which is the evidence", GREY);
    svg.finish()
}

/// log p(x) as a bar that the ELBO and its gap fill, for three choices of q. The numbers are those of the example `bound`.
pub(super) fn bound() -> String {
    let mut svg = Svg::new(600.0, 260.0);
    let scale = |nats: f64| 200.0 + 110.0 * (nats + 2.2656);
    let rows = [("q = prior", -3.4189, 50.0), ("q too narrow", -3.0684, 110.0), ("q = posterior", -2.2655, 170.0)];
    for (name, elbo, y) in rows {
        svg.text([85.0, y + 20.0], name);
        let left = 180.0;
        let right = 520.0;
        let at = right + (scale(elbo) - scale(-2.2655)) * 2.0;
        svg.rect([left, y], [at - left, 30.0], "#cfe3f2", BLUE);
        if right - at > 2.0 {
            svg.rect([at, y], [right - at, 30.0], "#f7d9c6", ORANGE);
            svg.note([(at + right) / 2.0, y + 20.0], "gap", ORANGE);
        }
        svg.note([left + 40.0, y + 20.0], "ELBO", BLUE);
    }
    svg.dashes([520.0, 30.0], [520.0, 215.0], BLACK);
    svg.note([520.0, 22.0], "log p(x)", BLACK);
    svg.note([350.0, 240.0], "the gap is KL(q ‖ true posterior); training q closes it", GREY);
    svg.finish()
}

pub(super) fn draw() -> String {
    let mut svg = Svg::new(600.0, 250.0);
    svg.node([70.0, 60.0], [80.0, 36.0], "μ", BLUE);
    svg.node([70.0, 125.0], [80.0, 36.0], "σ", BLUE);
    svg.node([70.0, 190.0], [110.0, 36.0], "ε ~ N(0, 1)", GREY);
    svg.node([330.0, 125.0], [130.0, 40.0], "z = μ + σ·ε", GREEN);
    svg.node([520.0, 125.0], [90.0, 36.0], "loss", ORANGE);
    for y in [60.0, 125.0, 190.0] {
        svg.arrow(
            [if y > 150.0 { 127.0 } else { 112.0 }, y],
            [263.0, 125.0 + (y - 125.0) * 0.2],
            if y > 150.0 { GREY } else { BLUE },
        );
    }
    svg.arrow([396.0, 120.0], [474.0, 120.0], BLUE);
    svg.arrow([474.0, 134.0], [396.0, 134.0], ORANGE);
    svg.note([190.0, 70.0], "slope 1", BLUE);
    svg.note([165.0, 118.0], "slope ε", BLUE);
    svg.note([330.0, 190.0], "the draw of ε is an input like any other:", BLACK);
    svg.note([330.0, 208.0], "it needs no gradient, and z has one towards μ and σ", BLACK);
    svg.finish()
}
