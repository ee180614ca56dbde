//! Curves of a run: the total and its parts over the epochs, training beside validation.

use super::canvas::{BLACK, Canvas, Colour, GREY, LETTER, width_of};
use super::png;
use crate::train::{Epoch, Losses, part_unit, part_words};

/// Two colours that every kind of eye tells apart (Okabe and Ito), and in grey by their brightness and markers.
const TRAIN: Colour = [0, 114, 178];
const VALIDATION: Colour = [230, 130, 0];

pub(super) const PANEL: [u32; 2] = [420, 330];
/// Around the axes of a panel: left, top, right, bottom.
const INSET: [f32; 4] = [92.0, 40.0, 14.0, 52.0];
const HEAD: u32 = 64;

/// A line through a panel: the epochs, from 1, and their numbers.
pub(super) struct Series<'a> {
    pub(super) points: &'a [(usize, f64)],
    pub(super) colour: Colour,
    pub(super) marker: Marker,
}

/// What stands at each epoch of a line.
#[derive(Clone, Copy)]
pub(super) enum Marker {
    Disc,
    Square,
    Cross,
}

/// A panel for the total and one for each part over the epochs so far, as a PNG. `unit` is that of the total.
pub fn curves(title: &str, epochs: &[Epoch], unit: &str) -> Vec<u8> {
    let parts = epochs.first().map_or(&[][..], |epoch| &epoch.train.parts[..]);
    let mut canvas = Canvas::new((1 + parts.len() as u32) * PANEL[0] + 10, HEAD + PANEL[1]);
    canvas.text([16, 10], title, BLACK);
    let mut x = 16.0;
    for (name, colour, marker) in [("training", TRAIN, Marker::Disc), ("validation", VALIDATION, Marker::Square)] {
        canvas.line([x, 45.0], [x + 30.0, 45.0], 2.0, colour);
        mark(&mut canvas, [x + 15.0, 45.0], marker, colour);
        canvas.text([x as i64 + 38, 36], name, BLACK);
        x += 38.0 + width_of(name) as f32 + 28.0;
    }
    let mut panel = |i: usize, words: [&str; 2], pick: &dyn Fn(&Losses) -> f64| {
        let train: Vec<_> = epochs.iter().map(|epoch| (epoch.epoch, pick(&epoch.train))).collect();
        let validation: Vec<_> = epochs.iter().map(|epoch| (epoch.epoch, pick(&epoch.validation.losses))).collect();
        let train = Series { points: &train, colour: TRAIN, marker: Marker::Disc };
        let validation = Series { points: &validation, colour: VALIDATION, marker: Marker::Square };
        draw(&mut canvas, [i as u32 * PANEL[0], HEAD], words, &[train, validation]);
    };
    panel(0, ["total", unit], &|losses| losses.total);
    for (i, (name, _)) in parts.iter().enumerate() {
        panel(i + 1, [&part_words(name), part_unit(name)], &|losses| losses.part(name).unwrap_or(f64::NAN));
    }
    png(&canvas)
}

/// A panel with its upper left corner there, its heading, the unit of its vertical axis, and its lines.
pub(super) fn draw(canvas: &mut Canvas, corner: [u32; 2], [heading, unit]: [&str; 2], series: &[Series]) {
    let [left, top] = [corner[0] as f32 + INSET[0], corner[1] as f32 + INSET[1]];
    let [right, bottom] = [(corner[0] + PANEL[0]) as f32 - INSET[2], (corner[1] + PANEL[1]) as f32 - INSET[3]];
    canvas.text([(left + right) as i64 / 2 - width_of(heading) / 2, top as i64 - 28], heading, BLACK);
    let middle = (top + bottom) as i64 / 2 + width_of(unit) / 2;
    canvas.text_upwards([i64::from(corner[0]) + 6, middle], unit, BLACK);
    let axis = "epoch";
    canvas.text([(left + right) as i64 / 2 - width_of(axis) / 2, bottom as i64 + 30], axis, BLACK);

    let finite = || series.iter().flat_map(|line| line.points).filter(|(_, y)| y.is_finite());
    let epochs = finite().map(|&(epoch, _)| epoch).max().unwrap_or(1);
    let (low, high) =
        finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &(_, y)| (low.min(y), high.max(y)));
    let ticks = ticks(if low <= high { [low, high] } else { [0.0, 1.0] });
    let (low, high) = (ticks.values[0], ticks.values[ticks.values.len() - 1]);
    let across = |epoch: usize| match epochs {
        1 => (left + right) / 2.0,
        _ => left + 10.0 + (right - left - 20.0) * (epoch - 1) as f32 / (epochs - 1) as f32,
    };
    let up = |y: f64| bottom - (bottom - top) * ((y - low) / (high - low)) as f32;

    for &y in &ticks.values {
        canvas.line([left, up(y)], [right, up(y)], 1.0, GREY);
        let words = format!("{y:.*}", ticks.decimals);
        canvas.text([left as i64 - 8 - width_of(&words), up(y) as i64 - i64::from(LETTER[1]) / 2], &words, BLACK);
    }
    let step = epochs.div_ceil(8).max(1);
    for epoch in (1..=epochs).filter(|epoch| epoch % step == 0 || step == 1 || *epoch == 1) {
        canvas.line([across(epoch), bottom], [across(epoch), bottom + 5.0], 1.0, BLACK);
        let words = epoch.to_string();
        canvas.text([across(epoch) as i64 - width_of(&words) / 2, bottom as i64 + 8], &words, BLACK);
    }
    canvas.line([left, top], [left, bottom], 1.0, BLACK);
    canvas.line([left, bottom], [right, bottom], 1.0, BLACK);

    for &Series { points, colour, marker } in series {
        let at = |&(epoch, y): &(usize, f64)| [across(epoch), up(y)];
        for pair in points.windows(2).filter(|pair| pair.iter().all(|(_, y)| y.is_finite())) {
            canvas.line(at(&pair[0]), at(&pair[1]), 2.0, colour);
        }
        if epochs <= 30 {
            points.iter().filter(|(_, y)| y.is_finite()).for_each(|point| mark(canvas, at(point), marker, colour));
        }
    }
}

pub(super) fn mark(canvas: &mut Canvas, [x, y]: [f32; 2], marker: Marker, colour: Colour) {
    match marker {
        Marker::Disc => canvas.disc([x, y], 3.5, colour),
        Marker::Square => canvas.fill([(x - 3.0).max(0.0) as u32, (y - 3.0).max(0.0) as u32], [7, 7], colour),
        Marker::Cross => {
            canvas.line([x - 3.5, y - 3.5], [x + 3.5, y + 3.5], 2.0, colour);
            canvas.line([x - 3.5, y + 3.5], [x + 3.5, y - 3.5], 2.0, colour);
        }
    }
}

/// Where an axis has its lines, and how many decimals tell them apart.
struct Ticks {
    values: Vec<f64>,
    decimals: usize,
}

/// Round numbers, four to seven of them, from at or below the least to at or above the most.
fn ticks([low, high]: [f64; 2]) -> Ticks {
    let span = (high - low).max(1e-9 * low.abs().max(high.abs())).max(1e-6);
    let power = 10_f64.powf((span / 5.0).log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].map(|k| k * power).into_iter().find(|step| span / step <= 5.5).unwrap_or(10.0 * power);
    let (first, last) = ((low / step).floor(), (high / step).ceil());
    let count = (last - first).clamp(1.0, 10.0) as usize;
    let decimals = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
    Ticks { values: (0..=count).map(|k| (first + k as f64) * step).collect(), decimals }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Validation;

    #[test]
    fn ticks_are_round_and_hold_the_data() {
        for [low, high] in [[119.3, 241.7], [0.0, 0.0], [11.2, 11.21], [-3.0, 1e6], [1e-4, 2e-4], [5.0, 5.0]] {
            let ticks = ticks([low, high]);
            let values = &ticks.values;
            assert!(values[0] <= low + 1e-9 && values[values.len() - 1] >= high - 1e-9, "{low} {high}: {values:?}");
            assert!((2..=8).contains(&values.len()), "{low} {high}: {values:?}");
        }
        assert_eq!(
            (ticks([119.3, 241.7]).values, ticks([119.3, 241.7]).decimals),
            (vec![100.0, 150.0, 200.0, 250.0], 0)
        );
    }

    #[test]
    fn any_history_can_be_drawn() {
        let losses = |total| Losses { total, parts: vec![("reconstruction", total - 10.0), ("kl", 10.0)] };
        let epoch = |epoch, total| Epoch {
            epoch,
            train: losses(total),
            validation: Validation { losses: losses(total + 5.0), kl_per_dim: vec![], mse: None },
            learning_rate: 1e-3,
            seconds: 1.0,
            images_per_second: 1.0,
        };
        for history in [
            vec![],
            vec![epoch(1, f64::NAN)],
            vec![epoch(1, 100.0)],
            (1..=40).map(|e| epoch(e, 100.0 / e as f64)).collect(),
        ] {
            let picture = image::load_from_memory(&curves("a run", &history, "nats an image")).unwrap();
            let width = if history.is_empty() { 430 } else { 1270 };
            assert_eq!((picture.width(), picture.height()), (width, 394));
        }
    }
}
