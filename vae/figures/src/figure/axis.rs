//! The axes of a plot: the range of numbers that they show, and the positions of their ticks.

/// One axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// The quantity and its unit.
    pub(super) label: String,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// The position and the text of each tick. A plot leaves out text that would overlap its neighbour.
    pub ticks: Vec<(f64, String)>,
    scale: Scale,
}

/// How positions follow from numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    Linear,
    Logarithmic,
    /// Linear, but some numbers are outside the range. They are drawn at its ends.
    Clipped,
}

/// Some numbers flatten the others if they make the range this many times larger.
const FLAT: f64 = 20.0;
/// At most one in this many numbers, rounded up, counts as an outlier.
const OUTLIERS: usize = 5;
/// With fewer numbers than this, none counts as an outlier. A curve of few epochs has nothing else to show.
const FEWEST: usize = 5;
/// The least part of a logarithmic axis that the numbers without outliers must cover.
const LEAST_SHARE: f64 = 0.2;

impl Axis {
    /// An axis with round ticks whose range contains all finite `numbers`.
    pub fn around(label: &str, numbers: impl Iterator<Item = f64>) -> Axis {
        let finite = numbers.filter(|x| x.is_finite());
        let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
        let ticks = ticks(if low <= high { [low, high] } else { [0.0, 1.0] });
        Axis { label: label.into(), low: ticks[0].0, high: ticks[ticks.len() - 1].0, ticks, scale: Scale::Linear }
    }

    /// An axis for a curve. If a few outliers would flatten the rest of the curve, the axis is logarithmic, or, if the rest would still
    /// be flat or not all numbers are positive, clipped to the range of the rest.
    pub fn fitted(label: &str, numbers: impl Iterator<Item = f64>) -> Axis {
        let mut sorted: Vec<f64> = numbers.filter(|x| x.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let Some(bulk) = bulk(&sorted) else { return Axis::around(label, sorted.into_iter()) };
        let (low, high) = (sorted[0], sorted[sorted.len() - 1]);
        let share = (bulk[bulk.len() - 1] / bulk[0]).ln() / (high / low).ln();
        if low > 0.0 && share >= LEAST_SHARE {
            let ticks = logarithmic_ticks([low, high]);
            let (low, high) = (ticks[0].0, ticks[ticks.len() - 1].0);
            return Axis { label: label.into(), low, high, ticks, scale: Scale::Logarithmic };
        }
        Axis { scale: Scale::Clipped, ..Axis::around(label, bulk.iter().copied()) }
    }

    /// Words about an axis that is not linear, or does not contain all numbers; else empty.
    pub fn note(&self) -> String {
        match self.scale {
            Scale::Linear => String::new(),
            Scale::Logarithmic => "logarithmic scale".into(),
            Scale::Clipped => "outliers are drawn at the edge".into(),
        }
    }

    /// An axis of the whole numbers 1 to `last`.
    pub fn counted(label: &str, last: usize) -> Axis {
        let last = last.max(1);
        let steps = (0..).flat_map(|power| [1, 2, 5].map(|k| k * 10_usize.pow(power)));
        let step = steps.take_while(|step| *step <= last).find(|step| last / step <= 8).unwrap_or(last);
        let one = if step > 2 { Some(1) } else { None };
        let ticks = one.into_iter().chain((step..=last).step_by(step)).map(|k| (k as f64, k.to_string())).collect();
        let edge = if last == 1 { 0.5 } else { 0.03 * (last - 1) as f64 };
        Axis { label: label.into(), low: 1.0 - edge, high: last as f64 + edge, ticks, scale: Scale::Linear }
    }

    /// An axis of categories, at 0, 1, 2, …
    pub fn named(label: &str, names: impl IntoIterator<Item = String>) -> Axis {
        let ticks: Vec<(f64, String)> = names.into_iter().enumerate().map(|(i, name)| (i as f64, name)).collect();
        let high = ticks.len().max(1) as f64 - 0.4;
        Axis { label: label.into(), low: -0.6, high, ticks, scale: Scale::Linear }
    }

    /// The position of `x` along the axis: 0 at its low end, 1 at its high end, and no further.
    pub fn place(&self, x: f64) -> f32 {
        let place = match self.scale {
            Scale::Logarithmic => (x / self.low).ln() / (self.high / self.low).ln(),
            Scale::Linear | Scale::Clipped => (x - self.low) / (self.high - self.low),
        };
        place.clamp(0.0, 1.0) as f32
    }
}

/// Sorted numbers without the outliers at one end, if these flatten the rest.
fn bulk(sorted: &[f64]) -> Option<&[f64]> {
    let spread = |numbers: &[f64]| numbers[numbers.len() - 1] - numbers[0];
    let outliers = sorted.len().div_ceil(OUTLIERS);
    let (below, above) = (sorted.get(outliers..)?, sorted.get(..sorted.len() - outliers)?);
    if sorted.len() < FEWEST {
        return None;
    }
    let bulk = if spread(above) <= spread(below) { above } else { below };
    (FLAT * spread(bulk) < spread(sorted)).then_some(bulk)
}

/// Up to about eight ticks at 1, 2 or 5 times powers of ten, or at powers of ten. The first is at most `low`, the last at least
/// `high`.
fn logarithmic_ticks([low, high]: [f64; 2]) -> Vec<(f64, String)> {
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let every = (last - first).div_euclid(8) + 1;
    let steps: &[f64] = if last - first <= 3 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let powers = (0..=(last - first + every - 1) / every).map(|k| first + k * every);
    let all: Vec<f64> = powers.flat_map(|power| steps.iter().map(move |step| step * 10_f64.powi(power))).collect();
    let from = all.iter().rposition(|&tick| tick <= low).unwrap_or(0);
    let to = all.iter().position(|&tick| tick >= high).unwrap_or(all.len() - 1);
    let words = |x: f64| if (1e-4..1e6).contains(&x) { x.to_string() } else { format!("{x:e}") };
    all[from..=to].iter().map(|&tick| (tick, words(tick))).collect()
}

/// Two to eight round numbers. The first is at most `low`, the last at least `high`; all have as many decimals as the step
/// needs.
fn ticks([low, high]: [f64; 2]) -> Vec<(f64, String)> {
    let span = (high - low).max(1e-9 * low.abs().max(high.abs())).max(1e-6);
    let power = 10_f64.powf((span / 5.0).log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].map(|k| k * power).into_iter().find(|step| span / step <= 5.5).unwrap_or(10.0 * power);
    let (first, last) = ((low / step).floor(), (high / step).ceil());
    let count = (last - first).clamp(1.0, 10.0) as usize;
    let decimals = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
    let tick = |k: usize| (first + k as f64) * step;
    let largest = tick(0).abs().max(tick(count).abs());
    let digits = (largest.log10().floor() - step.log10().floor()).clamp(0.0, 5.0) as usize;
    // There is room for seven characters.
    let words = |x: f64| match x {
        x if largest >= 1e6 && x != 0.0 => format!("{x:.digits$e}"),
        x => format!("{x:.decimals$}"),
    };
    (0..=count).map(|k| (tick(k), words(tick(k)))).collect()
}

/// Formats a number for readers: four significant digits and at most six decimals.
pub fn format_value(x: f64) -> String {
    if x == 0.0 {
        return "0".into();
    }
    let decimals = (3.0 - x.abs().max(1e-9).log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{x:.decimals$}")
}

#[cfg(test)]
mod laws;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_contain_the_data() {
        for [low, high] in [[119.3, 241.7], [0.0, 0.0], [11.2, 11.21], [-3.0, 1e6], [1e-4, 2e-4], [5.0, 5.0]] {
            let axis = Axis::around("", [high, f64::NAN, low].into_iter());
            assert!(axis.low <= low + 1e-9 && axis.high >= high - 1e-9, "{low} {high}: {axis:?}");
            assert!((2..=8).contains(&axis.ticks.len()), "{low} {high}: {axis:?}");
        }
        let words = |numbers: &[f64]| {
            let axis = Axis::around("", numbers.iter().copied());
            axis.ticks.into_iter().map(|(_, words)| words).collect::<Vec<_>>()
        };
        assert_eq!(words(&[119.3, 241.7]), ["100", "150", "200", "250"]);
        assert_eq!(words(&[-0.2, 0.55]), ["-0.2", "0.0", "0.2", "0.4", "0.6"]);
        assert_eq!(words(&[900.0, 1_654_000.0]), ["0", "5.0e5", "1.0e6", "1.5e6", "2.0e6"]);
        assert_eq!(words(&[1_210_000.0, 1_240_000.0]), ["1.21e6", "1.22e6", "1.23e6", "1.24e6"]);
        assert_eq!(words(&[]), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(words(&[0.0, 5.5]), ["0", "1", "2", "3", "4", "5", "6"]);
        assert_eq!(words(&[-1.0, 1.0]), ["-1.0", "-0.5", "0.0", "0.5", "1.0"]);
        assert_eq!(words(&[0.0, 1e6]), ["0", "2.0e5", "4.0e5", "6.0e5", "8.0e5", "1.0e6"]);
    }

    #[test]
    fn an_outlier_does_not_flatten_the_rest_of_a_curve() {
        let curve = |first: f64, from: f64| -> Vec<f64> {
            std::iter::once(first).chain((0..9).map(|k| from - 0.05 * f64::from(k))).collect()
        };
        let decades = vec![10_000.0, 400.0, 200.0, 100.0, 50.0, 20.0, 10.0, 10.0, 10.0, 10.0];
        for (numbers, note, least) in [
            (decades.clone(), "logarithmic scale", 0.4),
            (curve(1_000.0, 2.0), "outliers are drawn at the edge", 0.5),
            (curve(1e9, 2.0), "outliers are drawn at the edge", 0.5),
            (curve(40.0, 20.0), "outliers are drawn at the edge", 0.5),
            (curve(1_000.0, 0.1), "outliers are drawn at the edge", 0.5),
            (curve(-1_000.0, 0.1), "outliers are drawn at the edge", 0.5),
        ] {
            let axis = Axis::fitted("nats", numbers.iter().copied());
            let [outlier, high, low] = [0, 1, 9].map(|i| axis.place(numbers[i]));
            assert_eq!(axis.note(), note);
            assert!(high - low >= least && (outlier == 1.0 || outlier == 0.0 || note.starts_with("log")), "{axis:?}");
            assert!((2..=12).contains(&axis.ticks.len()), "{axis:?}");
            let linear = Axis::around("", numbers.iter().copied());
            assert!(linear.place(numbers[1]) - linear.place(numbers[9]) < 0.5 * (high - low), "it was not flat before");
        }
        for numbers in [
            &[5.0, 4.0, 3.0, 2.0, 1.0][..],
            &[1e6, 1.0, 1.0],
            &[20.2, 1.77, 1.62, 1.37],
            &[430.0, 257.0, 225.0, 217.0, 205.0],
            &[1.0; 9],
            &[],
        ] {
            assert_eq!(Axis::fitted("", numbers.iter().copied()), Axis::around("", numbers.iter().copied()));
        }
        let ticks = Axis::fitted("", decades.into_iter()).ticks;
        let words: Vec<&str> = ticks.iter().map(|(_, words)| words.as_str()).collect();
        assert_eq!(words, ["10", "20", "50", "100", "200", "500", "1000", "2000", "5000", "10000"]);
    }

    #[test]
    fn whole_numbers_have_whole_ticks() {
        let words = |last| Axis::counted("epoch", last).ticks.into_iter().map(|(_, words)| words).collect::<Vec<_>>();
        assert_eq!(words(0), ["1"]);
        assert_eq!(words(5), ["1", "2", "3", "4", "5"]);
        assert_eq!(words(12), ["2", "4", "6", "8", "10", "12"]);
        assert_eq!(words(16), ["2", "4", "6", "8", "10", "12", "14", "16"]);
        assert_eq!(words(30), ["1", "5", "10", "15", "20", "25", "30"]);
        assert_eq!(words(100), ["1", "20", "40", "60", "80", "100"]);
        assert!(Axis::counted("", 1).place(1.0) == 0.5);
    }

    #[test]
    fn values_have_four_digits() {
        assert_eq!(
            [123_456.7, 134.266, 13.456, 0.012_345_678, 0.0, -2.5].map(format_value),
            ["123457", "134.3", "13.46", "0.01235", "0", "-2.500"]
        );
    }
}
