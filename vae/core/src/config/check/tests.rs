//! Tests of the rules and their messages.

use crate::config::Settings;
use crate::recipe::RECIPES;

/// Returns the message of checking the recipe quickstart with these settings.
fn says(settings: &[&str]) -> String {
    let mut all = Settings::default();
    all.file(RECIPES[0].toml, "quickstart").unwrap();
    settings.iter().for_each(|setting| all.assignment(setting).unwrap());
    match all.resolve().unwrap().check() {
        Ok(()) => "fine".into(),
        Err(error) => {
            let message = error.to_string();
            assert!(!message.contains("  ") && !message.contains('\n'), "one line without gaps: {message}");
            message
        }
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
        ("loss.variance=learned", "only loss.reconstruction = \"gaussian\" has a variance, not \"bce\""),
        ("loss.samples=5", "loss.samples = 5: only loss.kind = \"iwae\" uses it, not \"beta\""),
        ("loss.bounds=2", "loss.bounds = 2: only loss.kind = \"iwae\" uses it"),
        ("loss.gradient=dreg", "loss.gradient = \"dreg\": only loss.kind = \"iwae\" uses it"),
        ("loss.k1=0.3", "loss.k1 = 0.3: only loss.kind = \"weighted\" uses it, not \"beta\"; leave it out"),
        ("loss.k2=1", "loss.k2 = 1: only loss.kind = \"weighted\" uses it"),
        ("loss.estimator=mss", "loss.estimator = \"mss\": only loss.kind = \"tc\" uses it"),
        ("loss.samples=0", "loss.samples = 0: it must be 1 to 10000"),
        ("loss.bounds=10001", "loss.bounds = 10001: it must be 1 to 10000"),
        ("loss.sigma=0.5", "loss.sigma = 0.5: only loss.reconstruction = \"gaussian\" with loss.variance"),
        ("train.learning_rate=nan", "train.learning_rate = NaN"),
        ("train.learning_rate=0", "train.learning_rate = 0"),
        ("train.learning_rate=-0.1", "above 0"),
        ("train.beta1=1", "train.beta1 = 1"),
        ("train.beta2=0.99999999", "train.beta2 = 0.99999999"), // 1 in the f32 that Adam computes with
        ("train.batch_size=0", "train.batch_size = 0"),
        ("train.epochs=0", "train.epochs = 0"),
        ("train.accumulate=0", "train.accumulate = 0: a step needs 1 to 1000000 batches"),
        ("train.accumulate=9223372036854775807", "a step needs 1 to 1000000 batches"),
        ("prior.epochs=9223372036854775807", "it must be 1 to 1000000"),
        (
            "model.groups=9223372036854775807,9223372036854775807,3",
            "give each size at least one group, and all sizes together at most 12",
        ),
        ("train.clip=-1", "train.clip = -1"),
        ("data.image_size=28", "multiple of 16; the next one is 32"),
        ("data.crop=64", "data.crop = 64: digits cannot be cropped"),
        ("data.classes=0", "data.classes = 0"),
        ("data.classes=65537", "data.classes = 65537"),
        ("data.image_size=0", "multiple of 16; the next one is 16"),
        ("data.channels=2", "1 (grey) or 3 (colour)"),
        ("data.normalise=standard", "\"bce\" needs targets in [0, 1]"),
        ("model.output=tanh", "needs model.output = \"sigmoid\""),
        ("model.output=linear", "needs model.output = \"sigmoid\""),
        ("name=a/b", "name of a folder"),
        ("data.noise_std=-0.1", "data.noise_std = -0.1"),
        ("data.noise_std=inf", "data.noise_std = inf"),
        ("data.noise_fraction=1.5", "data.noise_fraction = 1.5"),
        ("data.noise_fraction=nan", "data.noise_fraction = NaN"),
        ("data.images=500", "only data.kind = \"shapes\" uses it, not \"digits\""),
        ("data.rotations=4", "only data.kind = \"shapes\""),
        ("data.split=8:1:1", "data.split is for the pictures of data.kind = \"folder\", not for \"digits\""),
        ("data.skip_damaged=true", "data.skip_damaged is for the pictures of data.kind = \"folder\""),
        ("data.cache=decoded", "data.cache is for the pictures of data.kind = \"folder\""),
    ] {
        let message = says(&[setting]);
        assert!(message.contains(says_so), "{setting}: {message}");
    }
}

#[test]
fn shapes_and_crops_have_their_bounds() {
    let shapes = "data.kind=shapes";
    assert_eq!(says(&[shapes, "data.images=12", "data.rotations=1"]), "fine");
    assert!(says(&[shapes, "data.images=11"]).contains("data.images = 11: at least 12"));
    assert!(says(&[shapes, "data.rotations=0"]).contains("data.rotations = 0: it must be 1 to 360"));
    assert_eq!(says(&[shapes, "data.images=0", "data.channels=3"]), "fine");
    let many = says(&[shapes, "data.images=0", "data.channels=3", "data.rotations=90"]);
    assert!(many.contains("that makes 16588800 images; the maximum is 10000000"), "{many}");
    assert!(says(&[shapes, "data.rotations=361"]).contains("data.rotations = 361"));
    let small = ["model.kind=dense", "data.image_size=8"];
    assert_eq!(says(&[&small[..], &["data.augment=flip"]].concat()), "fine");
    assert!(says(&[&small[..], &["data.augment=flip-crop"]].concat()).contains("data.image_size = 8 is too small"));
}

#[test]
fn binary_pixels_need_a_probability() {
    for (settings, says_so) in [
        (&["data.augment=flip-crop"][..], "fine"),
        (&["data.normalise=symmetric", "loss.reconstruction=sse", "model.output=tanh"], "it needs pixels in [0, 1]"),
        (&["data.noise_std=0.1"], "noise would make the pixels grey again"),
        (&["data.kind=binarized-mnist", "model.kind=dense"], "are 0 and 1 already; leave it out"),
    ] {
        for binarise in ["data.binarise=dynamic", "data.binarise=fixed"] {
            let message = says(&[&[binarise], settings].concat());
            assert!(message.contains(says_so), "{settings:?}: {message}");
        }
    }
}

#[test]
fn the_large_stem_requires_multiples_of_32() {
    assert_eq!(says(&["data.image_size=48"]), "fine");
    assert!(says(&["data.image_size=48", "model.stem=7x7-pool"]).contains("multiple of 32; the next one is 64"));
    assert_eq!(says(&["data.image_size=64", "model.stem=7x7-pool"]), "fine");
}

#[test]
fn settings_that_a_kind_does_not_support_are_refused() {
    for (settings, says_so) in [
        (&["model.kind=classifier", "model.conditional=true"][..], "model.kind = \"classifier\" is not a VAE"),
        (&["model.kind=dense", "train.activation_checkpointing=true"], "to compute again, not dense; leave it out"),
        (&["model.kind=dense", "train.precision=f16"], "model.kind = \"dense\" has none; leave it out"),
        (&["model.kind=vq", "model.conditional=true"], "model.kind = \"vq\" is not a VAE"),
        (&["model.kind=vq", "loss.kind=weighted"], "leave it at \"beta\""),
        (&["model.kind=classifier", "loss.schedule=linear"], "leave it at \"constant\""),
        (&["model.kind=classifier", "model.freeze_encoder=true"], "model.freeze_encoder is for models that contain"),
        (&["model.kind=classifier", "model.init_encoder=x"], "model.init_encoder is for models that contain"),
        (&["model.init=x", "model.init_encoder=y"], "leave one of them out"),
        (&["model.kind=vq", "model.encoder=dense"], "vq needs resnet18, resnet50, basic or conv3"),
        (&["model.kind=vq", "model.encoder=vq"], "vq needs resnet18, resnet50, basic or conv3"),
        (&["model.kind=vq", "model.codes=0"], "model.codes = 0"),
        (&["model.kind=vq", "model.codes=16777216"], "model.codes = 16777216"),
        (&["model.kind=vq", "model.code_width=0"], "model.code_width = 0"),
        (&["model.kind=vq", "model.decay=1"], "model.decay = 1"),
        (&["model.kind=vq", "model.decay=0"], "model.decay = 0"),
        (&["model.kind=vq", "data.image_size=30"], "vq with 2 convolutions needs a multiple of 4"),
        (&["model.kind=vq", "model.encoder=resnet18", "data.image_size=40"], "multiple of 16"),
        (&["model.kind=classifier", "data.kind=folder"], "only the files say how many labels"),
        (&["model.conditional=true", "data.kind=chairs"], "only the files say how many labels"),
        (&["model.kind=classifier", "data.kind=celeba", "data.channels=1"], "have the same label"),
        (&["model.conditional=true", "data.kind=folder", "data.classes=1"], "have the same label"),
        (&["model.kind=classifier", "data.kind=folder", "data.classes=2"], "fine"),
        (&["model.kind=classifier", "data.noise_target=clean"], "leave it at \"noisy\""),
        (&["model.kind=vq", "data.noise_target=clean"], "fine"),
        (&["model.conditional=true"], "fine"),
        (&["model.kind=classifier"], "fine"),
        (&["model.kind=vq", "data.image_size=28"], "fine"),
    ] {
        let message = says(settings);
        assert!(message.contains(says_so) && !message.contains('\n'), "{settings:?}: {message}");
    }
}

#[test]
fn each_kind_names_the_image_sizes_that_it_supports() {
    for (kind, size, says_so) in [
        ("resnet50", 28, "resnet50 with model.stem = \"3x3\" needs a multiple of 16; the next one is 32"),
        ("vgg16", 48, "vgg16 needs a multiple of 32; the next one is 64"),
        ("alexnet", 48, "data.image_size = 48: alexnet reduces an image below one pixel"),
        ("alexnet", 64, "fine"),
        ("skip", 40, "skip needs a multiple of 16; the next one is 48"),
        ("basic", 30, "basic with 2 convolutions needs a multiple of 4; the next one is 32"),
        ("conv3", 28, "conv3 with 3 convolutions needs a multiple of 8; the next one is 32"),
        ("dense", 0, "dense needs a multiple of 1; the next one is 1"),
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
fn losses_outputs_and_ranges_must_fit() {
    let sse = "loss.reconstruction=sse";
    assert!(says(&[sse, "data.normalise=standard"]).contains("set data.normalise = \"unit\""));
    assert!(says(&[sse, "model.output=tanh"]).contains("set data.normalise = \"symmetric\""));
    assert_eq!(says(&["loss.reconstruction=sse"]), "fine");
    assert_eq!(says(&["loss.reconstruction=sse", "model.output=linear", "data.normalise=standard"]), "fine");
    assert_eq!(says(&["loss.reconstruction=half-sse", "model.output=tanh", "data.normalise=symmetric"]), "fine");
    let gaussian = "loss.reconstruction=gaussian";
    for (settings, says_so) in [
        (&["loss.variance=fixed", "loss.sigma=0.5"][..], "fine"),
        (&["loss.variance=learned", "loss.sigma=0.5"], "fine"),
        (&["loss.variance=learned", "loss.sigma=0.002"], "loss.sigma = 0.002: it must be 0.0025 or more"),
        (&["loss.variance=fixed", "loss.sigma=nan"], "loss.sigma = NaN"),
        (&["loss.variance=optimal", "loss.sigma=0.5"], "with loss.variance = \"fixed\" or \"learned\" uses it"),
        (&["model.kind=vq"], "fine"),
        (&["model.output=linear", "data.normalise=standard"], "fine"),
    ] {
        let message = says(&[&[gaussian], settings].concat());
        assert!(message.contains(says_so), "{settings:?}: {message}");
    }
    let iwae = "loss.kind=iwae";
    for (settings, says_so) in [
        (&["loss.samples=5", "loss.bounds=4", "loss.gradient=dreg", "model.conditional=true"][..], "fine"),
        (&[gaussian, "loss.variance=learned"], "fine"),
        (&[gaussian], "depends on the weights of the draws; set \"learned\" or \"fixed\""),
        (&["loss.beta=2"], "loss.beta = 2: the bound of loss.kind = \"iwae\" has no KL to weigh"),
        (&["loss.reduction=mean"], "which is a sum; set \"sum\""),
        (&["loss.schedule=free-bits"], "works with loss.kind = \"beta\", not \"iwae\""),
        (&["loss.schedule=linear"], "works with loss.kind = \"beta\", not \"iwae\""),
        (&["model.kind=vq"], "loss.kind = \"iwae\" is for models with a posterior"),
    ] {
        let message = says(&[&[iwae], settings].concat());
        assert!(message.contains(says_so), "{settings:?}: {message}");
    }
    assert_eq!(says(&["loss.beta=0"]), "fine");
    assert_eq!(says(&["loss.kind=weighted", "loss.k1=0", "loss.k2=1"]), "fine");
    assert!(says(&["loss.kind=weighted", "loss.k1=0", "loss.k2=0"]).contains("one of them must be above 0"));
}

#[test]
fn a_schedule_must_fit_its_loss_and_the_length_of_the_run() {
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
    assert!(says(&long).contains("leave it out"), "nothing rises");
    for schedule in ["linear", "capacity"] {
        let message = says(&[long[0], long[1], &format!("loss.schedule={schedule}")]);
        assert!(message.contains("loss.warmup = 5.5") && message.contains("5 epochs"), "{message}");
    }
}

#[test]
fn a_batch_norm_never_trains_on_one_value() {
    // 8,334 = 3·2778, so batches of 49 leave 4 and batches of 8,333 leave 1.
    let one = &["data.image_size=16", "train.batch_size=8333"];
    assert!(says(one).contains("has only 1 of 8334 images"));
    assert_eq!(says(&[one[0], one[1], "model.batch_norm=false"]), "fine");
    assert_eq!(says(&["train.batch_size=8333"]), "fine", "2×2 maps have four values");
    assert!(says(&["train.batch_size=1", "data.image_size=16"]).contains("1 of 8334"));
    assert!(says(&["data.limit=65", "model.stem=7x7-pool"]).contains("1 of 65"));
    assert!(says(&["data.limit=1", "data.image_size=16", "model.kind=skip"]).contains("1 of 1 images"));
    assert_eq!(says(&["data.limit=1", "data.image_size=16", "model.kind=conv3"]), "fine", "it has no batch norm");
    assert!(says(&["data.limit=1", "data.image_size=16"]).contains("1 of 1 images"));
    assert_eq!(says(&["data.limit=64", "data.image_size=16"]), "fine");
    let ladder = ["model.kind=ladder", "model.groups=1,1,1,1,1", "model.z_dim=341", "data.limit=65"]; // down to 1×1 maps
    assert_eq!(says(&ladder), "fine", "it has group norms");
    assert!(says(&[&ladder[..], &["train.sync_batch_norm=true", "train.shards=2"]].concat()).contains("batch norm"));
}

#[test]
fn a_weighted_loss_has_no_beta() {
    let weighted = "loss.kind=weighted";
    assert_eq!(says(&[weighted, "loss.k2=0.1"]), "fine");
    assert!(says(&[weighted, "loss.beta=4"]).contains("has the weight loss.k2; leave loss.beta at 1"));
}

/// The prior of a VAE is never a transformer.
#[test]
fn heads_divide_the_width_where_there_is_a_transformer() {
    let odd = "prior.width=130";
    assert_eq!(says(&[odd]), "fine");
    assert!(says(&[odd, "model.kind=fsq"]).contains("prior.heads = 4: it must divide prior.width = 130"));
    assert!(says(&["prior.heads=0"]).contains("prior.heads = 0: it must be 1 to 4096"));
}

#[test]
fn numbers_are_checked_before_they_overflow() {
    let many = ["data.kind=shapes", "loss.kind=factor", "data.rotations=9223372036854775807"];
    assert!(says(&many).contains("data.rotations"));
}
