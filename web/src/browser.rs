//! The engine of a worker: the laboratory's answers as JavaScript's objects. Keys and shapes are those of `web/page/protocol.md`.

use std::sync::Arc;

use gpu::{Context, Options};
use js_sys::{Array, Date, Float32Array, Function, Object, Reflect, Uint8Array};
use vae_explore::Answer;
use wasm_bindgen::prelude::*;

use crate::exploration::{Exploration, TestImages};
use crate::follow::Follow;
use crate::frame::{Encoded, Features, Frame, Maps, Watch};
use crate::laboratory::{About, Laboratory, Pictures, Start};

type Result<T> = std::result::Result<T, JsError>;

/// A panic ends the module. Its message reaches the worker through this function before.
#[wasm_bindgen(start)]
fn begin() {
    std::panic::set_hook(Box::new(|panic| {
        let report =
            Reflect::get(&js_sys::global(), &"panicked".into()).and_then(|report| report.dyn_into::<Function>());
        if let Ok(report) = report {
            let _ = report.call1(&JsValue::NULL, &panic.to_string().into());
        }
    }));
}

/// A model and the time that it trained.
#[wasm_bindgen]
pub struct Engine {
    laboratory: Laboratory,
    watch: Watch,
    /// Milliseconds of training, steps and images since the last frame.
    milliseconds: f64,
    since: [f64; 2],
}

/// An adapter that a browser offers, or why there is none.
#[wasm_bindgen]
pub async fn adapter() -> Object {
    let found = gpu::adapters().await;
    let useful = found.iter().find(|adapter| adapter.lacks.is_none());
    match (useful, found.first()) {
        (Some(adapter), _) => object(&[("name", adapter.name.as_str().into()), ("software", adapter.software.into())]),
        (None, Some(adapter)) => {
            let lacks = adapter.lacks.clone().unwrap_or_default();
            object(&[("lacks", format!("the GPU cannot run the kernels: {lacks}").into())])
        }
        (None, None) => object(&[("lacks", "this browser has no WebGPU, or none for this GPU".into())]),
    }
}

#[wasm_bindgen]
impl Engine {
    /// Builds a model. `request` has `settings` and perhaps `pictures` and `run`; `compiling(done, total)` is called while kernels
    /// are compiled.
    pub async fn start(request: Object, webgpu: bool, compiling: Function) -> Result<Engine> {
        let start = Start {
            settings: strings(&get(&request, "settings")),
            pictures: Some(get(&request, "pictures")).filter(|value| !value.is_falsy()).map(|value| pictures(&value)),
            run: Some(get(&request, "run")).filter(|value| !value.is_falsy()).map(|run| Uint8Array::new(&run).to_vec()),
        };
        let gpu: Option<Arc<Context>> = match webgpu {
            true => Some(Context::open(Options::default()).await?),
            false => None,
        };
        let tell = |done: usize, total: usize| {
            let _ = compiling.call2(&JsValue::NULL, &(done as f64).into(), &(total as f64).into());
        };
        let laboratory = Laboratory::start(start, gpu, &tell).await?;
        let watch = Watch {
            map: 0,
            dims: [0, 1],
            mosaic: 0,
            range: [[-3.0, 3.0]; 2],
            z: Vec::new(),
            reconstructions: 0,
            features: None,
        };
        Ok(Engine { laboratory, watch, milliseconds: 0.0, since: [0.0; 2] })
    }

    /// Describes the model.
    pub fn about(&self) -> Object {
        let About { settings, toml, parameters, layers, shape, latents, classes, images, steps_per_epoch, .. } =
            self.laboratory.about();
        let about = self.laboratory.about();
        let all: Vec<(&str, JsValue)> =
            settings.iter().map(|(key, value)| (key.as_str(), value.as_str().into())).collect();
        let layers = layers.iter().map(|layer| {
            object(&[
                ("name", layer.name.as_str().into()),
                ("shape", numbers(&layer.output)),
                ("parameters", (layer.parameters as f64).into()),
            ])
        });
        let device = match self.laboratory.gpu() {
            Some(gpu) => [("kind", "webgpu".into()), ("name", gpu.adapter().name.as_str().into())],
            None => [("kind", "cpu".into()), ("name", "".into())],
        };
        object(&[
            ("device", object(&device).into()),
            ("settings", object(&all).into()),
            ("toml", toml.into()),
            ("parameters", (parameters as f64).into()),
            ("layers", layers.collect::<Array>().into()),
            ("shape", numbers(&shape)),
            ("latents", (latents as f64).into()),
            ("classes", classes.iter().map(JsValue::from).collect::<Array>().into()),
            (
                "images",
                object(&[
                    ("train", (images[0] as f64).into()),
                    ("validation", (images[1] as f64).into()),
                    ("test", (images[2] as f64).into()),
                ])
                .into(),
            ),
            ("steps_per_epoch", (steps_per_epoch as f64).into()),
            ("batch_size", (about.batch_size as f64).into()),
            ("beta", about.beta.into()),
            ("is_beta_loss", about.is_beta_loss.into()),
            ("learning_rate", about.learning_rate.into()),
        ])
    }

    /// Says what frames hold.
    pub fn watch(&mut self, request: Object) {
        let number = |name: &str| get(&request, name).as_f64();
        let whole = |name: &str, otherwise: usize| number(name).map_or(otherwise, |number| number.max(0.0) as usize);
        let watch = &mut self.watch;
        watch.map = whole("map", watch.map);
        watch.mosaic = whole("mosaic", watch.mosaic);
        watch.reconstructions = whole("reconstructions", watch.reconstructions);
        watch.features = match get(&request, "features") {
            value if value.is_undefined() => watch.features,
            value => value.as_f64().map(|place| place.max(0.0) as usize),
        };
        if let Some([x, y]) = floats(&get(&request, "dims")).first_chunk::<2>() {
            watch.dims = [*x as usize, *y as usize];
        }
        let range = get(&request, "range");
        let ranges = if range.is_falsy() { Array::new() } else { Array::from(&range) };
        if let [x, y] = &ranges.iter().map(|pair| floats(&pair)).collect::<Vec<_>>()[..]
            && let (Some(x), Some(y)) = (x.first_chunk::<2>(), y.first_chunk::<2>())
        {
            watch.range = [*x, *y];
        }
        if !get(&request, "z").is_falsy() {
            watch.z = floats(&get(&request, "z"));
        }
    }

    /// Trains for some milliseconds.
    pub async fn train(&mut self, milliseconds: f64) -> Result<()> {
        let (begun, before) = (Date::now(), self.laboratory.position());
        let trained = self.laboratory.train(&mut || Date::now() - begun >= milliseconds).await;
        let after = self.laboratory.position();
        let (steps, milliseconds) = (after.steps - before.steps, Date::now() - begun);
        self.laboratory.adapt_reading(steps, milliseconds);
        self.milliseconds += milliseconds;
        self.since[0] += steps as f64;
        self.since[1] += (after.images - before.images) as f64;
        Ok(trained?)
    }

    /// What the page draws.
    pub async fn frame(&mut self) -> Result<Object> {
        let Frame { points, labels, kl, mosaic, reconstructions: [images, guesses], features } =
            self.laboratory.frame(&self.watch).await?;
        let position = self.laboratory.position();
        let [steps, trained] = std::mem::take(&mut self.since);
        let seconds = std::mem::take(&mut self.milliseconds) / 1000.0;
        let rate = |count: f64| if seconds > 0.0 { count / seconds } else { 0.0 };
        let steps_per_epoch = self.laboratory.trainer.steps_per_epoch();
        let shown = self.laboratory.trainer.dataset.test.first(self.watch.reconstructions);
        let shown: Vec<u8> =
            self.laboratory.trainer.dataset.test.labels(&shown).into_iter().map(|label| label.min(255) as u8).collect();
        Ok(object(&[
            ("epoch", (position.epoch as f64).into()),
            ("step", (position.step as f64).into()),
            ("steps_per_epoch", (steps_per_epoch as f64).into()),
            ("steps", (position.steps as f64).into()),
            ("images", (position.images as f64).into()),
            ("steps_per_second", rate(steps).into()),
            ("images_per_second", rate(trained).into()),
            ("losses", Float32Array::from(&self.laboratory.take_losses(200)[..]).into()),
            (
                "map",
                object(&[
                    ("points", Float32Array::from(&points[..]).into()),
                    ("labels", Uint8Array::from(&labels[..]).into()),
                ])
                .into(),
            ),
            (
                "mosaic",
                object(&[
                    ("tiles", (self.watch.mosaic as f64).into()),
                    ("pixels", Uint8Array::from(&mosaic[..]).into()),
                ])
                .into(),
            ),
            (
                "reconstructions",
                object(&[
                    ("images", Uint8Array::from(&images[..]).into()),
                    ("reconstructions", Uint8Array::from(&guesses[..]).into()),
                    ("labels", Uint8Array::from(&shown[..]).into()),
                ])
                .into(),
            ),
            ("kl", Float32Array::from(&kl[..]).into()),
            ("features", features.map_or(JsValue::NULL, |features| maps(&features))),
        ]))
    }

    /// Trains one batch and describes it.
    pub async fn follow(&mut self) -> Result<Object> {
        let follow = self.laboratory.follow().await?;
        Ok(followed(&follow))
    }

    /// Changes keys of `loss` and `train`.
    pub fn change(&mut self, settings: JsValue) -> Result<()> {
        Ok(self.laboratory.change(&strings(&settings))?)
    }

    /// Encodes pixels from 0 to 1.
    pub async fn encode(&self, pixels: &[f32], label: usize) -> Result<Object> {
        let pixels = pixels.to_vec();
        Ok(encoded(&self.laboratory.encode(&pixels, label).await?))
    }

    /// Encodes a test image.
    pub async fn picture(&self, place: usize) -> Result<Object> {
        Ok(encoded(&self.laboratory.picture(place).await?))
    }

    /// Decodes latents.
    pub async fn decode(&self, z: &[f32], label: usize) -> Result<Uint8Array> {
        let z = z.to_vec();
        Ok(Uint8Array::from(&self.laboratory.decode(&z, label).await?[..]))
    }

    /// The losses of the validation images.
    pub async fn validate(&self) -> Result<Object> {
        let validation = self.laboratory.trainer.validate().await?;
        let part = |name| validation.losses.part(name).unwrap_or(f64::NAN);
        Ok(object(&[
            ("total", validation.losses.total.into()),
            ("reconstruction", part("reconstruction").into()),
            ("kl", part("kl").into()),
            ("mse", validation.mse.into()),
            ("latents_in_use", (validation.latents_in_use() as f64).into()),
        ]))
    }

    /// A checkpoint.
    pub async fn save(&self) -> Result<Uint8Array> {
        Ok(Uint8Array::from(&self.laboratory.save().await?[..]))
    }

    /// Gives the GPU and its memory up. Later calls of this engine fail as if the GPU had been lost.
    pub fn destroy_device(&self) {
        self.laboratory.gpu().iter().for_each(|gpu| gpu.destroy());
    }
}

/// The latent explorer of a checkpoint.
#[wasm_bindgen]
pub struct LatentExplorer {
    exploration: Exploration,
}

#[wasm_bindgen]
impl LatentExplorer {
    /// Opens a checkpoint, perhaps with `images`: `pixels`, `labels` and `class_names`.
    pub fn open(name: &str, checkpoint: &[u8], images: &JsValue) -> Result<LatentExplorer> {
        let images = Some(images).filter(|images| !images.is_falsy()).map(|images| {
            let images = images.unchecked_ref::<Object>();
            TestImages {
                pixels: Uint8Array::new(&get(images, "pixels")).to_vec(),
                labels: floats(&get(images, "labels")).into_iter().map(|label| label as u16).collect(),
                class_names: strings(&get(images, "class_names")),
            }
        });
        Ok(LatentExplorer { exploration: Exploration::open(name, checkpoint, images)? })
    }

    /// Answers a request: a string of JSON, or the bytes of a PNG.
    pub fn answer(&self, request: &str, body: Vec<u8>) -> Result<JsValue> {
        Ok(match self.exploration.answer(request, body)? {
            Answer::Json(text) => text.into(),
            Answer::Png(bytes) => Uint8Array::from(&bytes[..]).into(),
        })
    }
}

fn followed(follow: &Follow) -> Object {
    let [losses, after] = [follow.losses, follow.after].map(|[total, reconstruction, kl]| {
        object(&[("total", total.into()), ("reconstruction", reconstruction.into()), ("kl", kl.into())])
    });
    let [reconstruction, kl] = follow.image_losses;
    let image_losses = object(&[("reconstruction", reconstruction.into()), ("kl", kl.into())]);
    let first = &follow.first;
    let sigma: Vec<f32> = first.logvar.iter().map(|logvar| (0.5 * logvar).exp()).collect();
    let kl_per_latent: Vec<f32> =
        first.mu.iter().zip(&first.logvar).map(|(&mu, &logvar)| crate::frame::kl(mu, logvar)).collect();
    let gradients = follow.updates.iter().map(|update| {
        object(&[
            ("name", update.name.as_str().into()),
            ("shape", update.shape.as_str().into()),
            ("norm", update.gradient.into()),
            ("weight", update.weight.into()),
            ("update", update.change.into()),
        ])
    });
    object(&[
        ("step", (follow.step as f64).into()),
        ("images", (follow.images as f64).into()),
        ("learning_rate", follow.learning_rate.into()),
        ("label", (first.label as f64).into()),
        ("image", Uint8Array::from(&first.pixels[..]).into()),
        ("stages", stages(&follow.stages)),
        ("mu", Float32Array::from(&first.mu[..]).into()),
        ("logvar", Float32Array::from(&first.logvar[..]).into()),
        ("sigma", Float32Array::from(&sigma[..]).into()),
        ("eps", Float32Array::from(&follow.eps[..]).into()),
        ("z", Float32Array::from(&follow.z[..]).into()),
        ("reconstruction", Uint8Array::from(&first.reconstruction[..]).into()),
        ("kl_per_latent", Float32Array::from(&kl_per_latent[..]).into()),
        ("image_losses", image_losses.into()),
        ("losses", losses.into()),
        ("after", after.into()),
        ("gradients", gradients.collect::<Array>().into()),
    ])
}

fn encoded(image: &Encoded) -> Object {
    object(&[
        ("pixels", Uint8Array::from(&image.pixels[..]).into()),
        ("label", (image.label as f64).into()),
        ("mu", Float32Array::from(&image.mu[..]).into()),
        ("logvar", Float32Array::from(&image.logvar[..]).into()),
        ("reconstruction", Uint8Array::from(&image.reconstruction[..]).into()),
    ])
}

fn maps(features: &Features) -> JsValue {
    let object = encoded(&features.image);
    let _ = Reflect::set(&object, &"image".into(), &get(&object, "pixels"));
    let _ = Reflect::set(&object, &"stages".into(), &stages(&features.stages));
    object.into()
}

fn stages(stages: &[Maps]) -> JsValue {
    let each = stages.iter().map(|stage| {
        object(&[
            ("name", stage.name.as_str().into()),
            ("shape", numbers(&stage.shape)),
            ("maps", Uint8Array::from(&stage.maps[..]).into()),
        ])
    });
    each.collect::<Array>().into()
}

fn pictures(value: &JsValue) -> Pictures {
    let object = value.unchecked_ref::<Object>();
    Pictures {
        pixels: Uint8Array::new(&get(object, "pixels")).to_vec(),
        labels: Uint8Array::new(&get(object, "labels")).to_vec(),
        side: get(object, "side").as_f64().unwrap_or(0.0) as usize,
        names: strings(&get(object, "names")),
    }
}

fn object(entries: &[(&str, JsValue)]) -> Object {
    let object = Object::new();
    for (key, value) in entries {
        let _ = Reflect::set(&object, &(*key).into(), value); // it cannot fail for a plain object
    }
    object
}

fn get(object: &Object, key: &str) -> JsValue {
    Reflect::get(object, &key.into()).unwrap_or(JsValue::UNDEFINED)
}

fn strings(value: &JsValue) -> Vec<String> {
    match value.is_falsy() {
        true => Vec::new(),
        false => Array::from(value).iter().filter_map(|entry| entry.as_string()).collect(),
    }
}

fn floats(value: &JsValue) -> Vec<f32> {
    match value.is_falsy() {
        true => Vec::new(),
        false => Array::from(value).iter().filter_map(|entry| entry.as_f64()).map(|number| number as f32).collect(),
    }
}

fn numbers(numbers: &[usize]) -> JsValue {
    numbers.iter().map(|&number| JsValue::from(number as f64)).collect::<Array>().into()
}
