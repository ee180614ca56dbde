//! Tests of all models: parameter counts, output sizes, and gradients that reach every parameter.

use autograd::Var;
use nn::ForwardContext;
use tensor::{Generator, Tensor};

use crate::config::{Config, Settings};
use crate::learn;
use crate::learn::Summary;
use crate::model::build;

fn config(settings: &[&str]) -> Config {
    let mut all = Settings::default();
    settings.iter().for_each(|setting| all.assignment(setting).unwrap());
    let config = all.resolve().unwrap();
    config.check().unwrap();
    config
}

/// The parameter counts of the papers and of their variants, as a dry run prints them.
#[test]
fn parameter_counts_match_the_papers() {
    let cases: &[(&str, usize)] = &[
        ("kind=resnet18 z_dim=10", 23_728_791),
        ("kind=resnet18 z_dim=32", 23_762_627),
        ("kind=resnet18 z_dim=64", 23_811_843),
        ("kind=resnet18 z_dim=128", 23_910_275),
        ("kind=resnet18 z_dim=128 data.channels=1", 23_907_969),
        ("kind=resnet18 z_dim=20 batch_norm=false", 23_734_635),
        ("kind=resnet18 z_dim=128 stem=7x7-pool", 23_917_955),
        ("kind=resnet18 z_dim=128 upsample=nearest decoder_conv=plain", 23_910_275),
        ("kind=resnet50 z_dim=20", 47_117_611),
        ("kind=resnet50 z_dim=128", 47_781_379),
        ("kind=resnet50 z_dim=128 upsample=nearest decoder_conv=plain", 47_781_379),
        ("kind=basic z_dim=20", 325_547),
        ("kind=basic z_dim=20 data.channels=1 data.image_size=28", 265_833),
        ("kind=basic z_dim=20 down=pool", 325_547),
        ("kind=conv3 z_dim=20 data.image_size=64", 2_028_907),
        ("kind=conv3 z_dim=10 data.image_size=64", 1_537_367),
        ("kind=dense z_dim=16 data.channels=1 data.image_size=28", 415_024),
        ("kind=dense z_dim=16 data.channels=1 data.image_size=28 hidden=512", 829_232),
        ("kind=skip z_dim=512 data.image_size=64", 19_753_331),
        ("kind=skip z_dim=512 data.image_size=64 block=pre-activation", 19_682_307),
        // Encoder of torchvision, heads of 512 or 256 features, and the decoder of resnet18.
        ("kind=vgg11 z_dim=128", 9_225_984 + 2 * (512 * 128 + 128) + 12_610_115),
        ("kind=vgg16 z_dim=128", 14_723_136 + 2 * (512 * 128 + 128) + 12_610_115),
        ("kind=alexnet z_dim=128 data.image_size=64", 2_469_696 + 2 * (256 * 128 + 128) + 12_610_115),
        ("kind=classifier", 11_173_962),
    ];
    for (words, count) in cases {
        let key = |word: &str| if word.contains('.') { word.to_owned() } else { format!("model.{word}") };
        let settings: Vec<String> =
            ["data.kind=cifar10"].into_iter().map(str::to_owned).chain(words.split(' ').map(key)).collect();
        let config = config(&settings.iter().map(String::as_str).collect::<Vec<_>>());
        let model = learn::build(&config);
        let summary = Summary::new(&config, &*model);
        assert_eq!(summary.parameters, *count, "{words}");
        assert_eq!((summary.parameters, summary.trainable_parameters), (nn::count(&*model), *count));
        assert_eq!(summary.layers.iter().map(|row| row.parameters).sum::<usize>(), *count);
        let halves = [summary.encoder_parameters, summary.decoder_parameters];
        let expected = match *words {
            "kind=resnet18 z_dim=128" => [11_300_160, 12_610_115],
            "kind=resnet50 z_dim=20" => [23_500_352 + 81_960, 23_535_299],
            "kind=skip z_dim=512 data.image_size=64" => [12_286_656, 7_466_675],
            _ => halves,
        };
        assert_eq!(halves, expected, "{words}");
    }
}

/// Every kind with small widths and each of its options.
const SMALL: &[&[&str]] = &[
    &["kind=resnet18", "width=8"],
    &["kind=resnet18", "width=8", "batch_norm=false", "upsample=nearest", "decoder_conv=plain"],
    &["kind=resnet50", "width=8"],
    &["kind=resnet50", "width=8", "stem=7x7-pool", "upsample=nearest", "decoder_conv=plain"],
    &["kind=resnet50", "width=8", "batch_norm=false"],
    &["kind=vgg11", "width=8"],
    &["kind=vgg16", "width=8", "upsample=nearest"],
    &["kind=basic"],
    &["kind=basic", "widths=8,9,10", "down=pool"],
    &["kind=conv3", "widths=8,9,10"],
    &["kind=conv3", "widths=8,9", "down=pool"],
    &["kind=conv3", "widths=8"],
    &["kind=skip", "width=4"],
    &["kind=skip", "width=3", "block=pre-activation", "slope=0.1"],
    &["kind=skip", "width=4", "batch_norm=false"],
    &["kind=dense", "hidden=20"],
    &["kind=dense", "hidden=20", "layers=3"],
    &["kind=ladder", "width=4", "groups=2,1,1", "z_dim=352"],
    &["kind=ladder", "width=3", "groups=1,1", "z_dim=640"],
];

fn small(options: &[&str], more: &[&str]) -> Config {
    let settings: Vec<String> = ["z_dim=3"]
        .iter()
        .chain(options)
        .map(|option| format!("model.{option}"))
        .chain(more.iter().map(|s| (*s).to_owned()))
        .collect();
    config(&settings.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn outputs_have_the_input_shape_and_gradients_reach_every_parameter() {
    for options in SMALL {
        for channels in [1, 3] {
            let config = small(options, &[&format!("data.channels={channels}"), "data.image_size=32"]);
            let (model, mut rng) = (build(&config), Generator::new(7));
            let x = Var::constant(rng.uniform_tensor([4, channels, 32, 32], 0.0, 1.0));
            let ctx = ForwardContext::train(1, 1);
            let (mu, logvar) = model.encode(&x, &ctx);
            let shape = [4, config.model.z_dim];
            assert_eq!((&mu.shape()[..], &logvar.shape()[..]), (&shape[..], &shape[..]), "{options:?}");
            let z = mu.reparameterise(&logvar, &rng.normal_tensor(shape));
            let logits = model.decode(&z, &ctx);
            assert_eq!(&logits.shape()[..], [4, channels, 32, 32], "{options:?}");
            assert!(logits.value().data().iter().all(|x| x.is_finite()), "{options:?}");
            let loss = nn::loss::sse(&logits, x.value()) + nn::loss::gaussian_kl(&mu, &logvar).mean_all();
            let mut gradients = loss.backward();
            for (name, param) in nn::parameters(&*model) {
                let gradient = gradients.take(&param).unwrap_or_else(|| panic!("{options:?}: {name} has no gradient"));
                assert_eq!(gradient.shape(), &param.shape(), "{options:?}: {name}");
                assert!(gradient.data().iter().all(|x| x.is_finite()), "{options:?}: {name}");
                let dead = gradient.data().iter().all(|&x| x == 0.0);
                assert!(!dead, "{options:?}: no gradient reaches {name}");
            }
        }
    }
}

/// Checkpoints find their tensors by these names.
#[test]
fn plain_convolutions_have_their_names_and_shapes() {
    let tensors = |options: &[&str]| {
        let model = build(&small(options, &["data.image_size=16"]));
        let text =
            nn::parameters(&*model).into_iter().map(|(name, param)| format!("{name} {:?}", param.shape().to_vec()));
        text.filter(|text| !text.contains("bias")).collect::<Vec<_>>().join(", ").replace(".weight", "")
    };
    assert_eq!(
        tensors(&["kind=basic", "widths=4,5"]),
        "encoder.conv1 [4, 1, 3, 3], encoder.conv2 [5, 4, 3, 3], encoder.mu [3, 80], encoder.logvar [3, 80], \
         decoder.linear [80, 3], decoder.conv1 [5, 5, 3, 3], decoder.conv2 [5, 4, 3, 3], decoder.conv3 [4, 1, 3, 3]"
    );
    assert_eq!(
        tensors(&["kind=conv3", "widths=4,5"]),
        "encoder.conv1 [4, 1, 3, 3], encoder.conv2 [5, 4, 3, 3], encoder.mu [3, 80], encoder.logvar [3, 80], \
         decoder.linear [80, 3], decoder.conv1 [5, 4, 4, 4], decoder.conv2 [4, 1, 4, 4]"
    );
}

/// Two decoders whose linear layers differ in their negative biases only: after a ReLU they are equal.
#[test]
fn a_relu_follows_the_linear_layer_of_conv3_and_not_that_of_basic() {
    for (kind, equal) in [("conv3", true), ("basic", false)] {
        let decoded = [-1.0, -2.0].map(|bias| {
            let model = build(&small(&[&format!("kind={kind}"), "widths=4,5"], &["data.image_size=16"]));
            let parameters = nn::parameters(&*model);
            let (_, linear) = parameters.iter().find(|(name, _)| name == "decoder.linear.bias").unwrap();
            linear.set(Tensor::full(linear.shape(), bias));
            model.decode(&Var::constant(Tensor::zeros([1, 3])), &ForwardContext::eval()).value().data().to_vec()
        });
        assert_eq!(decoded[0] == decoded[1], equal, "{kind}");
    }
}

/// In evaluation, the latents of an image do not depend on the other images of the batch.
#[test]
fn images_of_a_batch_are_independent_in_evaluation() {
    for options in SMALL {
        let model = build(&small(options, &["data.channels=1", "data.image_size=32"]));
        let x = Generator::new(3).uniform_tensor([3, 1, 32, 32], 0.0, 1.0);
        let run = |x: Tensor| {
            let (mu, _) = model.encode(&Var::constant(x), &ForwardContext::eval());
            model.decode(&mu, &ForwardContext::eval()).value().clone()
        };
        let (all, one) = (run(x.clone()), run(x.slice(0, 1, 1)));
        let beside = all.slice(0, 1, 1);
        let far = beside.data().iter().zip(one.data()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(far < 1e-4, "{options:?}: {far}");
    }
}

#[test]
fn every_kind_accepts_its_smallest_image_size() {
    for (options, size) in [
        (&["kind=basic"][..], 4),
        (&["kind=conv3"], 8),
        (&["kind=conv3", "down=pool"], 24),
        (&["kind=skip", "width=2"], 16),
        (&["kind=skip", "width=2", "block=pre-activation"], 48),
        (&["kind=resnet50", "width=1"], 16),
        (&["kind=vgg11", "width=1"], 32),
        (&["kind=alexnet", "width=1"], 64),
        (&["kind=dense"], 1),
        (&["kind=dense"], 27),
        (&["kind=ladder", "width=2", "z_dim=22"], 8), // 2·1 + 4 + 16 places
    ] {
        let config = small(options, &[&format!("data.image_size={size}")]);
        let summary = Summary::new(&config, &*learn::build(&config));
        let layer = summary.layers.iter().rfind(|row| !row.output.is_empty()).unwrap();
        assert_eq!(layer.output.iter().product::<usize>(), size * size, "{options:?}");
    }
}

/// Options that do not change the number of parameters but change the output for equal weights.
#[test]
fn options_change_the_output() {
    let decoded = |options: &[&str]| {
        let model = build(&small(options, &["data.image_size=32"]));
        let x = Var::constant(Generator::new(5).uniform_tensor([4, 1, 32, 32], 0.0, 1.0));
        let (mu, _) = model.encode(&x, &ForwardContext::train(1, 1));
        model.decode(&mu, &ForwardContext::train(1, 1)).value().data().to_vec()
    };
    for (one, other) in [
        (&["kind=resnet50", "width=8"][..], &["kind=resnet50", "width=8", "upsample=nearest"][..]),
        (&["kind=resnet50", "width=8"], &["kind=resnet50", "width=8", "decoder_conv=plain"]),
        (&["kind=basic"], &["kind=basic", "down=pool"]),
        (&["kind=skip", "width=2"], &["kind=skip", "width=2", "slope=0.5"]),
    ] {
        assert!(decoded(one) != decoded(other), "{one:?} {other:?}");
    }
}
