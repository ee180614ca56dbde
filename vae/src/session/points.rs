//! The points of a grid, from `--sweep key=a,b,c`. Several sweeps give all combinations, the last key changing fastest. Keys
//! can be tied to one value, `--sweep loss.alpha+loss.gamma=1,3`, or to one value each, `--sweep loss.k1+loss.k2=1:0,0.9:0.1`.

use vae_core::config::{Config, Settings};
use vae_core::{Error, Result};

/// The most points that a grid may have.
const MAX_POINTS: usize = 1000;

/// One combination of values.
pub struct Point {
    /// The name of the run's folder.
    pub name: String,
    /// The swept keys and their values, as given.
    pub settings: Vec<(String, String)>,
    /// The resulting configuration.
    pub config: Config,
}

/// One `--sweep`: a key, or several tied keys, and their values.
struct Axis {
    keys: Vec<String>,
    /// The values as given; for tied keys one for all, or one each between colons.
    values: Vec<String>,
}

impl Axis {
    fn read(text: &str) -> Result<Axis> {
        let refuse = |what: &str| Error::config(format!("--sweep {text}: {what}, for example --sweep loss.beta=0,1,4"));
        let (keys, list) = text.split_once('=').ok_or_else(|| refuse("write it as key=value,value"))?;
        let axis = Axis { keys: keys.split('+').map(|key| key.trim().to_owned()).collect(), values: split(list) };
        if axis.values.iter().any(String::is_empty) {
            return Err(refuse("a value is missing"));
        }
        if axis.keys.iter().any(|key| key == "device") {
            return Err(refuse("all runs of a grid use one device, which --device sets; sweep another key"));
        }
        if axis.keys.len() > 1
            && axis.values.iter().any(|value| ![1, axis.keys.len()].contains(&value.split(':').count()))
        {
            let what = format!("{} keys need one value, or {0} values between colons", axis.keys.len());
            return Err(Error::config(format!("--sweep {text}: {what}, such as loss.k1+loss.k2=1:0,0.9:0.1")));
        }
        Ok(axis)
    }

    /// Every key with its part of a value.
    fn settings(&self, value: &str) -> Vec<(String, String)> {
        let parts: Vec<&str> = if self.keys.len() > 1 { value.split(':').collect() } else { vec![value] };
        self.keys.iter().zip(parts.iter().cycle()).map(|(key, part)| (key.clone(), (*part).to_owned())).collect()
    }
}

/// Returns every combination of the values of all sweeps, applied to the settings and resolved.
///
/// # Errors
/// If a sweep is not of the form `key=values`, a configuration is invalid, or there are too many points.
pub fn points(sweeps: &[String], settings: &Settings) -> Result<Vec<Point>> {
    let axes = sweeps.iter().map(|text| Axis::read(text)).collect::<Result<Vec<_>>>()?;
    let mut keys: Vec<&str> = axes.iter().flat_map(|axis| &axis.keys).map(String::as_str).collect();
    keys.sort_unstable();
    if let Some(twice) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Error::config(format!("--sweep: {} is swept twice; give all its values in one --sweep", twice[0])));
    }
    let count = axes.iter().try_fold(1_usize, |count, axis| count.checked_mul(axis.values.len()));
    let Some(count) = count.filter(|&count| count <= MAX_POINTS) else {
        return Err(Error::config(format!("--sweep: more than {MAX_POINTS} points; sweep fewer keys or values")));
    };
    let mut points: Vec<Point> = Vec::with_capacity(count);
    for mut rest in 0..count {
        let mut values = vec![""; axes.len()];
        for (value, axis) in values.iter_mut().zip(&axes).rev() {
            *value = &axis.values[rest % axis.values.len()];
            rest /= axis.values.len();
        }
        let point = Point::new(settings.clone(), &axes, &values)?;
        if let Some(same) = points.iter().find(|known| known.name == point.name || known.config == point.config) {
            return Err(Error::config(format!("--sweep: {} occurs twice, as {}", point.name, same.name)));
        }
        points.push(point);
    }
    Ok(points)
}

/// Splits a list at the commas outside brackets: `a,b` or `[1,2],[3]`.
fn split(list: &str) -> Vec<String> {
    let (mut values, mut depth) = (vec![String::new()], 0);
    for letter in list.chars() {
        depth += i32::from(letter == '[') - i32::from(letter == ']');
        match values.last_mut() {
            Some(value) if letter != ',' || depth > 0 => value.push(letter),
            _ => values.push(String::new()),
        }
    }
    values.iter().map(|value| value.trim().to_owned()).collect()
}

impl Point {
    fn new(mut settings: Settings, axes: &[Axis], values: &[&str]) -> Result<Point> {
        let pairs: Vec<_> = axes.iter().zip(values).flat_map(|(axis, value)| axis.settings(value)).collect();
        for (key, value) in &pairs {
            settings.flag(key, value, "--sweep")?;
        }
        let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
        let alone = |key: &str| pairs.iter().filter(|(other, _)| last(other) == last(key)).count() == 1;
        let short = |key: &String| if alone(key) { last(key) } else { key.clone() };
        let plain = |c: char| if c.is_ascii_alphanumeric() || "+-._".contains(c) { c } else { '-' };
        let part = |(axis, value): (&Axis, &&str)| {
            let value: String = core(value).chars().map(plain).collect();
            format!("{}={value}", axis.keys.iter().map(short).collect::<Vec<_>>().join("+"))
        };
        let name = axes.iter().zip(values).map(part).collect::<Vec<_>>().join(",");
        if name.len() > 200 {
            return Err(Error::config(format!(
                "--sweep: {name} is too long for the name of a folder; sweep fewer keys"
            )));
        }
        Ok(Point { name, config: settings.resolve()?, settings: pairs })
    }
}

/// A value without the brackets, dots and slashes around it. Signs stay, and so does the point of `.5`.
fn core(value: &str) -> &str {
    let belongs = |c: char| c.is_ascii_alphanumeric() || "+-_".contains(c);
    let Some(first) = value.find(belongs) else { return "" };
    let end = value.rfind(belongs).map_or(first, |last| last + 1); // these characters are one byte long
    let point = value[..first].ends_with('.') && value[first..].starts_with(|c: char| c.is_ascii_digit());
    &value[first - usize::from(point)..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_differ_by_a_sign_or_a_point_are_two_points() {
        for values in ["1,-1", ".5,5", "1e-3,1e3", "+2,-2"] {
            assert_eq!(points(&[format!("loss.beta={values}")], &Settings::default()).unwrap().len(), 2, "{values}");
        }
    }

    #[test]
    fn commas_in_brackets_do_not_split() {
        assert_eq!(split("0, 1,2.5"), ["0", "1", "2.5"]);
        assert_eq!(split("[8,16],[4]"), ["[8,16]", "[4]"]);
        assert_eq!(split("a,,b"), ["a", "", "b"]);
        assert_eq!(split(""), [""]);
    }

    /// The only point of a grid with one value per key.
    fn point(sweeps: &[&str]) -> Point {
        let axes = sweeps.iter().map(|text| Axis::read(text).unwrap()).collect::<Vec<_>>();
        let values = axes.iter().map(|axis| axis.values[0].as_str()).collect::<Vec<_>>();
        Point::new(Settings::default(), &axes, &values).unwrap()
    }

    #[test]
    fn a_point_is_named_after_its_values() {
        for (sweeps, name) in [
            (&["loss.beta=4", "model.z_dim=10"][..], "beta=4,z_dim=10"),
            (&["model.widths=[8, 16]"], "widths=8--16"),
            (&["train.schedule=linear", "loss.schedule=cyclical"], "train.schedule=linear,loss.schedule=cyclical"),
            (&["data.dir=../x/y"], "dir=x-y"),
            (&["data.dir=../"], "dir="),
            (&["loss.beta=-1"], "beta=-1"),
            (&["loss.beta=.5"], "beta=.5"),
            (&["loss.alpha+loss.gamma=3"], "alpha+gamma=3"),
            (&["loss.k1+loss.k2=0.9:0.1", "seed=2"], "k1+k2=0.9-0.1,seed=2"),
        ] {
            assert_eq!(point(sweeps).name, name);
        }
    }

    #[test]
    fn tied_keys_share_a_value_or_have_one_each() {
        let loss = point(&["loss.alpha+loss.beta+loss.gamma=3"]).config.loss;
        assert_eq!([loss.alpha, loss.beta, loss.gamma], [3.0; 3]);
        let loss = point(&["loss.k1+loss.k2=0.9:0.1"]).config.loss;
        assert_eq!([loss.k1, loss.k2], [0.9, 0.1]);
        assert_eq!(point(&["data.dir=C:x"]).config.data.dir, "C:x");
    }
}
