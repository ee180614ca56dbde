//! TensorBoard's event file of a run: `tensorboard/events.out.tfevents.TIME.PROCESS.vae` in its folder. `tensorboard --logdir
//! runs` finds it.
//!
//! The file consists of records (tensorflow/core/lib/io/record_writer.cc), whose data is an `Event` in protobuf's wire format:
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
use vae_core::objective::Losses;
use vae_core::train::{Epoch, Progress};
use vae_figures::preview::Preview;

/// The folder for event files in the folder of a run.
pub const FOLDER: &str = "tensorboard";

/// The approximate number of points per epoch in the curves of steps.
const POINTS: usize = 50;
const CASTAGNOLI: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
/// `SessionLog.START`: TensorBoard ignores what earlier files have from this step on.
const START: u64 = 1;

/// Fields of `Event` (tensorboard/compat/proto/event.proto). An event has one of them besides its time and step.
const FILE_VERSION: u64 = 3;
const SUMMARY: u64 = 5;
const SESSION_LOG: u64 = 7;

/// A message in protobuf's wire format (protobuf.dev, "Encoding"). Each field is a key, which is its number·8 + the type of its
/// value, and the value.
#[derive(Clone, Default)]
struct Message(Vec<u8>);

impl Message {
    /// Appends an integer in groups of seven bits, the lowest first. The eighth bit of a byte says that more follow.
    fn varint(mut self, mut x: u64) -> Message {
        while x >= 0x80 {
            self.0.push(x as u8 | 0x80);
            x >>= 7;
        }
        self.0.push(x as u8);
        self
    }

    /// Appends an integer field. A 0 is omitted, because it is the default.
    fn integer(self, field: u64, x: u64) -> Message {
        if x == 0 { self } else { self.varint(field << 3).varint(x) }
    }

    fn double(self, field: u64, x: f64) -> Message {
        self.varint(field << 3 | 1).raw(&x.to_le_bytes())
    }

    /// Appends a string, bytes, or a message.
    fn bytes(self, field: u64, bytes: &[u8]) -> Message {
        self.varint(field << 3 | 2).varint(bytes.len() as u64).raw(bytes)
    }

    fn float(self, field: u64, x: f32) -> Message {
        self.varint(field << 3 | 5).raw(&x.to_le_bytes())
    }

    fn raw(mut self, bytes: &[u8]) -> Message {
        self.0.extend_from_slice(bytes);
        self
    }
}

/// An event: its time in seconds since 1970, its step, and one more field.
fn event(wall_time: f64, step: usize, field: u64, content: &[u8]) -> Message {
    Message::default().double(1, wall_time).integer(2, step as u64).bytes(field, content)
}

/// The event file of a run that is training. It is flushed after every epoch.
pub struct Log<W: Write = BufWriter<File>> {
    file: W,
    /// The latest step of the run, or the next one before the first.
    step: usize,
}

impl Log {
    /// Creates a file in a run's folder. `done` is the number of steps that the run has already made.
    ///
    /// # Errors
    /// If the file cannot be created or written.
    pub fn create(run: &Path, done: u64) -> io::Result<Log> {
        let folder = run.join(FOLDER);
        fs::create_dir_all(&folder)?;
        let name = format!("events.out.tfevents.{:010.0}.{}.vae", now().floor(), std::process::id());
        let mut log = Log { file: BufWriter::new(File::create_new(folder.join(name))?), step: done as usize + 1 };
        log.write(FILE_VERSION, b"brain.Event:2")?;
        log.write(SESSION_LOG, &session_log().0)?;
        log.file.flush()?;
        Ok(log)
    }
}

impl<W: Write> Log<W> {
    /// Writes the losses of a step as points of the curves `step/…`, for a few of the steps.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn step(&mut self, step: &Progress) -> io::Result<()> {
        self.step = step.number;
        if !self.step.is_multiple_of((step.steps / POINTS).max(1)) {
            return Ok(());
        }
        self.summary(scalars("step", &step.losses))
    }

    /// Writes the results of an epoch: its losses `train/…` and `validation/…`, its learning rate and speed, and images.
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

    fn summary(&mut self, values: Vec<Message>) -> io::Result<()> {
        self.write(SUMMARY, &summary(values).0)
    }

    /// Writes an event with the current time.
    fn write(&mut self, field: u64, content: &[u8]) -> io::Result<()> {
        self.file.write_all(&record(&event(now(), self.step, field, content).0))
    }
}

fn session_log() -> Message {
    Message::default().integer(1, START)
}

/// A `Summary` of values (tensorboard/compat/proto/summary.proto).
fn summary(values: Vec<Message>) -> Message {
    values.iter().fold(Message::default(), |summary, value| summary.bytes(1, &value.0))
}

/// A record that contains `data`.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let masked = |bytes: &[u8]| CASTAGNOLI.checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes();
    [&length[..], &masked(&length), data, &masked(data)].concat()
}

/// The total loss and its parts as summary values.
fn scalars(of: &str, losses: &Losses) -> Vec<Message> {
    let parts = losses.parts.iter().copied();
    std::iter::once(("total", losses.total)).chain(parts).map(|(name, x)| scalar(&format!("{of}/{name}"), x)).collect()
}

fn scalar(tag: &str, x: f64) -> Message {
    Message::default().bytes(1, tag.as_bytes()).float(2, x as f32)
}

/// An image summary. Bytes 16–24 of a PNG are its width and height (PNG specification, IHDR).
fn picture(tag: &str, png: Vec<u8>) -> Message {
    let side = |at: usize| u64::from(u32::from_be_bytes([png[at], png[at + 1], png[at + 2], png[at + 3]]));
    Message::default().bytes(1, tag.as_bytes()).bytes(4, &image(side(20), side(16), &png).0)
}

fn image(height: u64, width: u64, png: &[u8]) -> Message {
    const RGB: u64 = 3; // channels
    Message::default().integer(1, height).integer(2, width).integer(3, RGB).bytes(4, png)
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |now| now.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use vae_core::hex;

    use super::*;

    /// A field's number and value: an integer, the bits of a float or double, or bytes.
    #[derive(Clone, Debug, PartialEq)]
    enum Field {
        Number(u64, u64),
        Bytes(u64, Vec<u8>),
    }

    fn fields(mut bytes: &[u8]) -> Vec<Field> {
        fn varint(bytes: &mut &[u8]) -> u64 {
            let length = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
            let (head, rest) = bytes.split_at(length);
            *bytes = rest;
            head.iter().rev().fold(0, |x, byte| x << 7 | u64::from(byte & 0x7f))
        }
        fn take(bytes: &mut &[u8], length: usize) -> Vec<u8> {
            let (head, rest) = bytes.split_at(length);
            *bytes = rest;
            head.to_vec()
        }
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            fields.push(match key & 7 {
                0 => Field::Number(key >> 3, varint(&mut bytes)),
                1 => Field::Number(key >> 3, u64::from_le_bytes(take(&mut bytes, 8).try_into().unwrap())),
                5 => Field::Number(key >> 3, u32::from_le_bytes(take(&mut bytes, 4).try_into().unwrap()).into()),
                kind => {
                    assert_eq!(kind, 2);
                    let length = varint(&mut bytes) as usize;
                    Field::Bytes(key >> 3, take(&mut bytes, length))
                }
            });
        }
        fields
    }

    fn inside(field: &Field) -> Vec<Field> {
        let Field::Bytes(_, bytes) = field else { panic!("{field:?}") };
        fields(bytes)
    }

    /// The data of a file's records. Checks their checksums.
    fn events(mut bytes: &[u8]) -> Vec<Vec<Field>> {
        let mut events = Vec::new();
        while !bytes.is_empty() {
            let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            let data = &bytes[12..12 + length];
            assert_eq!(record(data), bytes[..16 + length]);
            events.push(fields(data));
            bytes = &bytes[16 + length..];
        }
        events
    }

    /// The bytes that `tensorboard.summary.writer.record_writer.RecordWriter` of TensorBoard 2.20 writes for the same events.
    #[test]
    fn bytes_equal_those_of_tensorboard() {
        let version = event(1.5, 0, FILE_VERSION, b"brain.Event:2");
        let start = event(2.25, 7, SESSION_LOG, &session_log().0);
        let samples = Message::default().bytes(1, b"samples").bytes(4, &image(2, 3, b"png").0);
        let values = event(3.0, 300, SUMMARY, &summary(vec![scalar("train/kl", 12.5), samples]).0);
        let written = [version, start, values].map(|event| hex(record(&event.0)));
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
    fn a_resumed_run_continues_the_steps_of_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::create(dir.path(), 100).unwrap();
        let losses = Losses { total: 3.0, parts: vec![("kl", 1.0)] };
        for step in 1..=10 {
            let losses = losses.clone();
            let (epoch, number, steps, images, learning_rate) = (2, 100 + step, 100, 64, 1e-3);
            log.step(&Progress { epoch, step, number, steps, images, losses, learning_rate }).unwrap();
        }
        drop(log);
        let file = fs::read_dir(dir.path().join(FOLDER)).unwrap().next().unwrap().unwrap().path();
        let events = events(&fs::read(file).unwrap());
        assert_eq!(events[1][1], Field::Number(2, 101));
        assert_eq!(inside(&events[1][2]), [Field::Number(1, START)]);
        let told = |event: &Vec<Field>| (event[1].clone(), inside(&event[2]).iter().map(inside).collect::<Vec<_>>());
        let value = |tag: &str, x: f32| vec![Field::Bytes(1, tag.into()), Field::Number(2, x.to_bits().into())];
        let values = vec![value("step/total", 3.0), value("step/kl", 1.0)];
        let expected: Vec<_> = [102, 104, 106, 108, 110].map(|step| (Field::Number(2, step), values.clone())).into();
        assert_eq!(events[2..].iter().map(told).collect::<Vec<_>>(), expected);
    }
}
