//! Every kind of model in training: a step asks the machine for no number, and leaves behind as many buffers as the last.

use nn::ForwardContext;
use tensor::Generator;
use vae::config::Settings;
use vae::learn::{self, Batch};
use vae::objective::Moment;

#[test]
fn a_step_of_any_kind_reads_nothing() {
    let kinds: [&[&str]; 6] = [
        &["model.kind=classifier", "model.width=2"],
        &["model.kind=vq", "model.widths=3,4", "model.codes=7", "model.code_width=2"],
        &["model.kind=vq", "model.encoder=resnet18", "model.width=2"],
        &["model.kind=conv3", "model.widths=2,3,4", "model.conditional=true"],
        &["model.kind=skip", "model.width=2", "model.block=pre-activation"],
        &["model.kind=resnet18", "model.width=2", "model.freeze_encoder=true"],
    ];
    for kind in kinds {
        let mut settings = Settings::default();
        kind.iter().for_each(|setting| settings.assignment(setting).expect("a setting"));
        let config = settings.resolve().expect("a configuration");
        config.check().expect("a configuration that can be trained");
        let (machine, device) = crate::counting::machine();
        let learner = learn::build(&config);
        nn::upload(&*learner, &device);
        let images = Generator::new(1).uniform_tensor([4, 1, 32, 32], 0.0, 1.0).upload(&device);
        let step = |number| {
            let moment = Moment { epochs: 0.0, images: 4 };
            let batch = Batch::of_step(images.clone(), vec![3, 1, 4, 1], moment, 1, number);
            let forward = learner.forward(&batch, &ForwardContext::train(1, number));
            let gradients = forward.terms.total.backward();
            let moved = nn::parameters(&*learner).iter().filter(|(_, param)| gradients.get(param).is_some()).count();
            let free = nn::parameters(&*learner).iter().filter(|(_, param)| !param.is_frozen()).count();
            assert_eq!(moved, free, "{kind:?}");
        };
        step(0);
        let live = machine.live();
        step(1);
        assert_eq!((machine.counts().reads, machine.live()), (0, live), "{kind:?}");
    }
}
