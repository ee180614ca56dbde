//! The explorer of a checkpoint, without a server and without files.

#![forbid(unsafe_code)]

use pollster::block_on;
use vae_explore::Answer;
use web::exploration::TestImages;
use web::laboratory::Start;
use web::{Exploration, Laboratory};

fn checkpoint() -> Vec<u8> {
    let settings = ["model.kind=dense", "model.hidden=8", "model.z_dim=2", "data.image_size=28", "data.limit=64"];
    let start = Start { settings: settings.map(str::to_owned).to_vec(), ..Start::default() };
    let mut laboratory = block_on(Laboratory::start(start, None, &|_, _| {})).unwrap();
    block_on(laboratory.train(&mut || true)).unwrap();
    block_on(laboratory.save()).unwrap()
}

fn json(exploration: &Exploration, request: &str) -> String {
    match exploration.answer(request, Vec::new()).unwrap() {
        Answer::Json(text) => text,
        Answer::Png(_) => panic!("{request} gives a PNG"),
    }
}

#[test]
fn a_checkpoint_of_digits_is_explored_with_the_digits_in_the_program() {
    let exploration = Exploration::open("mine", &checkpoint(), None).unwrap();
    let about = json(&exploration, "/about");
    assert!(about.contains(r#""images":833"#) && about.contains("mine"), "{about}");
    assert!(!about.contains(r#""kl":0.0,"#), "the KL is that of the test images: {about}");
    assert_eq!(json(&exploration, "/map?x=0&y=1").matches('[').count(), 833 + 2);
    let png = exploration.answer("/decode", br#"{"z": [0.5, 1]}"#.to_vec()).unwrap();
    assert!(matches!(png, Answer::Png(bytes) if bytes.starts_with(b"\x89PNG")));
    assert!(exploration.answer("/decode", br#"{"z": [0.5]}"#.to_vec()).unwrap_err().to_string().contains("needs 2"));
}

#[test]
fn exported_images_take_the_place_of_the_data_set() {
    let class_names = vec!["left".into(), "right".into()];
    let images = TestImages { pixels: vec![128; 3 * 28 * 28], labels: vec![0, 1, 1], class_names };
    let exploration = Exploration::open("mine", &checkpoint(), Some(images.clone())).unwrap();
    let about = json(&exploration, "/about");
    assert!(about.contains(r#""images":3"#) && about.contains(r#"["left","right"]"#), "{about}");
    assert!(json(&exploration, "/image?place=2").contains(r#""label":1"#));
    let nameless = TestImages { class_names: Vec::new(), ..images.clone() };
    assert!(
        json(&Exploration::open("mine", &checkpoint(), Some(nameless)).unwrap(), "/about").contains(r#""images":3"#)
    );
    let unnamed = TestImages { class_names: vec!["left".into()], ..images.clone() };
    let error = Exploration::open("mine", &checkpoint(), Some(unnamed)).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("there are 2 labels, but 1 names"), "{error}");
    let few = TestImages { pixels: vec![0; 10], ..images };
    let error = Exploration::open("mine", &checkpoint(), Some(few)).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("do not have the model's shape"), "{error}");
    let error = Exploration::open("mine", b"nothing", None).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("is not a checkpoint of this program"), "{error}");
}
