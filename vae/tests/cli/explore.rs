//! `vae explore`: a run's latents, asked for over real sockets.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::web::{Answer, Served, refuses_strangers};
use crate::{done, process, refused, train};

fn explore(dir: &Path, words: &[&str]) -> Command {
    let mut command = process("vae", dir);
    command.arg("explore").args(words);
    command
}

/// A run in `run`.
fn trained(dir: &Path) {
    let settings = ["model.kind=dense", "model.hidden=16", "model.z_dim=4", "train.epochs=1"];
    let settings = settings.iter().flat_map(|setting| ["--set", setting]);
    done(&train(dir).args(settings).args(["--limit", "256", "--device", "cpu", "--out", "run"]).output().unwrap());
}

fn decode(served: &Served, body: &Value) -> Answer {
    served.ask("POST /decode", &[("Content-Type", "application/json")], body.to_string().as_bytes())
}

fn object(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn a_page_explores_a_run_and_ctrl_c_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    trained(dir.path());
    let served = Served::start(explore(dir.path(), &["run", "--threads", "1"]));
    let page = String::from_utf8(served.get("/")).unwrap();
    assert!(page.contains("src=\"page.js\"") && !page.contains("http"), "{page}");
    assert!(!served.get("/page.js").is_empty() && !served.get("/page.css").is_empty());
    let about = object(&served.get("/about"));
    assert_eq!((about["latents"].as_array().unwrap().len(), &about["images"]), (4, &json!(833)));
    let kl = |i: usize| about["latents"][i]["kl"].as_f64().unwrap();
    assert!((0..3).all(|i| kl(i) >= kl(i + 1)), "{about}");
    // The latent of the highest KL moves the picture.
    let mut z = [0.0; 4];
    let still = decode(&served, &json!({ "z": z }));
    z[about["latents"][0]["dim"].as_u64().unwrap() as usize] = 3.0;
    let moved = decode(&served, &json!({ "z": z }));
    let [still, moved] = [still, moved].map(|answer| {
        assert!(answer.status == 200 && answer.headers.contains("content-type: image/png"), "{}", answer.headers);
        image::load_from_memory(&answer.body).unwrap().into_luma8()
    });
    let changed = still.pixels().zip(moved.pixels()).filter(|(a, b)| a.0[0].abs_diff(b.0[0]) > 8).count();
    assert!(changed > 10, "{changed} of {} pixels", still.len());
    // An image is encoded to where the map has it.
    let [image, map] = ["/image?place=3", "/map?x=1&y=2"].map(|path| object(&served.get(path)));
    let off = |k: usize| image["z"][k + 1].as_f64().unwrap() - map["points"][3][k].as_f64().unwrap();
    assert!(off(0).abs() < 1e-4 && off(1).abs() < 1e-4 && image["label"] == map["labels"][3], "{image}");
    // A mosaic is one picture of 12 × 12 tiles.
    let question = json!({ "z": [0, 0, 0, 0], "dims": [0, 1], "ranges": [[-3, 3], [-2.5, 2]] });
    let mosaic = served.ask("POST /mosaic", &[("Content-Type", "application/json")], question.to_string().as_bytes());
    let tiles = image::load_from_memory(&mosaic.body).unwrap();
    assert_eq!((mosaic.status, tiles.width(), tiles.height()), (200, 12 * 32, 12 * 32));
    // The page offers every kind of file that the reader reads, and a picture has the same z in each kind without loss.
    let page = String::from_utf8(served.get("/")).unwrap();
    let accepted = page.split("accept=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let kinds = vae::data::files::picture::KINDS.replace(".jpg, .", ".").replace('.', "image/").replace(", ", ",");
    assert_eq!(accepted, kinds);
    let drawn =
        image::GrayImage::from_fn(32, 32, |x, y| image::Luma([if (8..16).contains(&x) && y > 4 { 255 } else { 0 }]));
    let codes = [image::ImageFormat::Png, image::ImageFormat::WebP, image::ImageFormat::Bmp].map(|kind| {
        let mut bytes = std::io::Cursor::new(Vec::new());
        image::DynamicImage::from(drawn.clone()).into_rgb8().write_to(&mut bytes, kind).unwrap();
        let answer = served.ask("POST /picture", &[("Content-Type", kind.to_mime_type())], bytes.get_ref());
        object(&answer.body)["z"].clone()
    });
    assert!(codes[0].as_array().is_some_and(|z| z.len() == 4) && codes.iter().all(|z| *z == codes[0]), "{codes:?}");
    // A picture of somebody's own is encoded, too, and inverted if asked. This figure has a white margin, and digits a black ground.
    let file = std::fs::read(dir.path().join("run/samples.png")).unwrap();
    let picture = served.ask("POST /picture", &[("Content-Type", "image/png")], &file);
    assert_eq!(object(&picture.body)["z"].as_array().map(Vec::len), Some(4));
    let inverted = served.ask("POST /picture?inverted=true", &[("Content-Type", "image/png")], &file);
    let grounds = [&picture, &inverted].map(|answer| object(&answer.body)["other_ground"].clone());
    assert_eq!(grounds, [json!(true), json!(false)]);
    assert_eq!(served.interrupt().code(), Some(0));
}

#[test]
fn strangers_and_nonsense_are_refused_and_it_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    trained(dir.path());
    let served = Served::start(explore(dir.path(), &["run", "--threads", "1"]));
    refuses_strangers(&served, dir.path());
    let is_json = [("Content-Type", "application/json")];
    for (what, body, status) in [
        ("POST /decode", &b"{"[..], 400),
        ("POST /decode", br#"{"z":[1,2]}"#, 400),
        ("POST /decode", br#"{"z":[1e999,0,0,0]}"#, 400),
        ("POST /decode", br#"{"z":[1e30,0,0,0]}"#, 400),
        ("POST /decode", br#"{"z":"0000"}"#, 422),
        ("POST /decode", &[b' '; 300_000], 413),
        ("POST /mosaic", br#"{"z":[0,0,0,0],"dims":[0,4],"ranges":[[0,1],[0,1]]}"#, 400),
        ("POST /mosaic", br#"{"z":[0,0,0,0],"dims":[0,1],"ranges":[[0,1e30],[0,1]]}"#, 400),
        ("POST /mosaic", br#"{"z":[0,0],"dims":[0,1],"ranges":[[0,1],[0,1]]}"#, 400),
        ("POST /mosaic", br#"{"z":[0,0,0,0]}"#, 422),
        ("POST /picture", b"<html>", 400),
        ("POST /picture?whole=2", b"", 400),
        ("POST /picture?label=x", b"", 400),
        ("GET /image?place=-1", b"", 400),
        ("GET /image?place=833", b"", 400),
        ("GET /map?x=0&y=4", b"", 400),
        ("GET /map", b"", 400),
    ] {
        assert_eq!(served.ask(what, &is_json, body).status, status, "{what}");
    }
    // Too large by what it says, and by what comes.
    let says = format!("POST /picture HTTP/1.1\r\nHost: {}\r\nContent-Length: 10000001\r\n\r\n", served.address);
    assert_eq!(served.send(says.as_bytes()).unwrap().status, 413);
    let own = served.address;
    let mut comes = format!("POST /picture HTTP/1.1\r\nHost: {own}\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes();
    for _ in 0..11 {
        comes.extend(b"f4240\r\n");
        comes.extend([0; 1_000_000]);
        comes.extend(b"\r\n");
    }
    assert!(served.send(&comes).is_none_or(|answer| answer.status == 413));
    assert_eq!(decode(&served, &json!({ "z": [0, 0, 0, 0] })).status, 200);
}

#[test]
fn two_hundred_ask_at_once() {
    let dir = tempfile::tempdir().unwrap();
    trained(dir.path());
    let served = Served::start(explore(dir.path(), &["run", "--threads", "1"]));
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let ask = |i: u32| {
            let served = &served;
            scope.spawn(move || decode(served, &json!({ "z": [f64::from(i) / 100.0, 0, 0, 0] })).status)
        };
        let all: Vec<_> = (0..200).map(ask).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses, [200; 200]);
}

#[test]
fn what_cannot_be_served_is_told_in_a_line() {
    let dir = tempfile::tempdir().unwrap();
    trained(dir.path());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = explore(dir.path(), &["run", "--port", &port]).output().unwrap();
    refused(&output, 1, &["the port is already in use; choose another --port"]);
    refused(
        &explore(dir.path(), &["nowhere"]).output().unwrap(),
        1,
        &["nowhere/config.toml", "name the folder of a run"],
    );
    refused(&explore(dir.path(), &["run", "--port", "70000"]).output().unwrap(), 2, &["70000"]);
    refused(&explore(dir.path(), &["run", "--host", "example.org"]).output().unwrap(), 2, &["example.org"]);
    done(
        &train(dir.path())
            .args(["--set", "model.kind=vq", "--set", "model.encoder=basic", "--set", "train.epochs=1"])
            .args(["--limit", "64", "--device", "cpu", "--out", "vq"])
            .output()
            .unwrap(),
    );
    refused(&explore(dir.path(), &["vq"]).output().unwrap(), 2, &["model.kind = \"vq\" has no latents to explore"]);
}

/// The engine is WebAssembly, which `web/build` compiles. Here five small files stand for it.
#[test]
fn an_exported_page_has_all_that_its_worker_asks_for() {
    let dir = tempfile::tempdir().unwrap();
    trained(dir.path());
    let export = |words: &[&str]| explore(dir.path(), &[&["run", "--threads", "1"], words].concat()).output().unwrap();
    let path = |name: &str| dir.path().join(name);
    refused(&export(&["--export", "page"]), 1, &["web/dist/engine/web.js", "run web/build first"]);
    assert!(!path("page").exists());
    for name in ["engine/web.js", "engine/web_bg.wasm", "explore/server.js", "explore/worker.js", "explore/handover.js"]
    {
        let file = path("built").join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, name).unwrap();
    }
    let output = export(&["--export", "page", "--engine", "built"]);
    done(&output);
    assert!(String::from_utf8_lossy(&output.stdout).contains("the explorer of run with 833 test images"));
    let read = |name: &str| std::fs::read(path("page").join(name)).unwrap();
    let html = String::from_utf8(read("index.html")).unwrap();
    let [server, page] = ["src=\"server.js\"", "src=\"page.js\""].map(|script| html.find(script).unwrap());
    assert!(server < page && html.contains("data-run=\"run/\""), "{html}");
    assert_eq!(read("run/checkpoint.safetensors"), std::fs::read(path("run/checkpoints/best.safetensors")).unwrap());
    let about = object(&read("run/run.json"));
    assert_eq!((about["labels"].as_array().unwrap().len(), read("run/images.bin").len()), (833, 833 * 32 * 32));
    assert!(!read("page.css").is_empty() && read("engine/web_bg.wasm") == b"engine/web_bg.wasm");
    refused(&export(&["--export", "page", "--engine", "built"]), 1, &["page", "name a new folder"]);
    refused(&export(&["--engine", "built"]), 2, &["--export"]);
}
