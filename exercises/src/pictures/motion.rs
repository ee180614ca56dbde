//! The pictures that move: a kernel that slides, its transpose, one step of learning, and the two terms of the ELBO.

use super::svg::{Axes, BLACK, BLUE, GREEN, GREY, ORANGE, PALE, Svg};

/// A number as text, with a real minus sign.
fn number(value: f64) -> String {
    let rounded = (value * 100.0).round() / 100.0;
    if rounded == 0.0 { "0".to_owned() } else { format!("{rounded}").replace('-', "−") }
}

/// Texts in a row of cells, whose first cell begins at a place.
fn cells(svg: &mut Svg, [x, y]: [f64; 2], width: f64, texts: &[String], border: &str) {
    for (i, text) in texts.iter().enumerate() {
        svg.rect([x + width * i as f64, y], [width, 40.0], PALE, border);
        svg.text([x + width * (i as f64 + 0.5), y + 26.0], text);
    }
}

fn numbers(values: &[f64]) -> Vec<String> {
    values.iter().map(|v| number(*v)).collect()
}

/// A kernel that slides over a line of pixels: at each place its products add up to one result.
pub(super) fn convolution() -> String {
    let (x, w) = ([0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0], [-1.0, 0.0, 1.0]);
    let mut svg = Svg::new(560.0, 250.0);
    cells(&mut svg, [120.0, 40.0], 50.0, &numbers(&x), BLUE);
    svg.label([15.0, 65.0], "pixels x", BLUE);
    svg.label([15.0, 130.0], "kernel w", ORANGE);
    svg.label([15.0, 225.0], "results y", GREEN);
    let results: Vec<f64> = x.windows(3).map(|x| x.iter().zip(w).map(|(x, w)| w * x).sum()).collect();
    let frame = |i: usize| {
        let (mut svg, left) = (Svg::new(0.0, 0.0), 120.0 + 50.0 * i as f64);
        svg.outline([left - 3.0, 36.0], [156.0, 48.0], ORANGE);
        cells(&mut svg, [left, 105.0], 50.0, &numbers(&w), ORANGE);
        svg.line([left + 75.0, 147.0], [left + 75.0, 198.0], ORANGE, 2.0);
        let products: Vec<String> =
            w.iter().zip(&x[i..]).map(|(w, x)| format!("{}·{}", number(*w), number(*x))).collect();
        svg.text([320.0, 25.0], &format!("{} = {}", products.join(" + "), number(results[i])));
        cells(&mut svg, [170.0, 200.0], 50.0, &numbers(&results[..=i]), GREEN);
        (if i == 5 { 3.0 } else { 1.5 }, svg)
    };
    svg.frames(&(0..6).map(frame).collect::<Vec<_>>(), 5);
    svg.finish()
}

/// The transposed convolution of stride 2: each number puts its multiple of the kernel down, two pixels farther each time.
pub(super) fn transposed_slides() -> String {
    let (y, w, width) = ([1.0, 3.0, 2.0, 1.0], [1.0, 2.0, 1.0], 66.0);
    let mut svg = Svg::new(620.0, 290.0);
    let pixel = |i: usize| 120.0 + width * i as f64;
    svg.label([15.0, 55.0], "numbers y", GREEN);
    svg.label([15.0, 135.0], "y[i] · w", ORANGE);
    svg.label([15.0, 240.0], "pixels x", BLUE);
    for (i, y) in y.iter().enumerate() {
        cells(&mut svg, [pixel(2 * i), 30.0], width, &[number(*y)], GREEN);
    }
    // What each pixel has received after the numbers up to the i-th.
    let received = |pixel: usize, last: usize| -> Vec<f64> {
        let all = (0..=last).flat_map(|i| (0..3).map(move |t| (i, t)));
        all.filter(|(i, t)| 2 * i + t == pixel + 1).map(|(i, t)| w[t] * y[i]).collect()
    };
    let frame = |i: usize| {
        let mut svg = Svg::new(0.0, 0.0);
        svg.outline([pixel(2 * i) - 3.0, 26.0], [width + 6.0, 48.0], ORANGE);
        svg.line([pixel(2 * i) + width / 2.0, 74.0], [pixel(2 * i) + width / 2.0, 108.0], ORANGE, 2.0);
        for (t, w) in w.iter().enumerate() {
            // The first number reaches one pixel to the left of the line; that part is dropped.
            if let Some(place) = (2 * i + t).checked_sub(1).filter(|place| *place < 7) {
                let left = pixel(place);
                cells(&mut svg, [left, 110.0], width, &[format!("{}·{}", number(y[i]), number(*w))], ORANGE);
                svg.arrow([left + width / 2.0, 151.0], [left + width / 2.0, 213.0], ORANGE);
            }
        }
        let sums: Vec<String> = (0..7)
            .map(|pixel| match numbers(&received(pixel, i)) {
                parts if parts.is_empty() => "0".into(),
                parts => parts.join("+"),
            })
            .collect();
        cells(&mut svg, [pixel(0), 215.0], width, &sums, BLUE);
        (if i == 3 { 3.0 } else { 1.8 }, svg)
    };
    svg.frames(&(0..4).map(frame).collect::<Vec<_>>(), 3);
    svg.note([350.0, 280.0], "stride 2, padding 1, w = (1, 2, 1); where two arrive, they add up", BLACK);
    svg.finish()
}

/// One step of gradient descent on the graph of chapter 2: values forwards, derivatives backwards, a new w, and a smaller loss.
pub(super) fn step() -> String {
    const RATE: f64 = 0.1;
    let (x, y, old) = (3.0, 2.0, 0.5);
    let values = |w: f64| [w, x, y, w * x, w * x - y, (w * x - y) * (w * x - y)];
    let e = old * x - y;
    let derivatives = [2.0 * e * x, 2.0 * e * old, -2.0 * e, 2.0 * e, 2.0 * e, 1.0];
    let new = old - RATE * derivatives[0];
    let places = super::beginnings::PLACES;

    let mut svg = Svg::new(680.0, 300.0);
    for (from, to) in [(0, 3), (1, 3), (3, 4), (2, 4), (4, 5)] {
        let ([x1, y1], [x2, y2]) = (places[from], places[to]);
        svg.arrow([x1 + 45.0, y1], [x2 - 45.0, y2], GREY);
    }
    for (at, name) in places.iter().zip(["w", "x", "y", "mul", "sub", "mul (loss)"]) {
        svg.node(*at, [90.0, 30.0], name, BLUE);
    }
    // Which values and derivatives are known, which node is at work, and what happens.
    let frame = |w: f64, known: &[usize], back: &[usize], here: &[usize], words: String| {
        let (mut svg, values) = (Svg::new(0.0, 0.0), values(w));
        for &i in known {
            svg.note([places[i][0], places[i][1] - 20.0], &number(values[i]), BLUE);
        }
        for &i in back {
            svg.note([places[i][0], places[i][1] + 30.0], &number(derivatives[i]), ORANGE);
        }
        for &i in here {
            svg.outline([places[i][0] - 45.0, places[i][1] - 15.0], [90.0, 30.0], ORANGE);
        }
        svg.label([250.0, 40.0], &words, BLACK);
        svg
    };
    let all = [0, 1, 2, 3, 4, 5];
    let forward = |w: f64, count: usize, words: String| frame(w, &all[..count], &[], &all[count - 1..count], words);
    let backward = |from: usize, here: usize, words: String| frame(old, &all, &all[from..], &[here], words);
    let update = format!("update: w ← {} − {RATE}·({}) = {}", number(old), number(derivatives[0]), number(new));
    let frames = [
        (1.5, frame(old, &all[..3], &[], &all[..3], "the numbers that are given".into())),
        (1.5, forward(old, 4, format!("forwards: w·x = {}", number(old * x)))),
        (1.5, forward(old, 5, format!("forwards: w·x − y = {}", number(e)))),
        (1.5, forward(old, 6, format!("forwards: its square is the loss, {}", number(e * e)))),
        (1.5, backward(5, 5, "backwards: the loss by itself, 1".into())),
        (2.0, backward(4, 4, format!("backwards: times 2·({}), twice the value", number(e)))),
        (1.5, backward(3, 3, "backwards: times 1".into())),
        (2.0, backward(0, 0, format!("backwards: dloss/dw = −1·{} = {}", number(x), number(derivatives[0])))),
        (3.0, backward(0, 0, update)),
        (3.0, forward(new, 6, format!("the next step begins: the loss is {}", number(values(new)[5])))),
    ];
    svg.frames(&frames, 8);
    svg.label([250.0, 268.0], "above: values, computed forwards", BLUE);
    svg.label([250.0, 287.0], "below: derivatives of the loss, computed backwards", ORANGE);
    svg.finish()
}

/// q(z) = N(m, s²) where z ~ N(0, 1), x ~ N(z, 1) and x = 2, the model of the example `bound`.
#[derive(Clone, Copy)]
struct Proposal {
    m: f64,
    log_s: f64,
}

impl Proposal {
    const X: f64 = 2.0;

    fn s(self) -> f64 {
        self.log_s.exp()
    }

    fn reconstruction(self) -> f64 {
        0.5 * ((Self::X - self.m).powi(2) + self.s().powi(2)) + 0.5 * std::f64::consts::TAU.ln()
    }

    fn kl(self) -> f64 {
        0.5 * (self.m.powi(2) + self.s().powi(2) - 1.0) - self.log_s
    }

    /// A step of gradient descent on the terms that pull.
    fn step(self, [reconstruction, kl]: [f64; 2]) -> Proposal {
        let (rate, s2) = (0.3, self.s().powi(2));
        let m = reconstruction * (self.m - Self::X) + kl * self.m;
        let log_s = reconstruction * s2 + kl * (s2 - 1.0);
        Proposal { m: self.m - rate * m, log_s: self.log_s - rate * log_s }
    }
}

/// The density q under the pull of one term of the ELBO, of the other, and of both.
pub(super) fn balance() -> String {
    let mut svg = Svg::new(680.0, 310.0);
    let axes = Axes { place: [30.0, 60.0, 400.0, 190.0], x: [-4.5, 4.5], y: [0.0, 1.3] };
    let bell = |m: f64, s: f64| {
        let density = move |z: f64| (-0.5 * ((z - m) / s).powi(2)).exp() / (s * std::f64::consts::TAU.sqrt());
        (0..=36).map(|i| m + s * (f64::from(i) / 6.0 - 3.0)).map(|z| axes.at(z, density(z))).collect::<Vec<_>>()
    };
    axes.draw(&mut svg, "code z", "density");
    svg.curve(&bell(0.0, 1.0), GREY);
    svg.note(axes.at(0.0, 0.44), "prior", GREY);
    let [px, bottom] = axes.at(Proposal::X, 0.0);
    svg.dashes([px, bottom], [px, 60.0], ORANGE);
    svg.note([px, 52.0], "x = 2", ORANGE);
    let (left, unit) = (470.0, 22.0); // pixels for a nat
    svg.label([left, 78.0], "loss in nats; dashed: −log p(x)", BLACK);
    let bound = left + unit * 2.2655;
    svg.dashes([bound, 90.0], [bound, 142.0], BLACK);

    let start = Proposal { m: -1.5, log_s: 0.9f64.ln() };
    let acts = [
        ("only the reconstruction term pulls: to a spike at x", [1.0, 0.0]),
        ("only the KL pulls: to the prior, whatever x is", [0.0, 1.0]),
        ("both pull: they balance at the true posterior", [1.0, 1.0]),
    ];
    let mut frames = Vec::new();
    for (words, weights) in acts {
        let mut q = start;
        for step in 0..=14 {
            let mut svg = Svg::new(0.0, 0.0);
            svg.text([340.0, 26.0], words);
            svg.area(&bell(q.m, q.s()), BLUE, 0.3);
            svg.curve(&bell(q.m, q.s()), BLUE);
            let at = |z: f64, row: f64| [axes.at(z, 0.0)[0], 205.0 + row];
            for (weight, to, colour, row) in
                [(weights[0], q.m + 0.45 * (Proposal::X - q.m), ORANGE, 0.0), (weights[1], q.m * 0.55, GREEN, 22.0)]
            {
                if weight > 0.0 && (to - q.m).abs() > 0.15 {
                    svg.arrow(at(q.m, row), at(to, row), colour);
                }
            }
            let (first, second) = (unit * q.reconstruction(), unit * q.kl());
            svg.rect([left, 100.0], [first, 34.0], "#f7d9c6", ORANGE);
            svg.rect([left + first, 100.0], [second, 34.0], "#c6e8dc", GREEN);
            svg.label([left, 164.0], &format!("reconstruction {:.2}", q.reconstruction()), ORANGE);
            svg.label([left, 184.0], &format!("+ KL {:.2}", q.kl()), GREEN);
            svg.label([left, 204.0], &format!("= {:.2}", q.reconstruction() + q.kl()), BLACK);
            frames.push((
                if step == 0 {
                    1.0
                } else if step == 14 {
                    2.5
                } else {
                    0.2
                },
                svg,
            ));
            q = q.step(weights);
        }
    }
    svg.frames(&frames, frames.len() - 1);
    svg.label([30.0, 302.0], "blue: q(z). Arrows: how each term pulls at its middle.", BLUE);
    svg.finish()
}
