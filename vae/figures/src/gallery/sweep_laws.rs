//! Tests of curves of several runs.

use super::*;
use crate::figure::format_value;

/// Trains a small run in this folder.
fn run_in(path: &std::path::Path, settings: &[&str]) -> Vec<Epoch> {
    use vae_core::config::Settings;
    let mut all = Settings::default();
    let small = ["data.kind=shapes", "data.images=24", "model.kind=dense", "model.hidden=2", "data.image_size=8"];
    small.iter().chain(settings).for_each(|setting| all.assignment(setting).unwrap());
    let config = all.resolve().unwrap();
    let (dataset, model) = (Dataset::built_in(&config).unwrap(), vae_core::learn::build(&config));
    let mut trainer = vae_core::train::Trainer::from_learner(config, dataset, model, tensor::Device::Cpu);
    let mut folder = Folder::prepare(path).unwrap();
    vae_run::run(&mut trainer, &mut folder, None, RunFigures::NONE, &mut |_| true).unwrap();
    vae_run::history(path).unwrap()
}

fn texts(drawing: &Drawing) -> Vec<String> {
    let svg = roxmltree::Document::parse(drawing.svg.as_ref().unwrap()).unwrap();
    let texts = svg.descendants().filter(|n| n.has_tag_name("text")).filter_map(|n| n.text());
    texts.map(str::to_owned).collect()
}

/// The runs of a sweep in one plot, or in one panel for each value of a key. One that has no epoch yet is left out.
#[test]
fn curves_of_a_sweep_compare_its_runs() {
    let dir = tempfile::tempdir().unwrap();
    let sweep = dir.path().join("sweep");
    let names = ["beta=1,z_dim=2", "beta=1,z_dim=10", "beta=4,z_dim=2"];
    let histories = [
        run_in(&sweep.join(names[0]), &["loss.beta=1", "model.z_dim=2", "train.epochs=2"]),
        run_in(&sweep.join(names[1]), &["loss.beta=1", "model.z_dim=10", "train.epochs=3"]),
        run_in(&sweep.join(names[2]), &["loss.beta=4", "model.z_dim=2", "train.epochs=1"]),
    ];
    let empty = sweep.join("beta=9,z_dim=2");
    std::fs::create_dir(&empty).unwrap();
    std::fs::copy(sweep.join(names[0]).join("config.toml"), empty.join("config.toml")).unwrap();
    std::fs::create_dir(sweep.join("no run")).unwrap();

    let together = curves::of_folders(std::slice::from_ref(&sweep), None).unwrap();
    assert_eq!(together.name, "curves-compared");
    assert_eq!(together.title, "sweep: validation of 3 runs, up to epoch 3");
    let least = |history: &[Epoch]| history.iter().map(|e| e.validation.losses.total).fold(f64::INFINITY, f64::min);
    let mut totals: Vec<(f64, &str)> = histories.iter().map(|history| least(history)).zip(names).collect();
    totals.sort_by(|a, b| a.0.total_cmp(&b.0));
    let words = format!(
        "of validation losses of 3 runs over their epochs: the lowest total is {} of {}, the highest of the runs' least totals {} of {}.",
        format_value(totals[0].0),
        totals[0].1,
        format_value(totals[2].0),
        totals[2].1
    );
    assert!(together.alt.ends_with(&words), "{}\nlacks {words}", together.alt);
    assert!(names.iter().all(|name| texts(&together).contains(&(*name).to_owned())), "{:?}", texts(&together));
    let places: Vec<usize> = ["beta=1,z_dim=2", "beta=1,z_dim=10", "beta=4,z_dim=2"]
        .iter()
        .map(|name| texts(&together).iter().position(|text| text == name).unwrap())
        .collect();
    assert!(places.is_sorted(), "numbers are in numeric order: {places:?}");

    let by = curves::of_folders(std::slice::from_ref(&sweep), Some("loss.beta")).unwrap();
    assert_eq!(by.name, "curves-by-beta");
    let shown = texts(&by);
    for text in ["beta=1: total", "beta=4: total", "beta=1: KL", "beta=4: KL", "z_dim=2", "z_dim=10"] {
        assert_eq!(shown.iter().filter(|known| known.as_str() == text).count(), 1, "{text}: {shown:?}");
    }
    assert!(!shown.iter().any(|text| text.starts_with("beta=9")), "it has no epoch");
    let by_size = curves::of_folders(&[sweep.join(names[0]), sweep.join(names[2])], Some("model.z_dim")).unwrap();
    assert!(texts(&by_size).contains(&"z_dim=2: total".to_owned()) && texts(&by_size).contains(&"beta=4".to_owned()));

    let one = curves::of_folders(&[sweep.join(names[1])], None).unwrap();
    let [first, last] = [0, 2].map(|i| format_value(histories[1][i].validation.losses.total));
    let best = (0..3).min_by(|&a, &b| {
        let total = |i: usize| histories[1][i].validation.losses.total;
        total(a).total_cmp(&total(b))
    });
    let best = best.unwrap();
    assert_eq!(one.name, "curves");
    let words = format!(
        "over 3 epochs: the validation total goes from {first} to {last}, with its least, {}, in epoch {}.",
        format_value(histories[1][best].validation.losses.total),
        best + 1
    );
    assert!(one.alt.ends_with(&words), "{}\nlacks {words}", one.alt);
    assert!(one.title.starts_with("beta=1,z_dim=10, epoch 3: "), "{}", one.title);

    for (folders, key, words) in [
        (vec![sweep.join("nowhere")], None, "nowhere"),
        (vec![empty.clone()], None, "has not finished an epoch"),
        (vec![empty.clone(), empty], None, "none of these runs has finished an epoch"),
        (vec![sweep.clone()], Some("loss.gamme"), "--by loss.gamme: the runs have no such key"),
        (vec![dir.path().join("sweep/no run")], None, "no run"),
    ] {
        let error = curves::of_folders(&folders, key).unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
}
