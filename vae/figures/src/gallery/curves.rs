//! `curves`: the training and validation losses of a run over its epochs. For several runs: their validation losses in one
//! plot, or in one panel for each value of a configuration key, as the first paper plots them by β and by the number of
//! latents.

use std::path::{MAIN_SEPARATOR, Path, PathBuf};

use vae_core::config::Config;
use vae_core::train::Epoch;
use vae_core::{Error, Result};
use vae_run::LoadedRun;
use vae_run::loaded;
use vae_run::{self, history};

use super::Drawing;
use crate::figure::{self, Curve, Plot, format_value, overlay, overlay_by};

/// Draws the losses of one run.
///
/// # Errors
/// If the run has not finished an epoch.
pub fn of_run(run: &LoadedRun) -> Result<Drawing> {
    one(&run.name, &run.predictor.config, &run.history)
}

fn one(name: &str, config: &Config, history: &[Epoch]) -> Result<Drawing> {
    let (Some(first), Some(last)) = (history.first(), history.last()) else {
        return Err(Error::config(format!("curves: {name} has not finished an epoch")));
    };
    let title = format!("{name}, epoch {}: {}", last.epoch, vae_run::describe(config));
    let plot = figure::curves(&title, history, vae_run::loss_unit(config));
    let total = |epoch: &Epoch| format_value(epoch.validation.losses.total);
    let best = history.iter().min_by(|a, b| a.validation.losses.total.total_cmp(&b.validation.losses.total));
    let best = best.unwrap_or(last);
    let alt = format!(
        "Training and validation losses over {} epochs: the validation total goes from {} to {}, with its least, {}, in \
         epoch {}.",
        history.len(),
        total(first),
        total(last),
        total(best),
        best.epoch
    );
    Ok(Drawing::plot("curves", &plot, alt))
}

/// Draws the validation losses of several runs. A folder is that of a run or of a sweep, which contains runs. `by` is a
/// configuration key such as `loss.beta`; there is one panel for each of its values.
///
/// # Errors
/// If a folder contains no run, no run has finished an epoch, or the key does not exist.
pub fn of_folders(folders: &[PathBuf], by: Option<&str>) -> Result<Drawing> {
    let mut paths = Vec::new();
    folders.iter().try_for_each(|folder| runs(folder).map(|found| paths.extend(found)))?;
    let mut all = Vec::new();
    for (path, name) in paths.iter().zip(loaded::distinct_names(&paths)) {
        all.push((name, loaded::configuration(path, &[])?, history(path)?));
    }
    if let ([(name, config, history)], None) = (&all[..], by) {
        return one(name, config, history);
    }
    all.retain(|(_, _, history)| !history.is_empty());
    if all.is_empty() {
        return Err(Error::config("curves: none of these runs has finished an epoch"));
    }
    let curve = |name: &str, history: &[Epoch]| {
        Curve::of_validation(name, &history.iter().map(Epoch::json).collect::<Vec<_>>())
    };
    let whose = loaded::distinct_names(folders).join(", ");
    let epochs = all.iter().map(|(_, _, history)| history.len()).max().unwrap_or(0);
    let title = format!("{whose}: validation of {} runs, up to epoch {epochs}", all.len());
    let (name, plot) = match by {
        None => {
            let curves: Vec<Curve> = all.iter().map(|(name, _, history)| curve(name, history)).collect();
            ("curves-compared".to_owned(), overlay(&title, &curves))
        }
        Some(key) => {
            let mut groups: Vec<(String, Vec<Curve>)> = Vec::new();
            let short = key.rsplit('.').next().unwrap_or(key);
            for (name, config, history) in &all {
                let group = format!("{short}={}", value(config, key)?);
                let rest: Vec<&str> = name.split([',', MAIN_SEPARATOR]).filter(|part| *part != group).collect();
                let rest = if rest.is_empty() { "the run".to_owned() } else { rest.join(",") };
                match groups.iter_mut().find(|(known, _)| *known == group) {
                    Some((_, curves)) => curves.push(curve(&rest, history)),
                    None => groups.push((group, vec![curve(&rest, history)])),
                }
            }
            (format!("curves-by-{short}"), overlay_by(&title, &groups))
        }
    };
    Ok(Drawing::plot(&name, &plot, compared(&plot, &all)))
}

/// A sentence that names the runs with the lowest and the highest total.
fn compared(plot: &Plot, all: &[(String, Config, Vec<Epoch>)]) -> String {
    let best = |history: &[Epoch]| history.iter().map(|e| e.validation.losses.total).fold(f64::INFINITY, f64::min);
    let mut totals: Vec<(f64, &str)> = all.iter().map(|(name, _, history)| (best(history), name.as_str())).collect();
    totals.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let (low, high) = (totals[0], totals[totals.len() - 1]);
    format!(
        "{} panels of validation losses of {} runs over their epochs: the lowest total is {} of {}, the highest of the runs' \
         least totals {} of {}.",
        plot.panels.len(),
        all.len(),
        format_value(low.0),
        low.1,
        format_value(high.0),
        high.1
    )
}

/// The run in a folder, or the runs in the folders of a sweep, sorted by name with numbers in numeric order.
fn runs(folder: &Path) -> Result<Vec<PathBuf>> {
    let is_run = |path: &Path| path.join("config.toml").is_file();
    let inside = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut inside: Vec<PathBuf> = inside.filter(|path| is_run(path)).collect();
    inside.sort_by_cached_key(|path| in_order(&path.display().to_string()));
    // A folder that is neither is returned, so that the error message names it.
    Ok(if is_run(folder) || inside.is_empty() { vec![folder.to_owned()] } else { inside })
}

/// A sort key of a name that puts its numbers in numeric order.
fn in_order(name: &str) -> String {
    let is_number = |letter: char| letter.is_ascii_digit() || letter == '.';
    let mut key = String::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|letter| is_number(letter) != is_number(first)).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        match piece.parse::<f64>() {
            Ok(number) => key += &format!("{number:040.12}"),
            Err(_) => key += piece,
        }
        rest = after;
    }
    key
}

/// The value of a configuration key such as `loss.beta`.
fn value(config: &Config, key: &str) -> Result<String> {
    config.value(key).ok_or_else(|| Error::config(format!("--by {key}: the runs have no such key")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_sort_numerically() {
        let mut names = ["z_dim=128", "z_dim=10,beta=0.5", "z_dim=2", "beta=1", "z_dim=10,beta=0.25"];
        names.sort_by_cached_key(|name| in_order(name));
        assert_eq!(names, ["beta=1", "z_dim=2", "z_dim=10,beta=0.25", "z_dim=10,beta=0.5", "z_dim=128"]);
    }

    #[test]
    fn a_key_has_the_value_that_folder_names_have() {
        let config = Config::default();
        assert_eq!(value(&config, "loss.beta").unwrap(), "1");
        assert_eq!(value(&config, "model.kind").unwrap(), "resnet18");
        for key in ["loss.gamme", "loss", ""] {
            assert!(value(&config, key).unwrap_err().to_string().contains("no such key"), "{key}");
        }
    }
}
