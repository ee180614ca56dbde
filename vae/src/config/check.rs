//! Refuses what cannot be trained, before any tensor exists: each check is a rule, its message the rule and the remedy.

use super::{Config, KlScheduleKind, Loss, LossKind, ModelKind, Normalise, Output, Reconstruction};
use crate::error::{Error, Result};
use crate::objective::effective_beta;

impl Config {
    /// Every rule that a configuration must keep, whatever the data hold.
    pub fn check(&self) -> Result<()> {
        self.check_name()?;
        self.check_loss()?; // before the output: what it needs decides what the output must be
        self.check_model()?;
        self.check_kind()?;
        self.check_training()?;
        self.train_images().map_or(Ok(()), |images| self.check_last_batch(images))
    }

    fn check_name(&self) -> Result<()> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let ok = !self.name.is_empty()
            && self.name.len() <= 64
            && !self.name.starts_with('.')
            && self.name.chars().all(plain);
        rule(ok, || {
            format!("name = {:?}: it names a folder: use letters, digits, - _ and . only, 64 at most", self.name)
        })
    }

    fn check_model(&self) -> Result<()> {
        let model = &self.model;
        for (key, size, needs) in [
            ("z_dim", model.z_dim, "a latent needs at least one dimension"),
            ("width", model.width, "a stage needs at least one channel"),
            ("hidden", model.hidden, "a hidden layer needs at least one feature"),
            ("layers", model.layers, "there must be at least one hidden layer"),
        ] {
            rule(size >= 1, || format!("model.{key} = 0: {needs}"))?;
        }
        rule(model.widths.len() <= 12 && model.widths.iter().all(|&width| width >= 1), || {
            format!("model.widths = {:?}: 12 convolutions at most, of at least one channel each", model.widths)
        })?;
        let slope = model.slope as f32; // as the kernels have it
        rule(slope.is_finite() && slope > 0.0, || {
            format!("model.slope = {}: it must be a number above 0, such as 0.2", model.slope)
        })?;
        let (size, multiple) = (self.image_size(), model.divisor());
        rule(size > 0 && size.is_multiple_of(multiple), || {
            let halved = match model.body() {
                ModelKind::Resnet18 | ModelKind::Resnet50 => format!(" with model.stem = \"{}\"", model.stem),
                ModelKind::Basic | ModelKind::Conv3 => format!(" with {} convolutions", model.conv_widths().len()),
                _ => String::new(),
            };
            format!(
                "data.image_size = {size}: {}{halved} takes multiples of {multiple} only; the next is {}",
                model.kind,
                size.div_ceil(multiple).max(1) * multiple
            )
        })?;
        let channels = self.channels();
        rule(channels == 1 || channels == 3, || {
            format!("data.channels = {channels}: images have 1 (grey) or 3 (colour)")
        })?;
        let (wanted, pixels) = match self.model.output {
            Output::Linear => return Ok(()),
            Output::Sigmoid => (Normalise::Unit, "[0, 1]"),
            Output::Tanh => (Normalise::Symmetric, "[−1, 1]"),
        };
        rule(self.data.normalise == wanted, || {
            format!(
                "model.output = \"{}\" gives pixels in {pixels}, but data.normalise = \"{}\": \
                 set data.normalise = \"{wanted}\", or model.output = \"linear\"",
                self.model.output, self.data.normalise
            )
        })
    }

    /// What only some kinds can do.
    fn check_kind(&self) -> Result<()> {
        let (model, kind) = (&self.model, self.model.kind);
        rule(model.is_vae() || self.loss.kind == LossKind::Beta, || {
            format!(
                "loss.kind = \"{}\" weighs a KL, and model.kind = \"{kind}\" has none: leave it at \"beta\"",
                self.loss.kind
            )
        })?;
        rule(model.is_vae() || self.loss.schedule == KlScheduleKind::Constant, || {
            format!(
                "loss.schedule = \"{}\" is for a KL, and model.kind = \"{kind}\" has none: leave it at \"constant\"",
                self.loss.schedule
            )
        })?;
        rule(model.is_vae() || !model.conditional, || {
            format!("model.conditional tells a VAE the labels, and model.kind = \"{kind}\" is none: set it to false")
        })?;
        let transfers = [
            ("init_encoder", !model.init_encoder.is_empty()),
            ("freeze_encoder", model.freeze_encoder),
            ("freeze_heads", model.freeze_heads),
        ];
        for (key, wanted) in transfers {
            rule(!wanted || kind != ModelKind::Classifier, || {
                format!(
                    "model.{key} is for models that have an encoder, and model.kind = \"{kind}\" is one: leave it out"
                )
            })?;
        }
        rule(!model.freeze_heads || model.freeze_encoder, || {
            "model.freeze_heads holds the heads of a frozen encoder: set model.freeze_encoder = true too".into()
        })?;
        rule(model.init.is_empty() || model.init_encoder.is_empty(), || {
            "model.init and model.init_encoder both name where the encoder comes from: leave one of them out".into()
        })?;
        if kind != ModelKind::Vq {
            return Ok(());
        }
        use ModelKind::{Basic, Conv3, Resnet18, Resnet50};
        rule(matches!(model.encoder, Resnet18 | Resnet50 | Basic | Conv3), || {
            format!("model.encoder = \"{}\": vq takes resnet18, resnet50, basic or conv3", model.encoder)
        })?;
        rule((1..1 << 24).contains(&model.codes), || {
            format!("model.codes = {}: a codebook holds 1 to 16777215 vectors", model.codes)
        })?;
        rule(model.code_width >= 1, || "model.code_width = 0: a code has at least one number".into())?;
        rule((1e-3..1.0).contains(&(model.decay as f32)), || {
            format!("model.decay = {}: it must be from 0.001 to below 1, such as 0.99", model.decay)
        })
    }

    fn check_loss(&self) -> Result<()> {
        let Loss { beta, k1, k2, alpha, gamma, commitment, .. } = self.loss;
        for (key, weight, term) in [
            ("beta", beta, "KL"),
            ("k1", k1, "reconstruction"),
            ("k2", k2, "KL"),
            ("alpha", alpha, "MI"),
            ("gamma", gamma, "DW-KL"),
            ("commitment", commitment, "commitment"),
        ] {
            rule(weight.is_finite() && weight >= 0.0, || {
                format!("loss.{key} = {weight}: the weight of the {term} term must be 0 or more")
            })?;
        }
        let weighted = self.loss.kind == LossKind::Weighted;
        rule(!weighted || k1 > 0.0 || k2 > 0.0, || "loss.k1 = 0 and loss.k2 = 0: one of them must be above 0".into())?;
        self.check_kl_schedule()?;
        if self.loss.reconstruction == Reconstruction::Bce {
            rule(self.data.normalise == Normalise::Unit, || {
                format!(
                    "loss.reconstruction = \"bce\" needs targets in [0, 1], but data.normalise = \"{}\": \
                     set data.normalise = \"unit\", or another loss.reconstruction, such as \"sse\"",
                    self.data.normalise
                )
            })?;
            rule(self.model.output == Output::Sigmoid, || {
                format!(
                    "loss.reconstruction = \"bce\" needs model.output = \"sigmoid\", not \"{}\": \
                     set it so, or another loss.reconstruction, such as \"sse\"",
                    self.model.output
                )
            })?;
        }
        Ok(())
    }

    fn check_training(&self) -> Result<()> {
        let train = &self.train;
        rule(train.epochs >= 1, || "train.epochs = 0: train for at least one".into())?;
        rule(train.batch_size >= 1, || "train.batch_size = 0: a step needs at least one image".into())?;
        let rate = train.learning_rate;
        rule(rate.is_finite() && rate > 0.0, || {
            format!("train.learning_rate = {rate}: it must be a number above 0, such as 0.001")
        })?;
        for (key, memory) in [("beta1", train.beta1), ("beta2", train.beta2)] {
            rule((0.0..1.0).contains(&(memory as f32)), || {
                format!("train.{key} = {memory}: it must be in [0, 1), such as 0.9")
            })?;
        }
        for (key, amount) in [("weight_decay", train.weight_decay), ("clip", train.clip)] {
            rule(amount.is_finite() && amount >= 0.0, || {
                format!("train.{key} = {amount}: it must be 0 (off) or more")
            })?;
        }
        rule(train.plateau_patience >= 1, || "train.plateau_patience = 0: wait for at least one epoch".into())
    }

    /// A batch norm that sees one value a channel has no variance: with 1×1 maps, no batch may hold a single image.
    pub fn check_last_batch(&self, images: usize) -> Result<()> {
        let batch = self.train.batch_size;
        let smallest = self.image_size() / self.model.divisor(); // the side of the last maps
        let last = if images.is_multiple_of(batch) { batch.min(images) } else { images % batch };
        rule(!self.model.has_batch_norm() || smallest > 1 || last != 1, || {
            format!(
                "the last of the batches of {batch} holds 1 of {images} images, and a batch norm on 1×1 maps \
                 cannot train on one: change train.batch_size or data.limit, or set model.batch_norm = false"
            )
        })
    }
}

/// The loss in words, for the start of a run.
pub fn describe_loss(config: &Config) -> String {
    let (words, reduction) = (config.loss_words(), config.loss.reduction);
    match config.model.kind {
        ModelKind::Classifier => format!("{words}, mean over images"),
        ModelKind::Vq => format!("{words}, {reduction} over pixels and codes, mean over images"),
        _ => format!(
            "{words}, {reduction} over pixels and latents, mean over images; \
             effective β = {} (nats of KL for a nat of reconstruction){}",
            effective_beta(config),
            config.loss.schedule_words(config.train.epochs)
        ),
    }
}

impl Config {
    /// The terms of the loss and their weights.
    pub fn loss_words(&self) -> String {
        match self.model.kind {
            ModelKind::Classifier => "cross-entropy".into(),
            ModelKind::Vq => format!("{} + {} × commitment", self.loss.reconstruction, self.loss.commitment),
            _ => self.loss.words(),
        }
    }
}

impl Loss {
    /// The terms and their weights.
    pub fn words(&self) -> String {
        match self.kind {
            LossKind::Beta if self.schedule == KlScheduleKind::Capacity => {
                format!("{} + {} × |KL - C|", self.reconstruction, self.gamma)
            }
            LossKind::Beta => format!("{} + {} × KL", self.reconstruction, self.beta),
            LossKind::Weighted => format!("{} × {} + {} × KL", self.k1, self.reconstruction, self.k2),
            LossKind::Tc => format!(
                "{} + {} × MI + {} × TC + {} × DW-KL, estimator {}",
                self.reconstruction, self.alpha, self.beta, self.gamma, self.estimator
            ),
        }
    }
}

pub(super) fn rule(kept: bool, message: impl FnOnce() -> String) -> Result<()> {
    if kept { Ok(()) } else { Err(Error::config(message())) }
}

#[cfg(test)]
mod tests {
    use crate::config::Settings;
    use crate::recipe::RECIPES;

    /// What checking quickstart with these settings says.
    fn says(settings: &[&str]) -> String {
        let mut all = Settings::default();
        all.file(RECIPES[0].toml, "quickstart").unwrap();
        settings.iter().for_each(|setting| all.assignment(setting).unwrap());
        match all.resolve().unwrap().check() {
            Ok(()) => "fine".into(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn each_rule_names_its_key_and_the_remedy() {
        for (setting, says_so) in [
            ("model.z_dim=0", "model.z_dim = 0"),
            ("model.width=0", "model.width = 0"),
            ("model.hidden=0", "model.hidden = 0"),
            ("model.layers=0", "model.layers = 0"),
            ("model.widths=32,0", "model.widths = [32, 0]"),
            ("model.slope=0", "model.slope = 0"),
            ("model.freeze_heads=true", "set model.freeze_encoder = true too"),
            ("loss.commitment=-1", "loss.commitment = -1"),
            ("model.slope=inf", "model.slope = inf"),
            ("loss.beta=-1", "loss.beta = -1"),
            ("loss.beta=nan", "loss.beta = NaN"),
            ("loss.beta=inf", "loss.beta = inf"),
            ("loss.k1=-0.5", "loss.k1 = -0.5"),
            ("loss.k2=nan", "loss.k2 = NaN"),
            ("loss.alpha=-1", "loss.alpha = -1"),
            ("loss.gamma=inf", "loss.gamma = inf"),
            ("loss.warmup=0", "loss.warmup = 0"),
            ("loss.warmup=nan", "loss.warmup = NaN"),
            ("loss.cycles=0", "loss.cycles = 0"),
            ("loss.cycles=1001", "loss.cycles = 1001"),
            ("loss.free_bits=-0.1", "loss.free_bits = -0.1"),
            ("loss.capacity=inf", "loss.capacity = inf"),
            ("train.learning_rate=nan", "train.learning_rate = NaN"),
            ("train.learning_rate=0", "train.learning_rate = 0"),
            ("train.learning_rate=-0.1", "above 0"),
            ("train.beta1=1", "train.beta1 = 1"),
            ("train.beta2=0.99999999", "train.beta2 = 0.99999999"), // 1 in the f32 that Adam computes with
            ("train.batch_size=0", "train.batch_size = 0"),
            ("train.epochs=0", "train.epochs = 0"),
            ("train.clip=-1", "train.clip = -1"),
            ("data.image_size=28", "multiples of 16 only; the next is 32"),
            ("data.image_size=0", "multiples of 16 only; the next is 16"),
            ("data.channels=2", "1 (grey) or 3 (colour)"),
            ("data.normalise=standard", "\"bce\" needs targets in [0, 1]"),
            ("model.output=tanh", "needs model.output = \"sigmoid\""),
            ("model.output=linear", "needs model.output = \"sigmoid\""),
            ("name=a/b", "names a folder"),
        ] {
            let message = says(&[setting]);
            assert!(message.contains(says_so) && !message.contains('\n'), "{setting}: {message}");
        }
    }

    #[test]
    fn the_large_stem_wants_multiples_of_32() {
        assert_eq!(says(&["data.image_size=48"]), "fine");
        assert!(says(&["data.image_size=48", "model.stem=7x7-pool"]).contains("multiples of 32 only; the next is 64"));
        assert_eq!(says(&["data.image_size=64", "model.stem=7x7-pool"]), "fine");
    }

    #[test]
    fn what_a_kind_cannot_do_is_refused() {
        for (settings, says_so) in [
            (&["model.kind=classifier", "model.conditional=true"][..], "model.kind = \"classifier\" is none"),
            (&["model.kind=vq", "model.conditional=true"], "model.kind = \"vq\" is none"),
            (&["model.kind=vq", "loss.kind=weighted"], "leave it at \"beta\""),
            (&["model.kind=classifier", "loss.schedule=linear"], "leave it at \"constant\""),
            (&["model.kind=classifier", "model.freeze_encoder=true"], "model.freeze_encoder is for models that have"),
            (&["model.kind=classifier", "model.init_encoder=x"], "model.init_encoder is for models that have"),
            (&["model.init=x", "model.init_encoder=y"], "leave one of them out"),
            (&["model.kind=vq", "model.encoder=dense"], "vq takes resnet18, resnet50, basic or conv3"),
            (&["model.kind=vq", "model.encoder=vq"], "vq takes resnet18, resnet50, basic or conv3"),
            (&["model.kind=vq", "model.codes=0"], "model.codes = 0"),
            (&["model.kind=vq", "model.codes=16777216"], "model.codes = 16777216"),
            (&["model.kind=vq", "model.code_width=0"], "model.code_width = 0"),
            (&["model.kind=vq", "model.decay=1"], "model.decay = 1"),
            (&["model.kind=vq", "model.decay=0"], "model.decay = 0"),
            (&["model.kind=vq", "data.image_size=30"], "vq with 2 convolutions takes multiples of 4 only"),
            (&["model.kind=vq", "model.encoder=resnet18", "data.image_size=40"], "multiples of 16 only"),
            (&["model.conditional=true"], "fine"),
            (&["model.kind=classifier"], "fine"),
            (&["model.kind=vq", "data.image_size=28"], "fine"),
        ] {
            let message = says(settings);
            assert!(message.contains(says_so) && !message.contains('\n'), "{settings:?}: {message}");
        }
    }

    #[test]
    fn each_kind_says_which_sizes_it_takes() {
        for (kind, size, says_so) in [
            ("resnet50", 28, "resnet50 with model.stem = \"3x3\" takes multiples of 16 only; the next is 32"),
            ("skip", 40, "skip takes multiples of 16 only; the next is 48"),
            ("basic", 30, "basic with 2 convolutions takes multiples of 4 only; the next is 32"),
            ("conv3", 28, "conv3 with 3 convolutions takes multiples of 8 only; the next is 32"),
            ("dense", 0, "dense takes multiples of 1 only; the next is 1"),
            ("dense", 27, "fine"),
            ("basic", 28, "fine"),
            ("conv3", 24, "fine"),
            ("skip", 64, "fine"),
        ] {
            let message = says(&[&format!("model.kind={kind}"), &format!("data.image_size={size}")]);
            assert!(message.contains(says_so), "{message}");
        }
        let one = ["model.kind=conv3", "data.image_size=28", "model.widths=8,8"];
        assert_eq!(says(&one), "fine", "two convolutions halve twice");
        for kind in ["basic", "conv3", "dense", "skip"] {
            let says = |setting| says(&[&format!("model.kind={kind}"), "data.image_size=64", setting]);
            assert!(says("model.output=tanh").contains("\"bce\" needs model.output = \"sigmoid\""), "{kind}");
            assert!(says("data.normalise=standard").contains("set data.normalise = \"unit\""), "{kind}");
        }
    }

    #[test]
    fn other_losses_and_ranges_go_together() {
        let sse = "loss.reconstruction=sse";
        assert!(says(&[sse, "data.normalise=standard"]).contains("set data.normalise = \"unit\""));
        assert!(says(&[sse, "model.output=tanh"]).contains("set data.normalise = \"symmetric\""));
        assert_eq!(says(&["loss.reconstruction=sse"]), "fine");
        assert_eq!(says(&["loss.reconstruction=sse", "model.output=linear", "data.normalise=standard"]), "fine");
        assert_eq!(says(&["loss.reconstruction=half-sse", "model.output=tanh", "data.normalise=symmetric"]), "fine");
        assert_eq!(says(&["loss.beta=0"]), "fine");
        assert_eq!(says(&["loss.kind=weighted", "loss.k1=0", "loss.k2=1"]), "fine");
        assert!(says(&["loss.kind=weighted", "loss.k1=0", "loss.k2=0"]).contains("one of them must be above 0"));
    }

    #[test]
    fn a_schedule_fits_its_loss_and_its_run() {
        for schedule in ["constant", "linear", "cyclical", "free-bits", "capacity"] {
            let schedule = &format!("loss.schedule={schedule}")[..];
            assert_eq!(says(&[schedule]), "fine");
            let tc = says(&[schedule, "loss.kind=tc"]);
            let weighted = says(&[schedule, "loss.kind=weighted"]);
            assert_eq!(tc == "fine", !schedule.ends_with("free-bits") && !schedule.ends_with("capacity"), "{tc}");
            assert_eq!(weighted == "fine", !schedule.ends_with("capacity"), "{weighted}");
        }
        assert!(says(&["loss.schedule=free-bits", "loss.kind=tc"]).contains("not \"tc\""));
        assert!(says(&["loss.schedule=capacity", "loss.kind=weighted"]).contains("not \"weighted\""));
        let long = ["loss.warmup=5.5", "train.epochs=5"];
        assert_eq!(says(&long), "fine", "nothing rises");
        for schedule in ["linear", "capacity"] {
            let message = says(&[long[0], long[1], &format!("loss.schedule={schedule}")]);
            assert!(message.contains("loss.warmup = 5.5") && message.contains("5 epochs"), "{message}");
        }
    }

    #[test]
    fn a_batch_norm_never_trains_on_one_value() {
        // 8,334 = 3·2778, so batches of 49 leave 4 and batches of 8,333 leave 1.
        let one = &["data.image_size=16", "train.batch_size=8333"];
        assert!(says(one).contains("holds 1 of 8334 images"));
        assert_eq!(says(&[one[0], one[1], "model.batch_norm=false"]), "fine");
        assert_eq!(says(&["train.batch_size=8333"]), "fine", "2×2 maps have four values");
        assert!(says(&["train.batch_size=1", "data.image_size=16"]).contains("1 of 8334"));
        assert!(says(&["data.limit=65", "model.stem=7x7-pool"]).contains("1 of 65"));
        assert!(says(&["data.limit=1", "data.image_size=16", "model.kind=skip"]).contains("1 of 1 images"));
        assert_eq!(says(&["data.limit=1", "data.image_size=16", "model.kind=conv3"]), "fine", "it has no batch norm");
        assert!(says(&["data.limit=1", "data.image_size=16"]).contains("1 of 1 images"));
        assert_eq!(says(&["data.limit=64", "data.image_size=16"]), "fine");
    }
}
