//! The event writer.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use emorun_files::{File, Files};

use crate::{EventError, proto, record};

/// Buckets of a histogram: as many as TensorBoard itself makes.
const HISTOGRAM_BUCKETS: usize = 30;

/// The last second that the ten digits of a file name can hold.
const LAST_SECOND: u64 = 9_999_999_999;

/// One value in the hyperparameter table.
#[derive(Clone, Debug, PartialEq)]
pub enum HParam {
    /// A number; one that is not finite is shown as text, which is all that the dashboard can read.
    Number(f64),
    /// Any text.
    Text(String),
    /// A switch.
    Bool(bool),
}

/// What the hyperparameter dashboard shows of a run.
///
/// No list of columns is written with them: the dashboard would take that of one run, whichever it meets first, for all
/// that it opens together. Without one it gathers the columns itself from every run, those that differ first, and
/// offers all scalars as metrics.
#[derive(Clone, Copy, Debug)]
pub struct HParams<'a> {
    /// Runs of one group are one row of the table, whose metrics are averaged: repetitions of the same setting
    /// (seeds, folds) and nothing else.
    pub group: &'a str,
    /// Names and values.
    pub values: &'a [(String, HParam)],
}

/// Writes one event file.
///
/// A file is never appended to: a run that resumes creates a new writer in the same directory.
/// Every logging method returns whether its record reached the file.
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    /// None once a write has failed.
    file: Option<File>,
    error: Option<EventError>,
    buffer: Vec<u8>,
}

impl EventWriter {
    /// Opens a new event file in `dir`, which is made if need be.
    ///
    /// `first_step` is the first step that will be logged: TensorBoard then drops what earlier files
    /// of the directory hold at that step or later, so that steps done again are shown once.
    /// A run that starts again at its first step therefore logs its configuration again, too.
    /// The file's name sorts after those already there, whatever the clock says, because readers
    /// take the files in that order.
    ///
    /// # Errors
    /// The directory or the file cannot be made or written.
    pub fn create(dir: &Path, first_step: i64, wall_time: f64) -> Result<Self, EventError> {
        Self::create_on(&Files::default(), dir, first_step, wall_time)
    }

    /// As [`EventWriter::create`], on files that somebody may watch.
    ///
    /// # Errors
    /// As [`EventWriter::create`].
    pub fn create_on(files: &Files, dir: &Path, first_step: i64, wall_time: f64) -> Result<Self, EventError> {
        let file = new_file(files, dir, wall_time).map_err(|source| EventError::Create {
            dir: dir.to_owned(),
            source,
        })?;
        let mut writer = Self::on(file);
        let version = proto::Event {
            wall_time,
            file_version: Some("brain.Event:2".into()),
            source_metadata: Some(proto::SourceMetadata {
                writer: concat!("emorun-tensorboard ", env!("CARGO_PKG_VERSION")).into(),
            }),
            ..proto::Event::default()
        };
        let start = proto::Event {
            wall_time,
            step: first_step,
            session_log: Some(proto::SessionLog {
                status: proto::SESSION_START,
            }),
            ..proto::Event::default()
        };
        let written = writer.write(&version) && writer.write(&start);
        match writer.error.take() {
            Some(error) if !written => Err(error),
            _ => Ok(writer),
        }
    }

    fn on(file: File) -> Self {
        Self {
            path: file.path().to_owned(),
            file: Some(file),
            error: None,
            buffer: Vec::new(),
        }
    }

    /// The event file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a failed write has ended this writer's work.
    pub fn is_disabled(&self) -> bool {
        self.file.is_none()
    }

    /// The error that disabled the writer, given once, to be reported once.
    pub fn take_error(&mut self) -> Option<EventError> {
        self.error.take()
    }

    /// Waits until what was logged is on the disk itself, so that it also survives a power cut:
    /// to be called before a checkpoint is declared complete.
    pub fn sync(&mut self) -> bool {
        let result = match &self.file {
            Some(file) => file.sync(),
            None => return false,
        };
        self.keep_going(result)
    }

    /// Logs a number.
    pub fn scalar(&mut self, tag: &str, step: i64, value: f32, wall_time: f64) -> bool {
        self.scalars(&[(tag, value)], step, wall_time)
    }

    /// Logs several numbers of one step as one record.
    pub fn scalars(&mut self, values: &[(&str, f32)], step: i64, wall_time: f64) -> bool {
        // Bare values, without the plugin's metadata: the one form that every reader understands.
        let value = |&(tag, value): &(&str, f32)| proto::Value {
            tag: tag.into(),
            simple_value: Some(value),
            ..proto::Value::default()
        };
        self.summary(values.iter().map(value).collect(), step, wall_time)
    }

    /// Logs text, shown as Markdown; put a configuration in a fenced block.
    pub fn text(&mut self, tag: &str, step: i64, markdown: &str, wall_time: f64) -> bool {
        let tensor = proto::Tensor::strings(vec![markdown.into()]);
        self.tensor(tag, step, ("text", proto::CLASS_TENSOR), tensor, wall_time)
    }

    /// Logs a PNG image, given as the bytes of the file; its size is read from its header.
    ///
    /// Bytes that do not begin with a PNG header are not logged.
    pub fn image(&mut self, tag: &str, step: i64, png: &[u8], wall_time: f64) -> bool {
        let Some((width, height)) = png_size(png) else {
            return false;
        };
        let tensor = proto::Tensor::strings(vec![width.to_string().into(), height.to_string().into(), png.into()]);
        self.tensor(tag, step, ("images", proto::CLASS_BLOB), tensor, wall_time)
    }

    /// Logs the distribution of `values` in 30 buckets of equal width; those that are not finite are
    /// left out.
    pub fn histogram(&mut self, tag: &str, step: i64, values: &[f32], wall_time: f64) -> bool {
        let buckets = histogram_buckets(values);
        let shape = [buckets.len() as i64, 3];
        let tensor = proto::Tensor::floats(&shape, buckets.into_iter().flatten());
        let plugin = ("histograms", proto::CLASS_TENSOR);
        self.tensor(tag, step, plugin, tensor, wall_time)
    }

    /// Logs the run's hyperparameters, once, at its start.
    pub fn hparams(&mut self, hparams: &HParams<'_>, wall_time: f64) -> bool {
        let readable = |value: &HParam| match value {
            HParam::Number(number) if !number.is_finite() => HParam::Text(number.to_string()),
            other => other.clone(),
        };
        let start = proto::SessionStart {
            group_name: hparams.group.into(),
            start_time_secs: wall_time,
            hparams: hparams
                .values
                .iter()
                .map(|(name, value)| (name.clone(), json_value(readable(value))))
                .collect(),
        };
        let start = proto::HParamsPlugin {
            session_start_info: Some(start),
            ..proto::HParamsPlugin::default()
        };
        self.hparams_event("_hparams_/session_start_info", &start, wall_time)
    }

    /// Logs how the run ended.
    ///
    /// TensorBoard keeps the first such record of a directory: call this at the true end only, not
    /// when a run stops to be resumed.
    pub fn hparams_end(&mut self, success: bool, wall_time: f64) -> bool {
        let status = if success {
            proto::STATUS_SUCCESS
        } else {
            proto::STATUS_FAILURE
        };
        let end = proto::HParamsPlugin {
            session_end_info: Some(proto::SessionEnd {
                status,
                end_time_secs: wall_time,
            }),
            ..proto::HParamsPlugin::default()
        };
        self.hparams_event("_hparams_/session_end_info", &end, wall_time)
    }

    /// The hparams plugin reads its data from the metadata; the tensor is empty.
    fn hparams_event(&mut self, tag: &str, data: &proto::HParamsPlugin, wall_time: f64) -> bool {
        let plugin_data = proto::PluginData {
            plugin_name: "hparams".into(),
            content: prost::Message::encode_to_vec(data),
        };
        let value = proto::Value {
            tag: tag.into(),
            simple_value: None,
            tensor: Some(proto::Tensor::floats(&[0], [])),
            metadata: Some(proto::Metadata {
                plugin_data: Some(plugin_data),
                // With the class of a scalar the dashboard stays empty.
                data_class: proto::CLASS_TENSOR,
            }),
        };
        self.summary(vec![value], 0, wall_time)
    }

    fn tensor(
        &mut self,
        tag: &str,
        step: i64,
        (plugin, data_class): (&str, i32),
        tensor: proto::Tensor,
        wall_time: f64,
    ) -> bool {
        let value = proto::Value {
            tag: tag.into(),
            simple_value: None,
            tensor: Some(tensor),
            metadata: Some(proto::Metadata {
                plugin_data: Some(proto::PluginData {
                    plugin_name: plugin.into(),
                    content: Vec::new(),
                }),
                data_class,
            }),
        };
        self.summary(vec![value], step, wall_time)
    }

    fn summary(&mut self, value: Vec<proto::Value>, step: i64, wall_time: f64) -> bool {
        self.write(&proto::Event {
            wall_time,
            step,
            summary: Some(proto::Summary { value }),
            ..proto::Event::default()
        })
    }

    fn write(&mut self, event: &proto::Event) -> bool {
        let result = match &mut self.file {
            Some(file) => {
                record::frame(event, &mut self.buffer);
                file.write_all(&self.buffer)
            }
            None => return false,
        };
        self.keep_going(result)
    }

    /// After a failed write the file may end in half a record, behind which nothing can be read.
    fn keep_going(&mut self, result: io::Result<()>) -> bool {
        match result {
            Ok(()) => true,
            Err(source) => {
                self.file = None;
                self.error = Some(EventError::Write {
                    path: self.path.clone(),
                    source,
                });
                false
            }
        }
    }
}

fn json_value(value: HParam) -> proto::JsonValue {
    let mut json = proto::JsonValue::default();
    match value {
        HParam::Number(number) => json.number = Some(number),
        HParam::Text(text) => json.string = Some(text),
        HParam::Bool(switch) => json.boolean = Some(switch),
    }
    json
}

/// Width and height in pixels, from the header that begins every PNG file.
fn png_size(png: &[u8]) -> Option<(u32, u32)> {
    let rest = png.strip_prefix(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR")?;
    let (width, rest) = rest.split_first_chunk()?;
    let height = rest.first_chunk()?;
    Some((u32::from_be_bytes(*width), u32::from_be_bytes(*height)))
}

/// `[left, right, count]` of each bucket; one bucket of width 1 where all values are equal.
fn histogram_buckets(values: &[f32]) -> Vec<[f32; 3]> {
    let finite = || values.iter().copied().filter(|v| v.is_finite());
    let Some(low) = finite().reduce(f32::min) else {
        return Vec::new();
    };
    let high = finite().fold(low, f32::max);
    if low == high {
        return vec![[low - 0.5, low + 0.5, finite().count() as f32]];
    }
    // The width of the whole range of f32 is no f32.
    let (low, high) = (f64::from(low), f64::from(high));
    let width = (high - low) / HISTOGRAM_BUCKETS as f64;
    let mut counts = [0_u64; HISTOGRAM_BUCKETS];
    for value in finite() {
        let bucket = ((f64::from(value) - low) / width) as usize;
        counts[bucket.min(HISTOGRAM_BUCKETS - 1)] += 1;
    }
    let edge = |i: usize| (low + width * i as f64) as f32;
    (0..)
        .zip(counts)
        .map(|(i, count)| [edge(i), edge(i + 1), count as f32])
        .collect()
}

/// Makes a file in `dir` that no other writer has, and that sorts after those there.
fn new_file(files: &Files, dir: &Path, wall_time: f64) -> io::Result<File> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    files.create_dir_all(dir)?;
    let mut second = wall_time as u64;
    for entry in fs::read_dir(dir)? {
        if let Some(earlier) = entry?.file_name().to_str().and_then(second_of) {
            second = second.max(earlier.saturating_add(1));
        }
    }
    let second = second.min(LAST_SECOND);
    let (host, process) = (host_name(), std::process::id());
    loop {
        let counter = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = dir.join(format!("events.out.tfevents.{second:010}.{host}.{process}.{counter}"));
        match files.create_new(&path) {
            // Another container may have the same host name and process number.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return other,
        }
    }
}

/// The time in an event file's name.
fn second_of(name: &str) -> Option<u64> {
    let rest = name.strip_prefix("events.out.tfevents.")?;
    rest.split('.').next()?.parse().ok()
}

/// This machine's name, as far as a file name can hold it.
fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::env::var("HOSTNAME"))
        .unwrap_or_default();
    let name: String = name
        .trim()
        .chars()
        .take(64)
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    if name.is_empty() { "localhost".into() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventValue, HistogramBucket, read_events};
    use std::{collections::BTreeSet, thread};

    fn values(path: &Path) -> Vec<(i64, EventValue)> {
        let file = read_events(path).unwrap();
        assert_eq!(file.torn_at, None);
        let pairs = file.events.into_iter().map(|e| (e.step, e.value));
        pairs.collect()
    }

    #[test]
    fn a_file_begins_with_its_version_and_the_session_start() {
        let dir = tempfile::tempdir().unwrap();
        let writer = EventWriter::create(dir.path(), 40, 1e9).unwrap();
        assert_eq!(
            values(writer.path()),
            [
                (0, EventValue::Version("brain.Event:2".into())),
                (40, EventValue::SessionStart),
            ]
        );
    }

    #[test]
    fn what_is_written_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = EventWriter::create(dir.path(), 0, 1e9).unwrap();
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x01\x02\0\0\0\x03rest";
        assert!(writer.scalar("a", 1, 0.5, 2e9));
        assert!(writer.scalars(&[("b", f32::INFINITY), ("c", -0.0)], 2, 2e9));
        assert!(writer.text("t", 3, "# ünïcode", 2e9));
        assert!(writer.image("i", 4, png, 2e9));
        assert!(writer.histogram("h", 5, &[3.0, 3.0, f32::NAN], 2e9));
        assert!(writer.hparams_end(true, 2e9));
        assert!(writer.sync());
        let tag = |name: &str| name.to_owned();
        let scalar = |name: &str, value| EventValue::Scalar { tag: tag(name), value };
        assert_eq!(
            values(writer.path())[2..],
            [
                (1, scalar("a", 0.5)),
                (2, scalar("b", f32::INFINITY)),
                (2, scalar("c", -0.0)),
                (
                    3,
                    EventValue::Text {
                        tag: tag("t"),
                        text: tag("# ünïcode"),
                    }
                ),
                (
                    4,
                    EventValue::Image {
                        tag: tag("i"),
                        width: 258,
                        height: 3,
                        png: png.to_vec(),
                    }
                ),
                (
                    5,
                    EventValue::Histogram {
                        tag: tag("h"),
                        buckets: vec![HistogramBucket {
                            left: 2.5,
                            right: 3.5,
                            count: 2.0,
                        }],
                    }
                ),
                (
                    0,
                    EventValue::Other {
                        tag: tag("_hparams_/session_end_info"),
                    }
                ),
            ]
        );
    }

    #[test]
    fn writers_in_one_directory_never_collide() {
        let dir = tempfile::tempdir().unwrap();
        let paths: BTreeSet<PathBuf> = thread::scope(|scope| {
            let open = || {
                let mut writer = EventWriter::create(dir.path(), 0, 1e9).unwrap();
                assert!(writer.scalar("x", 0, 1.0, 1e9));
                writer.path().to_owned()
            };
            let threads: Vec<_> = (0..32).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert_eq!(paths.len(), 32);
        for path in &paths {
            assert_eq!(values(path).len(), 3);
        }
    }

    #[test]
    fn a_resumed_file_sorts_last_even_if_the_clock_went_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut paths = Vec::new();
        for wall_time in [1e9, 1e9, 5e8, f64::NAN, -1.0] {
            let writer = EventWriter::create(dir.path(), 0, wall_time).unwrap();
            paths.push(writer.path().to_owned());
        }
        assert!(paths.is_sorted(), "{paths:?}");
    }

    #[test]
    fn a_file_that_cannot_be_made_is_an_error_naming_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let taken = dir.path().join("taken");
        fs::write(&taken, "").unwrap();
        let error = EventWriter::create(&taken, 0, 1e9).unwrap_err();
        assert!(error.to_string().contains("taken"), "{error}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_disables_the_writer_and_is_reported_once() {
        let full = Files::default().create(Path::new("/dev/full")).unwrap();
        let mut writer = EventWriter::on(full);
        assert!(!writer.is_disabled());
        for step in 0..3 {
            assert!(!writer.scalar("x", step, 1.0, 1e9));
        }
        assert!(!writer.sync());
        assert!(writer.is_disabled());
        let error = writer.take_error().unwrap().to_string();
        assert!(error.contains("/dev/full"), "{error}");
        assert!(writer.take_error().is_none());
    }

    #[test]
    fn bytes_that_are_no_png_are_not_logged() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = EventWriter::create(dir.path(), 0, 1e9).unwrap();
        for bytes in [&b""[..], b"GIF89a", b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0"] {
            assert!(!writer.image("i", 0, bytes, 1e9));
        }
        assert!(!writer.is_disabled());
        assert_eq!(values(writer.path()).len(), 2);
    }

    #[test]
    fn a_histogram_counts_every_finite_value_once() {
        for values in [
            vec![],
            vec![f32::NAN],
            vec![0.0],
            vec![f32::MIN, f32::MAX, 0.0, f32::INFINITY],
            (0..1000).map(|i| (i as f32).sin()).collect(),
        ] {
            let buckets = histogram_buckets(&values);
            let finite = values.iter().filter(|v| v.is_finite()).count();
            let counted: f32 = buckets.iter().map(|[_, _, count]| count).sum();
            assert_eq!(counted, finite as f32);
            let joined = buckets.windows(2).all(|pair| pair[0][1] == pair[1][0]);
            assert!(joined, "{buckets:?}");
        }
    }
}
