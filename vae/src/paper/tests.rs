//! The papers' files are complete and valid, and `--quick` is quick.

use super::*;

fn plan(name: &str, quick: bool) -> (Paper, Vec<PlannedRun>) {
    let paper = Paper::named(name).unwrap();
    let plan =
        paper.plan(&PaperOptions { quick, seeds: vec![1, 2], ..PaperOptions::default() }, Path::new("out")).unwrap();
    (paper, plan)
}

#[test]
fn runs_have_unique_names_and_tables_and_figures_use_them() {
    for (name, quick) in PAPERS.iter().flat_map(|(name, _)| [(name, false), (name, true)]) {
        let (paper, plan) = plan(name, quick);
        for (i, planned) in plan.iter().enumerate() {
            assert_eq!(planned.point.name, format!("{},seed={}", planned.run, planned.seed));
            assert_eq!(planned.point.config.seed, planned.seed);
            let earlier = &plan[..i];
            assert!(earlier.iter().all(|other| other.point.name != planned.point.name), "{name}: {}", planned.run);
            let encoder = planned.encoder.as_ref();
            let known = encoder.is_none_or(|run| earlier.iter().any(|other| other.point.name == *run));
            assert!(known, "{name}: {} begins with a run that comes later", planned.run);
        }
        let known = |run: &String| quick || plan.iter().any(|planned| planned.run == *run);
        for table in &paper.tables {
            assert!(table.columns.iter().all(|quantity| claims::is_known(quantity)), "{:?}", table.columns);
            for row in &table.rows {
                assert!(known(&row.run), "{name}: {}", row.run);
                let printed = row.printed.keys().chain(row.corrected.keys());
                assert!(printed.into_iter().all(|quantity| table.columns.contains(quantity)), "{}", row.run);
            }
        }
        let drawn = |figure: &Figure| !figure.together || figure.draw == "curves";
        assert!(paper.figures.iter().all(|figure| drawn(figure) && figure.runs.iter().all(known)), "{name}");
        assert!(paper.extractor.iter().all(known) && !paper.figures.is_empty() && !paper.tables.is_empty());
    }
}

/// With one seed on two cores. The time of every run is known.
#[test]
fn quick_takes_minutes() {
    for (name, _) in PAPERS {
        let minutes = |quick| {
            let plan = plan(name, quick).1;
            let first = plan.iter().filter(|planned| planned.seed == 1);
            first.map(|planned| planned.seconds.expect("a number of images")).sum::<f64>() / 60.0
        };
        let (full, quick) = (minutes(false), minutes(true));
        assert!(quick < 20.0 && full > 4.0 * quick, "{name}: {quick} minutes, {full} in full");
    }
}

#[test]
fn time_is_images_over_speed() {
    let mut config = Config::default(); // digits: 8,334 and 833
    config.train.epochs = 4;
    assert_eq!(images(&config, None), Some(4.0 * (8_334.0 + 833.0 / 4.0)));
    config.data.limit = 64;
    assert_eq!(images(&config, None), Some(4.0 * (64.0 + 833.0 / 4.0)));
    config.data.kind = vae_core::config::DataKind::Celeba;
    assert_eq!((images(&config, None), images(&config, Some(1_000))), (None, Some(4.0 * (64.0 + 25.0))));
}

#[test]
fn options_apply_to_every_run() {
    let paper = Paper::named("transfer").unwrap();
    let settings = vec![("data.dir".to_owned(), "there".to_owned(), "--data-dir")];
    let set = vec!["train.epochs=3".to_owned()];
    let plan = paper
        .plan(&PaperOptions { quick: true, seeds: vec![7], settings, set, only: Vec::new() }, Path::new("out"))
        .unwrap();
    for planned in &plan {
        let config = &planned.point.config;
        assert_eq!((config.data.dir.as_str(), config.train.epochs, config.model.width), ("there", 3, 16));
    }
    let frozen = plan.iter().find(|planned| planned.run == "frozen,beta=1,z_dim=128").unwrap();
    let file = Path::new(&frozen.point.config.model.init_encoder);
    assert_eq!(file, Path::new("out").join("classifier,seed=7").join(BEST));
    assert!(frozen.missing_images().unwrap().contains("cifar10"), "no images in a folder that is not there");
    assert!(Paper::named("vae").unwrap_err().to_string().contains("transfer, tc, mnist, residual, pegasus"));
    let bad = PaperOptions { seeds: vec![1], set: vec!["model.z_dims=2".into()], ..PaperOptions::default() };
    assert!(paper.plan(&bad, Path::new("out")).err().unwrap().to_string().contains("did you mean model.z_dim?"));
}
