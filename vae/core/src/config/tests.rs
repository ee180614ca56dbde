//! Tests that the descriptions of the keys (names, defaults and ranges) match the behaviour.

use super::{Bound, Config, Crop, Key, Kind, Range, Settings, describe_loss};

/// The default configuration with these settings.
pub(super) fn config(settings: &[&str]) -> Config {
    let mut all = Settings::default();
    settings.iter().for_each(|setting| all.assignment(setting).unwrap());
    all.resolve().unwrap()
}

/// Returns the message of checking these settings, or the description of the loss.
pub(super) fn told(settings: &[&str]) -> String {
    let config = config(settings);
    config.check().map_or_else(|error| error.to_string(), |()| describe_loss(&config))
}

fn all() -> Vec<Key> {
    Config::sections().into_iter().flat_map(|section| section.keys).collect()
}

#[test]
fn every_key_is_described_in_the_order_of_the_file() {
    let mut full = Config::default();
    let data = &mut full.data;
    (data.image_size, data.channels, data.crop, data.classes) = (Some(32), Some(1), Some(Crop::None), Some(1));
    (full.prior.epochs, full.prior.width, full.prior.blocks) = (Some(1), Some(64), Some(2));
    let names: Vec<String> = full.leaves().into_iter().map(|(key, _)| key).collect();
    assert_eq!(all().iter().map(|key| key.name.clone()).collect::<Vec<_>>(), names);
    for key in all() {
        let words = key.kind.words().iter().map(|(_, doc)| doc.trim());
        for doc in words.chain([key.summary(), &key.doc]) {
            assert!(doc.ends_with('.') && !doc.contains("  ") && !doc.contains('\n'), "{}: {doc:?}", key.name);
        }
        assert!(key.summary().len() <= 130, "{}", key.summary());
    }
}

#[test]
fn the_documented_defaults_are_the_defaults() {
    let text: String =
        all().iter().filter_map(|key| Some(format!("{} = {}\n", key.name, key.default.as_ref()?))).collect();
    let config: Config = toml::from_str(&text).unwrap();
    assert_eq!(config, Config::default());
    let unset: Vec<_> = all().into_iter().filter(|key| key.default.is_none()).map(|key| key.name).collect();
    assert_eq!(
        unset,
        [
            "data.image_size",
            "data.channels",
            "data.crop",
            "data.classes",
            "prior.epochs",
            "prior.width",
            "prior.blocks"
        ]
    );
}

#[test]
fn documented_words_are_accepted_and_others_are_refused() {
    for key in all().iter().filter(|key| !key.kind.words().is_empty()) {
        for (word, _) in key.kind.words() {
            Settings::default().assignment(&format!("{}={word}", key.name)).unwrap();
        }
        let error = Settings::default().assignment(&format!("{}=nothing-such", key.name)).unwrap_err().to_string();
        assert!(key.kind.words().iter().all(|(word, _)| error.contains(word)), "{error}");
    }
}

/// Returns the message if a value is refused.
fn refusal(key: &Key, value: f64) -> Option<String> {
    let mut settings = Settings::default();
    // Rules apply only to keys that are used, and a network supports only some image sizes.
    let context = match key.name.as_str() {
        "data.images" | "data.rotations" => "data.kind=shapes",
        "data.image_size" => "model.kind=dense",
        "model.codes" | "model.code_width" | "model.decay" => "model.kind=vq",
        "model.levels" => "model.kind=fsq",
        "loss.samples" | "loss.bounds" => "loss.kind=iwae",
        "loss.lambda_od" | "loss.lambda_d" => "loss.kind=dip",
        "loss.lambda" => "loss.kind=mmd",
        "loss.alpha" | "loss.gamma" => "loss.kind=tc",
        "loss.warmup" => "loss.schedule=linear train.epochs=1000000",
        "loss.cycles" => "loss.schedule=cyclical",
        "loss.free_bits" => "loss.schedule=free-bits",
        "loss.capacity" => "loss.schedule=capacity",
        "loss.commitment" => "model.kind=vq",
        "loss.k1" | "loss.k2" => "loss.kind=weighted",
        "loss.subspace" => "loss.kind=csvae model.conditional=true",
        "loss.adversarial" | "loss.feature_layer" => "loss.kind=vae-gan",
        "loss.discriminator_channels" => "loss.kind=vae-gan",
        "loss.beta_neg" => "loss.kind=soft-intro",
        "loss.discriminator_width" | "loss.discriminator_layers" | "loss.discriminator_rate" => "loss.kind=factor",
        "loss.sigma" => "loss.reconstruction=gaussian loss.variance=fixed",
        _ => "seed=1",
    };
    context.split(' ').for_each(|setting| settings.assignment(setting).unwrap());
    let result = settings.assignment(&format!("{}={value}", key.name)).and_then(|()| settings.resolve()?.check());
    result.err().map(|error| error.to_string())
}

#[test]
fn the_documented_ranges_are_the_checked_ranges() {
    let mut bounds = 0;
    for key in all() {
        let Range { low, high, also } = key.range;
        if key.kind == Kind::Text || key.range.is_any() {
            continue;
        }
        let step = if key.kind == Kind::Float { 1e-6 } else { 1.0 };
        let ends = [(low, 1.0), (high, -1.0)].into_iter().filter_map(|(bound, inwards)| Some((bound?, inwards * step)));
        for (Bound { value, included }, inwards) in ends {
            let (allowed, refused) = if included { (value, value - inwards) } else { (value + inwards, value) };
            assert_eq!(refusal(&key, allowed), None, "{} = {allowed}", key.name);
            let why = refusal(&key, refused).unwrap_or_else(|| panic!("{} = {refused} is allowed", key.name));
            assert!(why.contains(&key.name), "{} = {refused}: {why}", key.name);
            bounds += 1;
        }
        for &value in also {
            assert_eq!(refusal(&key, value), None, "{} = {value}", key.name);
            let next = value + 1.0;
            assert!(refusal(&key, next).is_some_and(|why| why.contains(&key.name)), "{} = {next}", key.name);
        }
    }
    assert!(bounds > 35, "{bounds}");
    // Without an upper bound, large numbers are allowed. The memory check is separate.
    for key in all().iter().filter(|key| key.kind == Kind::Float && key.range.high.is_none()) {
        let large = if key.name == "loss.warmup" { 5.0 } else { 1e30 };
        assert_eq!(refusal(key, large), None, "{}", key.name);
    }
    // Every number has a range, so that its rule is documented.
    assert!(
        all()
            .iter()
            .all(|key| !matches!(key.kind, Kind::Integer | Kind::Float | Kind::Integers) || !key.range.is_any())
    );
}
