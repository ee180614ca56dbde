//! The pictures of chapters 9 to 12 and of the speed track. Measured numbers name the program that printed them.

use super::svg::{Axes, BLACK, BLUE, GREEN, GREY, ORANGE, PALE, Svg};

pub(super) fn vae() -> String {
    let mut svg = Svg::new(690.0, 250.0);
    let boxes = [
        ([50.0, 100.0], 70.0, "x", BLACK),
        ([155.0, 100.0], 90.0, "encoder", BLUE),
        ([275.0, 60.0], 70.0, "μ", BLUE),
        ([275.0, 140.0], 70.0, "logvar", BLUE),
        ([390.0, 100.0], 90.0, "z = μ + σ·ε", ORANGE),
        ([510.0, 100.0], 90.0, "decoder", GREEN),
        ([630.0, 100.0], 80.0, "logits", GREEN),
    ];
    for (from, to) in [(0, 1), (1, 2), (1, 3), (2, 4), (3, 4), (4, 5), (5, 6)] {
        let ([x1, y1], w1) = (boxes[from].0, boxes[from].1);
        let ([x2, y2], w2) = (boxes[to].0, boxes[to].1);
        svg.arrow([x1 + w1 / 2.0, y1], [x2 - w2 / 2.0 - 2.0, y2], GREY);
    }
    for (at, width, name, colour) in boxes {
        svg.rect([at[0] - width / 2.0, at[1] - 18.0], [width, 36.0], PALE, colour);
        svg.note([at[0], at[1] + 5.0], name, BLACK);
    }
    svg.note([390.0, 40.0], "ε ~ N(0, I)", GREY);
    svg.arrow([390.0, 48.0], [390.0, 79.0], GREY);
    svg.node([275.0, 215.0], [150.0, 34.0], "KL, of μ and logvar", ORANGE);
    svg.node([600.0, 215.0], [170.0, 34.0], "bce, of logits and x", ORANGE);
    svg.arrow([275.0, 160.0], [275.0, 196.0], ORANGE);
    svg.arrow([630.0, 120.0], [630.0, 196.0], ORANGE);
    svg.text([425.0, 220.0], "loss = bce + KL");
    svg.finish()
}

/// The numbers are those of `cargo run -p exercises --example beta`.
pub(super) fn rate_distortion() -> String {
    let mut svg = Svg::new(600.0, 320.0);
    let axes = Axes { place: [60.0, 35.0, 460.0, 220.0], x: [0.0, 16.0], y: [14.0, 32.0] };
    axes.draw(&mut svg, "rate: the KL in nats", "distortion: the reconstruction term in nats");
    for number in [0, 4, 8, 12, 16] {
        let [x, y] = axes.at(f64::from(number), 14.0);
        svg.note([x, y + 16.0], &number.to_string(), BLACK);
    }
    for number in [15, 20, 25, 30] {
        let [x, y] = axes.at(0.0, f64::from(number));
        svg.note([x - 18.0, y + 4.0], &number.to_string(), BLACK);
    }
    let rows = [
        ("0.01", 15.14, 15.36),
        ("0.1", 7.98, 15.57),
        ("1", 3.54, 16.92),
        ("4", 1.54, 20.71),
        ("10 and 144", 0.0, 30.0),
    ];
    let points: Vec<[f64; 2]> = rows.iter().map(|(_, rate, distortion)| axes.at(*rate, *distortion)).collect();
    svg.curve(&points, GREY);
    for ((beta, ..), [x, y]) in rows.iter().zip(&points) {
        svg.dot([*x, *y], 5.0, BLUE);
        svg.label([x + 9.0, y - 7.0], &format!("β = {beta}"), BLUE);
    }
    svg.label([300.0, 80.0], "right: codes say much", GREEN);
    svg.label([300.0, 100.0], "left: codes are near the prior", ORANGE);
    svg.finish()
}

/// The places are those that `cargo run -p exercises --example latents` prints.
pub(super) fn traversal() -> String {
    let mut svg = Svg::new(600.0, 320.0);
    let walks = [
        (
            "β = 1",
            [
                [[4.0, 2.3], [4.7, 3.5], [5.7, 5.5], [4.1, 7.2], [3.1, 8.4]],
                [[8.7, 7.1], [7.5, 6.5], [5.7, 5.5], [7.5, 4.9], [8.6, 4.6]],
            ],
        ),
        (
            "β = 4",
            [
                [[5.3, 2.6], [5.4, 3.5], [5.4, 5.5], [5.4, 7.5], [5.4, 8.4]],
                [[2.6, 5.6], [3.4, 5.6], [5.4, 5.5], [7.7, 5.2], [8.5, 5.1]],
            ],
        ),
    ];
    for (i, (name, latents)) in walks.iter().enumerate() {
        let axes = Axes { place: [30.0 + 300.0 * i as f64, 40.0, 240.0, 240.0], x: [0.0, 11.0], y: [11.0, 0.0] };
        svg.rect([axes.place[0], axes.place[1]], [240.0, 240.0], "#ffffff", GREY);
        svg.text([axes.place[0] + 120.0, 28.0], name);
        for (places, colour) in latents.iter().zip([BLUE, ORANGE]) {
            let points: Vec<[f64; 2]> = places.iter().map(|[x, y]| axes.at(*x, *y)).collect();
            svg.curve(&points, colour);
            points.iter().enumerate().for_each(|(k, point)| svg.dot(*point, 3.0 + k as f64, colour));
        }
    }
    svg.note([300.0, 305.0], "blue: latent 0, orange: latent 1; larger dots are larger values", BLACK);
    svg.finish()
}

/// The numbers are those of `cargo run -p exercises --example tighter_bounds`.
pub(super) fn tighter_bounds() -> String {
    let mut svg = Svg::new(560.0, 270.0);
    let axes = Axes { place: [60.0, 35.0, 450.0, 180.0], x: [0.0, 2.0], y: [-3.6, -2.1] };
    axes.draw(&mut svg, "number of draws K", "bound in nats");
    svg.dashes(axes.at(0.0, -2.2655), axes.at(2.0, -2.2655), BLACK);
    svg.label([axes.at(0.05, 0.0)[0], axes.at(0.0, -2.2)[1]], "log p(x) = −2.2655", BLACK);
    let rows = [(1.0f64, -3.4173), (2.0, -2.7611), (5.0, -2.4235), (20.0, -2.3001), (100.0, -2.2718)];
    let points: Vec<[f64; 2]> = rows.iter().map(|(k, bound)| axes.at(k.log10(), *bound)).collect();
    svg.curve(&points, BLUE);
    for ((k, _), [x, y]) in rows.iter().zip(&points) {
        svg.dot([*x, *y], 5.0, BLUE);
        svg.note([*x, 231.0], &k.to_string(), BLACK);
    }
    svg.label([points[0][0] + 10.0, points[0][1]], "the ELBO", BLUE);
    svg.finish()
}

pub(super) fn diffusion() -> String {
    let mut svg = Svg::new(600.0, 230.0);
    let mut state = 3;
    let size = 10;
    for (step, kept) in [1.0, 0.8, 0.5, 0.2, 0.0f64].iter().enumerate() {
        let left = 20.0 + 118.0 * step as f64;
        for i in 0..size * size {
            let (x, y) = (i % size, i / size);
            let [dx, dy] = [x as f64 - 4.0, y as f64 - 5.0];
            let image = 2.0 * (-(dx * dx + dy * dy) / 5.0).exp() - 1.0;
            let noise = super::models::noise(&mut state) + super::models::noise(&mut state);
            let value = kept.sqrt() * image + (1.0 - kept).sqrt() * noise;
            let shade = (127.5 + 110.0 * value).clamp(0.0, 255.0) as u8;
            let colour = format!("#{shade:02x}{shade:02x}{shade:02x}");
            svg.rect([left + 9.0 * x as f64, 40.0 + 9.0 * y as f64], [9.0, 9.0], &colour, &colour);
        }
        svg.note([left + 45.0, 150.0], &format!("ā = {kept}"), BLACK);
        if step < 4 {
            svg.arrow([left + 93.0, 75.0], [left + 116.0, 75.0], GREY);
            svg.arrow([left + 116.0, 97.0], [left + 93.0, 97.0], ORANGE);
        }
    }
    svg.note([300.0, 25.0], "grey arrows: noise is added, nothing is learned", GREY);
    svg.note([300.0, 185.0], "orange arrows: a network takes a little noise away; this is learned", ORANGE);
    svg.finish()
}

pub(super) fn tiles() -> String {
    let mut svg = Svg::new(600.0, 260.0);
    let panels = [
        (20.0, "one result: a row and a column", [1.0, 1.0], "16 loads for 8 products"),
        (320.0, "a tile of 4 × 4 results", [4.0, 4.0], "64 loads for 128 products"),
    ];
    for (left, name, [rows, columns], note) in panels {
        svg.note([left + 130.0, 22.0], name, BLACK);
        svg.rect([left, 60.0], [80.0, 80.0], "#ffffff", GREY);
        svg.rect([left, 70.0], [80.0, 10.0 * rows], "#cfe3f2", BLUE);
        svg.rect([left + 95.0, 60.0], [80.0, 80.0], "#ffffff", GREY);
        svg.rect([left + 115.0, 60.0], [10.0 * columns, 80.0], "#f7d9c6", ORANGE);
        svg.rect([left + 190.0, 60.0], [80.0, 80.0], "#ffffff", GREY);
        svg.rect([left + 210.0, 70.0], [10.0 * columns, 10.0 * rows], "#c6e8dc", GREEN);
        svg.text([left + 87.0, 105.0], "·");
        svg.text([left + 182.0, 105.0], "=");
        for (x, name) in [(40.0, "A"), (135.0, "B"), (230.0, "C")] {
            svg.note([left + x, 158.0], name, BLACK);
        }
        svg.note([left + 130.0, 190.0], note, BLACK);
    }
    svg.note([300.0, 230.0], "8 × 8 matrices: each number that was loaded for a tile is used four times", GREY);
    svg.finish()
}
