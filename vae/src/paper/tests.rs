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
        let drawn = |figure: &Figure| match figure.draw == TRADE_OFF {
            true => {
                figure.together && figure.against.len() >= 2 && figure.against.iter().all(|name| claims::is_known(name))
            }
            false => figure.against.is_empty() && (!figure.together || figure.draw == "curves"),
        };
        assert!(paper.figures.iter().all(|figure| drawn(figure) && figure.runs.iter().all(known)), "{name}");
        assert!(paper.extractor.iter().all(known) && !paper.figures.is_empty() && !paper.tables.is_empty());
    }
}

#[test]
fn only_the_recipes_have_no_scores() {
    for (name, _) in known() {
        let paper = Paper::named(name).expect("a paper of the program");
        assert_eq!(paper.needs_scores().expect("valid claims"), *name != "recipes", "{name}");
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
        .plan(&PaperOptions { quick: true, seeds: vec![7], settings, set, ..PaperOptions::default() }, Path::new("out"))
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

/// Every numbered table and figure of the papers has a row, and every claim is in one or is a sentence of the text.
#[test]
fn every_table_and_figure_of_a_paper_has_a_row() {
    let numbered = |name: &str| match name {
        "transfer" => (1..=9).map(|n| format!("Figure {n}")).collect::<Vec<_>>(),
        "tc" => {
            ["Figure 1", "Figure 2 (a)", "Figure 2 (b)", "Figure 3", "Figure 4", "Table 1"].map(String::from).into()
        }
        "mnist" => {
            ["Figure 1", "Figure 2", "Figure 3", "Figure 4", "Figure 5", "Figure 6 (a)", "Figure 6 (b)", "Figure 7"]
                .map(String::from)
                .into()
        }
        "residual" => (1..=6).map(|n| format!("Figure {n}")).collect(),
        _ => ["the blocks", "the whole model", "the reconstructions", "the batch", "the most pegasus-like"]
            .map(String::from)
            .into(),
    };
    for (name, _) in PAPERS {
        let paper = Paper::named(name).unwrap();
        let claims = claims::of_paper(name).unwrap();
        for of in numbered(name) {
            assert!(paper.printed.iter().any(|row| row.of == of), "{name}: {of} has no row");
        }
        for row in &paper.printed {
            let known = row.claims.iter().all(|id| claims.iter().any(|claim| claim.id == *id));
            assert!(known, "{name}, {}: {:?}", row.of, row.claims);
            let begins = |title: &str, with: &Option<String>| with.as_ref().is_none_or(|with| title.starts_with(with));
            assert!(paper.figures.iter().any(|figure| begins(&figure.of, &row.figure)), "{name}: {:?}", row.figure);
            assert!(paper.tables.iter().any(|table| begins(&table.title, &row.table)), "{name}: {:?}", row.table);
            assert!(!row.claims.is_empty() || row.none.is_some(), "{name}, {}: neither a claim nor a reason", row.of);
        }
        for claim in &claims {
            let printed = paper.printed.iter().any(|row| row.claims.contains(&claim.id));
            assert!(printed, "{name}: {} is in no row", claim.id);
        }
    }
}

/// The rows of a comparison have all their words, and quantities that exist. Each run can be trained by itself, and `--quick` is quick.
#[test]
fn comparisons_are_complete() {
    for (name, _) in COMPARISONS {
        let (paper, full) = plan(name, false);
        let (_, quick) = plan(name, true);
        assert!(paper.text.is_some() && paper.printed.is_empty() && claims::of_paper(name).unwrap().is_empty());
        let seconds = |plan: &[PlannedRun]| plan.iter().map(|planned| planned.seconds.unwrap()).sum::<f64>();
        assert!(seconds(&quick) < 600.0 && quick.len() == full.len(), "{name}: {} s", seconds(&quick));
        for planned in &full {
            assert!(
                paper.tables.iter().any(|table| table.rows.iter().any(|row| row.run == planned.run)),
                "{name}: {}",
                planned.run
            );
            assert!(paper.command(&planned.run).is_some(), "{name}: {}", planned.run);
        }
        for table in &paper.tables {
            assert!(table.columns.iter().all(|quantity| claims::is_known(quantity)), "{:?}", table.columns);
            // A table by seed prints no words.
            assert!(table.mean || (name == "recipes" && table.heads.is_empty()), "{name}: {}", table.title);
            for row in &table.rows {
                assert!(full.iter().any(|planned| planned.run == row.run), "{name}: {}", row.run);
                assert_eq!(row.words.len(), table.heads.len(), "{name}: {}", row.run);
            }
        }
    }
}

/// Every recipe is trained for 2,000 steps.
#[test]
fn no_recipe_is_left_out_of_its_comparison() {
    use vae_core::recipe::RECIPES;
    let (_, plan) = plan("recipes", false);
    for recipe in RECIPES {
        let planned = plan.iter().find(|planned| planned.run == recipe.name).expect(recipe.name);
        let config = &planned.point.config;
        let steps = config.train_images().unwrap() / config.train.batch_size * config.train.epochs;
        assert!(steps >= 2_000, "{}: {steps} steps", recipe.name);
    }
}

/// The table of models has a row for every objective, every kind of code, and every prior.
#[test]
fn no_model_is_left_out_of_the_comparison() {
    use vae_core::config::{LossKind, ModelKind, ModelPrior};
    let (_, plan) = plan("models", false);
    let has = |of: &dyn Fn(&Config) -> bool| plan.iter().any(|planned| of(&planned.point.config));
    for (kind, _) in LossKind::WORDS {
        let other = *kind == "weighted"; // β under another name
        assert!(other || has(&|config| config.loss.kind.to_string() == *kind), "{kind}");
    }
    assert!(has(&|config| config.model.kind == ModelKind::Vq) && has(&|config| config.model.kind == ModelKind::Fsq));
    assert!(has(&|config| config.model.prior == ModelPrior::Vamp) && has(&|config| config.model.conditional));
}
