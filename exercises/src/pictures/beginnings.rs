//! The pictures of chapters 1 to 4.

use super::svg::{Axes, BLACK, BLUE, GREEN, GREY, ORANGE, Svg};

/// A grid of numbers with its upper left corner at a place. Numbers that are only repeated are grey.
fn grid(svg: &mut Svg, [x, y]: [f64; 2], rows: &[&[&str]], repeated: impl Fn(usize) -> bool, border: &str) {
    for (i, row) in rows.iter().enumerate() {
        for (j, number) in row.iter().enumerate() {
            let corner = [x + 46.0 * j as f64, y + 36.0 * i as f64];
            svg.rect(corner, [46.0, 36.0], if repeated(i) { "#ffffff" } else { "#eef3f8" }, border);
            svg.note([corner[0] + 23.0, corner[1] + 23.0], number, if repeated(i) { GREY } else { BLACK });
        }
    }
}

pub(super) fn broadcasting() -> String {
    let mut svg = Svg::new(620.0, 150.0);
    grid(&mut svg, [20.0, 45.0], &[&["1", "2", "3"], &["4", "5", "6"]], |_| false, BLUE);
    svg.text([185.0, 87.0], "+");
    grid(&mut svg, [212.0, 45.0], &[&["10", "20", "30"], &["10", "20", "30"]], |i| i == 1, ORANGE);
    svg.text([378.0, 87.0], "=");
    grid(&mut svg, [404.0, 45.0], &[&["11", "22", "33"], &["14", "25", "36"]], |_| false, GREEN);
    for (x, text) in [(89.0, "[2, 3]"), (281.0, "[3], repeated"), (473.0, "[2, 3]")] {
        svg.note([x, 30.0], text, BLACK);
    }
    svg.finish()
}

/// The nodes w, x, y, mul, sub and mul of the graph of (w·x − y)².
pub(super) const PLACES: [[f64; 2]; 6] =
    [[70.0, 55.0], [70.0, 135.0], [70.0, 215.0], [240.0, 95.0], [410.0, 155.0], [590.0, 155.0]];

pub(super) fn graph() -> String {
    let mut svg = Svg::new(680.0, 270.0);
    // e = w·x − y and loss = e·e, at w = 0.5, x = 3, y = 2. Values above, derivatives of the loss below.
    let nodes = [
        ("w", "0.5", "-3"),
        ("x", "3", "-0.5"),
        ("y", "2", "1"),
        ("mul", "1.5", "-1"),
        ("sub", "-0.5", "-1"),
        ("mul (loss)", "0.25", "1"),
    ];
    for (from, to, slope, lift) in
        [(0, 3, "3", -8.0), (1, 3, "0.5", 18.0), (3, 4, "1", -10.0), (2, 4, "-1", 18.0), (4, 5, "-0.5 and -0.5", -10.0)]
    {
        let ([x1, y1], [x2, y2]) = (PLACES[from], PLACES[to]);
        svg.arrow([x1 + 45.0, y1], [x2 - 45.0, y2], GREY);
        svg.note([(x1 + x2) / 2.0, (y1 + y2) / 2.0 + lift], slope, GREY);
    }
    for (at, (name, value, gradient)) in PLACES.into_iter().zip(nodes) {
        svg.node(at, [90.0, 30.0], name, BLUE);
        svg.note([at[0], at[1] - 20.0], value, BLUE);
        svg.note([at[0], at[1] + 30.0], gradient, ORANGE);
    }
    svg.label([300.0, 30.0], "blue: values, computed forwards", BLUE);
    svg.label([300.0, 50.0], "grey: slopes, kept on the way", GREY);
    svg.label([300.0, 70.0], "orange: derivatives of the loss, computed backwards", ORANGE);
    svg.finish()
}

pub(super) fn differences() -> String {
    let mut svg = Svg::new(560.0, 320.0);
    let axes = Axes { place: [50.0, 30.0, 470.0, 240.0], x: [0.0, 2.4], y: [0.0, 5.0] };
    axes.draw(&mut svg, "", "f(x)");
    let f = |x: f64| 0.3 + 0.8 * x * x;
    svg.curve(&axes.points(0.0, 2.4, f), BLUE);
    let (x, h) = (1.3, 0.7);
    let line =
        |slope: f64, reach: f64| [axes.at(x - reach, f(x) - slope * reach), axes.at(x + reach, f(x) + slope * reach)];
    let [a, b] = line(1.6 * x, 0.8);
    svg.line(a, b, GREEN, 2.0);
    svg.dashes(axes.at(x - h, f(x - h)), axes.at(x + h, f(x + h)), ORANGE);
    svg.dashes(axes.at(x, f(x)), axes.at(x + h, f(x + h)), BLACK);
    for (at, name) in [(x - h, "x − h"), (x, "x"), (x + h, "x + h")] {
        svg.dot(axes.at(at, f(at)), 4.5, BLUE);
        let [px, py] = axes.at(at, 0.0);
        svg.note([px, py + 16.0], name, BLACK);
    }
    svg.label([70.0, 50.0], "green: the tangent, whose slope is f′(x)", GREEN);
    svg.label([70.0, 70.0], "orange: central difference, nearly parallel", ORANGE);
    svg.label([70.0, 90.0], "black: one-sided difference, too steep", BLACK);
    svg.finish()
}

pub(super) fn difference_error() -> String {
    let mut svg = Svg::new(560.0, 330.0);
    let axes = Axes { place: [70.0, 35.0, 450.0, 230.0], x: [-7.0, -1.0], y: [-6.0, 0.0] };
    axes.draw(&mut svg, "step h", "error of the derivative of sin at 1, in f32");
    for exponent in -7..=-1 {
        let [x, y] = axes.at(f64::from(exponent), -6.0);
        svg.note([x, y + 16.0], &format!("1e{exponent}"), BLACK);
    }
    for exponent in [-6, -4, -2, 0] {
        let [x, y] = axes.at(-7.0, f64::from(exponent));
        svg.note([x - 28.0, y + 4.0], &format!("1e{exponent}"), BLACK);
    }
    let errors = (-7..=-1).map(|exponent| {
        let h = 10f32.powi(exponent);
        let sin = |x: f32| f64::from(x).sin() as f32; // the same on every system
        let slope = (sin(1.0 + h) - sin(1.0 - h)) / (2.0 * h);
        (f64::from(exponent), (f64::from(slope) - 1f64.cos()).abs().log10())
    });
    let points: Vec<[f64; 2]> = errors.map(|(x, y)| axes.at(x, y)).collect();
    svg.curve(&points, BLUE);
    points.iter().for_each(|point| svg.dot(*point, 4.5, BLUE));
    svg.label([90.0, 250.0], "left: rounding is larger", ORANGE);
    svg.label([400.0, 250.0], "right: the curve", GREEN);
    svg.finish()
}

pub(super) fn descent() -> String {
    let mut svg = Svg::new(620.0, 290.0);
    for (i, (rate, name)) in
        [(0.1, "rate 0.1: arrives"), (0.45, "rate 0.45: fast"), (1.05, "rate 1.05: runs away")].iter().enumerate()
    {
        let axes = Axes { place: [30.0 + 200.0 * i as f64, 50.0, 160.0, 190.0], x: [-3.0, 3.0], y: [0.0, 9.0] };
        axes.draw(&mut svg, "w", "loss");
        svg.curve(&axes.points(-3.0, 3.0, |w| w * w), GREY);
        let mut w = 2.2;
        for _ in 0..6 {
            let next = w - rate * 2.0 * w;
            if next * next < 9.0 {
                svg.arrow(axes.at(w, w * w), axes.at(next, next * next), ORANGE);
            }
            if w * w < 9.0 {
                svg.dot(axes.at(w, w * w), 3.5, BLUE);
            }
            w = next;
        }
        svg.note([110.0 + 200.0 * i as f64, 22.0], name, BLACK);
    }
    svg.finish()
}

pub(super) fn network() -> String {
    let mut svg = Svg::new(560.0, 270.0);
    let layers = [(80.0, 2), (280.0, 5), (480.0, 1)];
    let place = |layer: usize, i: usize| {
        let (x, count) = layers[layer];
        [x, 130.0 + 44.0 * (i as f64 - (count as f64 - 1.0) / 2.0)]
    };
    for layer in 0..2 {
        for i in 0..layers[layer].1 {
            (0..layers[layer + 1].1).for_each(|j| svg.line(place(layer, i), place(layer + 1, j), GREY, 1.0));
        }
    }
    for (layer, (_, count)) in layers.iter().enumerate() {
        (0..*count).for_each(|i| svg.dot(place(layer, i), 14.0, [BLUE, GREEN, ORANGE][layer]));
    }
    for (x, name) in [(80.0, "inputs x"), (280.0, "hidden: tanh(W₁x + b₁)"), (480.0, "output: W₂h + b₂")] {
        svg.note([x, 260.0], name, BLACK);
    }
    svg.finish()
}
