//! Laws of axes: where numbers are along them, and which ticks they have.

use super::*;

fn near(a: f32, b: f64) {
    assert!((f64::from(a) - b).abs() < 1e-6, "{a}, expected {b}");
}

/// Both ends of an axis of whole numbers have a margin of 3 % of the distance between the first and the last number. A category
/// has room for half a bar on both sides.
#[test]
fn numbers_and_categories_have_the_same_margin_at_both_ends() {
    for last in [2, 3, 10, 1000] {
        let axis = Axis::counted("epoch", last);
        near(axis.place(1.0), 0.03 / 1.06);
        near(axis.place(last as f64), 1.03 / 1.06);
    }
    for count in [1, 2, 7] {
        let axis = Axis::named("latent", (0..count).map(|k| k.to_string()));
        near(axis.place(0.0), 0.6 / (count as f64 + 0.2));
        near(axis.place(count as f64 - 1.0), 1.0 - 0.6 / (count as f64 + 0.2));
    }
}

/// Equal factors are equal distances.
#[test]
fn a_logarithmic_axis_has_equal_factors_at_equal_distances() {
    let decades = [10_000.0, 400.0, 200.0, 100.0, 50.0, 20.0, 10.0, 10.0, 10.0, 10.0];
    let axis = Axis::fitted("nats", decades.into_iter());
    assert_eq!((axis.low, axis.high, axis.note().as_str()), (10.0, 10_000.0, "logarithmic scale"));
    for (x, place) in [(10.0, 0.0), (100.0, 1.0 / 3.0), (1000.0, 2.0 / 3.0), (10_000.0, 1.0), (1.0, 0.0), (1e5, 1.0)] {
        near(axis.place(x), place);
    }
}

/// The scale of an axis does not depend on the unit of its numbers.
#[test]
fn other_units_have_the_same_scale() {
    let decades = [10_000.0, 400.0, 200.0, 100.0, 50.0, 20.0, 10.0, 10.0, 10.0, 10.0];
    let clipped = [1000.0, 2.0, 1.95, 1.9, 1.85, 1.8, 1.75, 1.7, 1.65, 1.6];
    let even = [9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 1.0];
    for (numbers, note) in [(decades, "logarithmic scale"), (clipped, "outliers are drawn at the edge"), (even, "")] {
        for unit in [1e-6, 1e-3, 1.0, 1e3, 1e6] {
            assert_eq!(Axis::fitted("", numbers.iter().map(|x| unit * x)).note(), note, "{unit}");
        }
    }
}

/// One of five numbers may be an outlier, and two of six. With four, there is none.
#[test]
fn few_numbers_have_few_outliers() {
    let note = |outliers: usize, others: usize| {
        let others = (0..others).map(|k| 2.0 - 0.05 * k as f64);
        Axis::fitted("", (0..outliers).map(|k| 1000.0 + k as f64).chain(others)).note()
    };
    let clipped = "outliers are drawn at the edge";
    assert_eq!([note(1, 3), note(1, 4), note(2, 3)], ["", clipped, ""]);
    assert_eq!([note(2, 4), note(3, 7), note(2, 8)], [clipped, "", clipped]);
}

/// The first tick is the last that is not above the lowest number, and so on. All are 1, 2 or 5 times a power of ten, at equal
/// factors if there are many powers.
#[test]
fn logarithmic_ticks_are_round_and_as_few_as_possible() {
    for first in [-9, -1, 0, 3] {
        for decades in 1..30 {
            for [low, high] in [[1.0, 1.0], [1.5, 0.7], [2.0, 1.0], [3.0, 4.0], [5.0, 5.0]] {
                let (low, high) = (low * 10_f64.powi(first), high * 10_f64.powi(first + decades));
                let ticks: Vec<f64> = logarithmic_ticks([low, high]).iter().map(|(tick, _)| *tick).collect();
                let of = format!("{low} to {high}: {ticks:?}");
                assert!(ticks[0] <= low && ticks[1] > low, "{of}");
                assert!(ticks[ticks.len() - 1] >= high && ticks[ticks.len() - 2] < high, "{of}");
                assert!((2..=12).contains(&ticks.len()) && (decades < 4 || ticks.len() >= 4), "{of}");
                for tick in &ticks {
                    let digit = tick / 10_f64.powf((tick * 1.001).log10().floor());
                    assert!([1.0, 2.0, 5.0].iter().any(|known| (digit - known).abs() < 1e-6), "{tick} of {of}");
                }
                let steps: Vec<f64> = ticks.windows(2).map(|pair| (pair[1] / pair[0]).log10()).collect();
                assert!(decades < 5 || steps.iter().all(|step| (step - steps[0]).abs() < 1e-6), "{of}");
            }
        }
    }
}
