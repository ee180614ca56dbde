//! A run for TensorBoard: `tensorboard/events.out.tfevents.TIME.PROCESS.vae` in its folder, found by `tensorboard --logdir runs`.
//!
//! The file is records (tensorflow/core/lib/io/record_writer.cc), whose data are `Event`s in protobuf's wire format:
//!
//! ```text
//! u64 length | u32 masked crc of those eight bytes | data | u32 masked crc of the data          little-endian
//! masked crc = rotate_right(crc, 15) + 0xa282ead8, where crc is CRC-32C
//! ```

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crc::{CRC_32_ISCSI, Crc};
use prost::Message;
use vae_core::objective::Losses;
use vae_core::train::{Epoch, Progress};
use vae_figures::preview::Preview;

/// The folder of a run that holds its files.
pub const FOLDER: &str = "tensorboard";

/// Points of an epoch in the curves of steps, about.
const POINTS: usize = 50;
const CASTAGNOLI: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
/// `SessionLog.START`: what earlier files have from its step on is void.
const START: i32 = 1;

/// tensorboard/compat/proto/event.proto
#[derive(Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    session_log: Option<SessionLog>,
}

/// tensorboard/compat/proto/summary.proto
#[derive(Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
    #[prost(message, optional, tag = "4")]
    image: Option<Image>,
}

#[derive(Message)]
struct Image {
    #[prost(int32, tag = "1")]
    height: i32,
    #[prost(int32, tag = "2")]
    width: i32,
    /// Bytes of a pixel, here RGB.
    #[prost(int32, tag = "3")]
    colorspace: i32,
    #[prost(bytes, tag = "4")]
    encoded_image_string: Vec<u8>,
}

#[derive(Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// The file of a run that is under way. It is whole after every epoch.
pub struct Log<W: Write = BufWriter<File>> {
    file: W,
    /// The latest step of the run; before there is one, that which comes.
    step: usize,
}

impl Log {
    /// A new file in a run's folder; the run goes on after so many steps.
    ///
    /// # Errors
    /// If the file cannot be made or written.
    pub fn create(run: &Path, done: u64) -> io::Result<Log> {
        let folder = run.join(FOLDER);
        fs::create_dir_all(&folder)?;
        let name = format!("events.out.tfevents.{:010.0}.{}.vae", now().floor(), std::process::id());
        let mut log = Log { file: BufWriter::new(File::create_new(folder.join(name))?), step: done as usize + 1 };
        log.write(Event { file_version: Some("brain.Event:2".into()), ..Event::default() })?;
        log.write(Event { session_log: Some(SessionLog { status: START }), ..Event::default() })?;
        log.file.flush()?;
        Ok(log)
    }
}

impl<W: Write> Log<W> {
    /// A step is done; some of them are points of the curves `step/…`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn step(&mut self, step: &Progress) -> io::Result<()> {
        self.step = step.number();
        if !self.step.is_multiple_of((step.steps / POINTS).max(1)) {
            return Ok(());
        }
        self.summary(scalars("step", &step.losses))
    }

    /// An epoch is done: its losses `train/…` and `validation/…`, its rates, and pictures of what the model makes of images.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn epoch(&mut self, epoch: &Epoch, shown: &Preview) -> io::Result<()> {
        let mut values = scalars("train", &epoch.train);
        values.extend(scalars("validation", &epoch.validation.losses));
        values.extend(epoch.validation.mse.map(|mse| scalar("validation/mse", mse)));
        values.push(scalar("learning_rate", epoch.learning_rate));
        values.push(scalar("images_per_second", epoch.images_per_second));
        values.extend(shown.reconstructions().map(|png| picture("reconstructions", png)));
        values.extend(shown.samples().map(|png| picture("samples", png)));
        self.summary(values)?;
        self.file.flush()
    }

    fn summary(&mut self, value: Vec<Value>) -> io::Result<()> {
        self.write(Event { summary: Some(Summary { value }), ..Event::default() })
    }

    /// A record of an event of this very moment.
    fn write(&mut self, event: Event) -> io::Result<()> {
        let data = Event { wall_time: now(), step: self.step as i64, ..event }.encode_to_vec();
        self.file.write_all(&record(&data))
    }
}

/// Data as a record.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let masked = |bytes: &[u8]| CASTAGNOLI.checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes();
    [&length[..], &masked(&length), data, &masked(data)].concat()
}

/// A loss and its parts.
fn scalars(of: &str, losses: &Losses) -> Vec<Value> {
    let parts = losses.parts.iter().copied();
    std::iter::once(("total", losses.total)).chain(parts).map(|(name, x)| scalar(&format!("{of}/{name}"), x)).collect()
}

fn scalar(tag: &str, x: f64) -> Value {
    Value { tag: tag.into(), simple_value: Some(x as f32), image: None }
}

/// The bytes of a PNG, whose bytes 16–24 are its width and height (PNG specification, IHDR).
fn picture(tag: &str, png: Vec<u8>) -> Value {
    let side = |at: usize| i32::from_be_bytes([png[at], png[at + 1], png[at + 2], png[at + 3]]);
    let image = Image { width: side(16), height: side(20), colorspace: 3, encoded_image_string: png };
    Value { tag: tag.into(), simple_value: None, image: Some(image) }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |now| now.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data of the records of a file, whose checksums hold.
    fn events(mut bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        while !bytes.is_empty() {
            let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            let data = &bytes[12..12 + length];
            assert_eq!(record(data), bytes[..16 + length]);
            events.push(Event::decode(data).unwrap());
            bytes = &bytes[16 + length..];
        }
        events
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What `tensorboard.summary.writer.record_writer.RecordWriter` of TensorBoard 2.20 writes for the same events.
    #[test]
    fn its_bytes_are_tensorboard_s() {
        let version = Event { wall_time: 1.5, file_version: Some("brain.Event:2".into()), ..Event::default() };
        let session = Some(SessionLog { status: START });
        let start = Event { wall_time: 2.25, step: 7, session_log: session, ..Event::default() };
        let image = Image { height: 2, width: 3, colorspace: 3, encoded_image_string: b"png".to_vec() };
        let samples = Value { tag: "samples".into(), simple_value: None, image: Some(image) };
        let summary = Some(Summary { value: vec![scalar("train/kl", 12.5), samples] });
        let values = Event { wall_time: 3.0, step: 300, summary, ..Event::default() };
        let written = [version, start, values].map(|event| hex(&record(&event.encode_to_vec())));
        assert_eq!(
            written,
            [
                "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c",
                "0f000000000000006d532b0909000000000000024010073a020801e08cca7e",
                "3700000000000000e7e8ca5909000000000000084010ac022a290a0f0a08747261696e2f6b6c15000048410a160a0773616d\
                 706c6573220b0802100318032203706e678fd2fdaa",
            ]
        );
    }

    #[test]
    fn a_run_s_file_holds_its_steps_and_goes_on_where_it_stood() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::create(dir.path(), 100).unwrap();
        let losses = Losses { total: 3.0, parts: vec![("kl", 1.0)] };
        for step in 1..=10 {
            let losses = losses.clone();
            let (epoch, steps, images, learning_rate) = (2, 100, 64, 1e-3);
            log.step(&Progress { epoch, step, steps, images, losses, learning_rate }).unwrap();
        }
        drop(log);
        let file = fs::read_dir(dir.path().join(FOLDER)).unwrap().next().unwrap().unwrap().path();
        let events = events(&fs::read(file).unwrap());
        assert_eq!((events[1].step, events[1].session_log.as_ref().unwrap().status), (101, START));
        let told = |event: &Event| {
            let values = &event.summary.as_ref().unwrap().value;
            let values: Vec<_> = values.iter().map(|value| (value.tag.clone(), value.simple_value.unwrap())).collect();
            (event.step, values)
        };
        let values = vec![("step/total".to_owned(), 3.0), ("step/kl".to_owned(), 1.0)];
        let expected: Vec<_> = [102, 104, 106, 108, 110].map(|step| (step, values.clone())).into();
        assert_eq!(events[2..].iter().map(told).collect::<Vec<_>>(), expected);
    }
}
