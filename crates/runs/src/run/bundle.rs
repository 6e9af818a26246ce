//! A model as one file: `emorun bundle`, and what opens such a file again.
//!
//! A bundle is a zip archive with `bundle.json`, which lists every other entry with its length and hash; below `members/`
//! a directory for each run, of which only what a model needs is there; and below `backbones/`, where they were asked
//! for, the pretrained checkpoints that the runs keep frozen. Opening one unpacks it into the cache once, under the hash
//! of its `bundle.json`, and compares every file with it each time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use emorun_data::Items;
use emorun_files::{Files, open_regular};
use emorun_weights::Located;
use serde::{Deserialize, Serialize};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::evaluated;
use super::predictor::wanted;
use super::record::{RunRecord, Status, new_id};
use super::trained::TrainedRun;
use emorun_engine::exit::Failure;
use emorun_engine::train::checkpoint::{Checkpoint, Keep, Store};
use emorun_experiment::folders;
use emorun_experiment::prepare::{Model, OnReport};

/// The list of a bundle's entries.
const MANIFEST: &str = "bundle.json";
/// Version of the form that is written and read.
const FORMAT: u32 = 1;
/// Largest list that is read, in bytes.
const MOST_MANIFEST: u64 = 16 << 20;

/// Where pretrained weights that stay frozen come from when a bundle is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backbones {
    /// From the bundle.
    Embedded,
    /// From where the run has them, compared by their hash.
    ByHash,
}

/// What `bundle.json` says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    /// Version of emorun that wrote it.
    emorun: String,
    /// Name of the experiment.
    name: String,
    /// The runs, whose answers are averaged.
    members: Vec<Packed>,
    /// All other entries.
    files: BTreeMap<String, Entry>,
}

/// A run of a bundle.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Packed {
    /// Its directory in the bundle.
    dir: String,
    /// Checkpoints in the bundle, by the key of the experiment that names one.
    backbones: BTreeMap<String, String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    bytes: u64,
    blake3: String,
}

/// What was written.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    /// Runs in it.
    pub members: usize,
    /// Pretrained checkpoints in it.
    pub backbones: usize,
    /// Its size.
    pub bytes: u64,
}

/// Writes runs that are used together as one file.
///
/// # Errors
/// A run has not come to its end, has no weights or is not made of what is there now; the file cannot be written.
pub fn bundle(
    runs: &[TrainedRun],
    backbones: Backbones,
    (sets, offline): (&[String], bool),
    out: &Path,
    on_report: OnReport<'_>,
) -> Result<Written, Failure> {
    let name = runs.first().map_or_else(String::new, |run| run.record.name.clone());
    // A name that is nobody else's, in the folder of the file that it becomes.
    let mut draft = out.as_os_str().to_owned();
    draft.push(format!(".{}.partial", new_id()));
    let draft = PathBuf::from(draft);
    let written = Writer::create(&draft).and_then(|mut writer| {
        for (at, run) in runs.iter().enumerate() {
            let needed = |model: &Model, name: &str| wanted(model).1.contains(name);
            let model = run.model_for(&needed, &Items::default(), (sets, offline), on_report)?;
            writer.add_run(at, run, &model, backbones)?;
        }
        writer.finish(name)
    });
    let written = written.and_then(|written| {
        fs::rename(&draft, out).map_err(Failure::io("rename", &draft))?;
        Ok(written)
    });
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written
}

/// A bundle that is being written.
struct Writer<'a> {
    path: &'a Path,
    zip: ZipWriter<fs::File>,
    members: Vec<Packed>,
    files: BTreeMap<String, Entry>,
}

impl<'a> Writer<'a> {
    fn create(path: &'a Path) -> Result<Self, Failure> {
        let file = fs::File::create_new(path).map_err(Failure::io("create", path))?;
        Ok(Self {
            path,
            zip: ZipWriter::new(file),
            members: Vec::new(),
            files: BTreeMap::new(),
        })
    }

    fn add_run(&mut self, at: usize, run: &TrainedRun, model: &Model, backbones: Backbones) -> Result<(), Failure> {
        let upstream = wanted(model).1;
        run.record
            .check_identity(model, |node| upstream.contains(node), &run.dir)?;
        let files = model.file_hashes();
        if let Some(node) = upstream.iter().find(|node| files.contains_key(*node)) {
            return Err(Failure::Usage(format!(
                "`{node}` reads features or a model from files, which no bundle holds"
            )));
        }
        let dir = format!("members/{at}");
        let record = RunRecord {
            status: Status::Completed,
            // What is private to whoever trained it, and nothing that a model is made of.
            git: None,
            resolved: serde_json::Value::Null,
            ..run.record.clone()
        };
        let record = serde_json::to_vec_pretty(&record).map_err(|error| Failure::Bug(error.to_string()))?;
        self.add(&format!("{dir}/run.json"), &record)?;
        self.copy(&format!("{dir}/resolved.yaml"), &run.dir.join("resolved.yaml"))?;
        let (chosen, weights) = run.chosen(model, None)?;
        let scratch = Scratch::beside(self.path)?;
        let store = Store {
            run: run.record.id.clone(),
            ..Store::in_folder(scratch.0.clone())
        };
        let state = emorun_engine::train::state::LoopState {
            step: chosen.step,
            finished: true,
            ..Default::default()
        };
        let checkpoint = Checkpoint {
            weights,
            optimizer: BTreeMap::new(),
            average: None,
            state,
        };
        store.write(&checkpoint, &Keep::default())?;
        let folder = store.path_of(chosen.step);
        for entry in fs::read_dir(&folder).map_err(Failure::io("read", &folder))? {
            let path = entry.map_err(Failure::io("read", &folder))?.path();
            let file = file_name(&path);
            self.copy(&format!("{dir}/checkpoints/step-{}/{file}", chosen.step), &path)?;
        }
        let temperatures = evaluated::temperatures(&run.dir, chosen.step);
        if !temperatures.is_empty() {
            let bytes = serde_json::to_vec(&temperatures).map_err(|error| Failure::Bug(error.to_string()))?;
            self.add(&format!("{dir}/{}", evaluated::TEMPERATURES), &bytes)?;
        }
        let mut packed = Packed {
            dir,
            backbones: BTreeMap::new(),
        };
        if backbones == Backbones::Embedded {
            for (section, node, config) in model.nodes().filter(|(_, node, _)| upstream.contains(*node)) {
                let Some(pretrained) = config.pretrained() else {
                    continue;
                };
                let facts = model.facts.checkpoint(&pretrained.settings().weights);
                let Some((files, content)) = facts.and_then(|facts| Some((facts.files.as_deref()?, facts.content?)))
                else {
                    continue;
                };
                let hash = content.tensors.to_string();
                let place = self.add_backbone(&format!("backbones/{hash}"), files.located())?;
                packed
                    .backbones
                    .insert(format!("{}.{node}.weights", section.name()), place);
            }
        }
        self.members.push(packed);
        Ok(())
    }

    /// Adds a pretrained checkpoint; gives what `weights:` must name to find it.
    fn add_backbone(&mut self, folder: &str, located: &Located) -> Result<String, Failure> {
        let configurations = [
            ("config.json", Some(&located.config)),
            ("preprocessor_config.json", located.preprocessor.as_ref()),
        ];
        let configurations = configurations
            .into_iter()
            .filter_map(|(name, path)| Some((name.to_owned(), path?)));
        let tensors = located.tensors.iter().chain(&located.index);
        let tensors = tensors.map(|path| (file_name(path), path));
        for (name, path) in configurations.chain(tensors) {
            let name = format!("{folder}/{name}");
            // Members share them.
            if !self.files.contains_key(&name) {
                self.copy(&name, path)?;
            }
        }
        // A file of another name than that of a published one is named itself.
        Ok(match (located.tensors.as_slice(), &located.index) {
            ([file], None) => format!("{folder}/{}", file_name(file)),
            _ => folder.to_owned(),
        })
    }

    fn copy(&mut self, name: &str, path: &Path) -> Result<(), Failure> {
        let file = open_regular(path).map_err(Failure::io("read", path))?;
        self.add_from(name, path, file)
    }

    fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        self.add_from(name, Path::new(name), bytes)
    }

    fn add_from(&mut self, name: &str, path: &Path, from: impl Read) -> Result<(), Failure> {
        self.begin(name)?;
        let mut entry = Hashed::new(&mut self.zip);
        copy(from, &mut entry).map_err(|failed| match failed {
            Copying::Reading(error) => Failure::io("read", path)(error),
            Copying::Writing(error) => Failure::io("write", self.path)(error),
        })?;
        let entry = entry.finished();
        self.files.insert(name.to_owned(), entry);
        Ok(())
    }

    fn begin(&mut self, name: &str) -> Result<(), Failure> {
        // Tensors hardly shrink, and what is stored as it is can be read at once.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(true);
        self.zip
            .start_file(name, options)
            .map_err(|error| Failure::io("write", self.path)(io::Error::from(error)))
    }

    fn finish(mut self, name: String) -> Result<Written, Failure> {
        let manifest = Manifest {
            format: FORMAT,
            emorun: env!("CARGO_PKG_VERSION").to_owned(),
            name,
            members: std::mem::take(&mut self.members),
            files: std::mem::take(&mut self.files),
        };
        let text = serde_json::to_vec_pretty(&manifest).map_err(|error| Failure::Bug(error.to_string()))?;
        self.begin(MANIFEST)?;
        let unwritten = Failure::io("write", self.path);
        let write = |mut zip: ZipWriter<fs::File>| -> io::Result<u64> {
            zip.write_all(&text)?;
            let file = zip.finish().map_err(io::Error::from)?;
            file.sync_all()?;
            Ok(file.metadata()?.len())
        };
        let folders = manifest.members.iter().flat_map(|member| member.backbones.values());
        let folders: BTreeSet<&String> = folders.collect();
        Ok(Written {
            members: manifest.members.len(),
            backbones: folders.len(),
            bytes: write(self.zip).map_err(unwritten)?,
        })
    }
}

/// A folder that goes when it is no longer needed.
struct Scratch(PathBuf);

impl Scratch {
    fn beside(path: &Path) -> Result<Self, Failure> {
        let folder = path.with_extension("scratch");
        fs::create_dir(&folder).map_err(Failure::io("create", &folder))?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Unpacks a bundle into the cache, where it is not there yet; gives the directory of each of its runs, with the
/// `path=value` arguments that say where its pretrained checkpoints lie.
///
/// # Errors
/// The file is no bundle, one of a newer version, cut short, or holds other files than it lists.
pub fn unpack(path: &Path) -> Result<Vec<(PathBuf, Vec<String>)>, Failure> {
    let refused = |message: String| Failure::Corrupt {
        path: path.to_owned(),
        message,
    };
    let no_bundle = |error: zip::result::ZipError| {
        refused(format!(
            "this is no bundle, or one cut short ({error}); write it again with `emorun bundle`, or give a run's directory"
        ))
    };
    let file = open_regular(path).map_err(Failure::io("read", path))?;
    let mut archive = ZipArchive::new(io::BufReader::new(file)).map_err(no_bundle)?;
    let mut text = Vec::new();
    let list = archive.by_name(MANIFEST).map_err(no_bundle)?;
    list.take(MOST_MANIFEST)
        .read_to_end(&mut text)
        .map_err(Failure::io("read", path))?;
    let unreadable = |error: serde_json::Error| refused(format!("its {MANIFEST} cannot be read: {error}"));
    let version: serde_json::Value = serde_json::from_slice(&text).map_err(unreadable)?;
    if version["format"] != FORMAT {
        return Err(refused(format!(
            "this is a bundle of format {}, written by emorun {}; this version ({}) reads format {FORMAT}: use a newer emorun",
            version["format"],
            version["emorun"].as_str().unwrap_or("?"),
            env!("CARGO_PKG_VERSION")
        )));
    }
    let manifest: Manifest = serde_json::from_slice(&text).map_err(unreadable)?;
    let members = manifest.members.iter();
    let places = members.flat_map(|member| member.backbones.values().chain([&member.dir]));
    if let Some(name) = manifest.files.keys().chain(places).find(|name| !is_plain(name)) {
        return Err(refused(format!("its entry {name:?} would lie elsewhere")));
    }
    let cache = folders::cache().ok_or_else(|| {
        Failure::Usage("a bundle is unpacked into the cache, and there is none: set HOME or XDG_CACHE_HOME".into())
    })?;
    let bundles = cache.join("bundles");
    let folder = bundles.join(&blake3::hash(&text).to_hex()[..32]);
    if !manifest
        .files
        .iter()
        .all(|(name, entry)| is_there(&folder.join(name), entry))
    {
        let draft = bundles.join(format!(".{}", new_id()));
        let unpacked = extract(&mut archive, &manifest, &draft).map_err(|failed| match failed {
            Copying::Reading(error) => refused(format!("{error}; it is damaged: write it again with `emorun bundle`")),
            Copying::Writing(error) => Failure::io("write", &draft)(error),
        });
        let placed = unpacked.and_then(|()| {
            // What is there was changed, or was cut short where renaming is not one step.
            let _ = Files::default().remove_dir_all(&folder);
            match fs::rename(&draft, &folder) {
                // Another process has put it there.
                Err(_) if folder.is_dir() => Ok(()),
                renamed => renamed.map_err(Failure::io("rename", &draft)),
            }
        });
        let _ = fs::remove_dir_all(&draft);
        placed?;
    }
    let of = |member: &Packed| {
        let sets = member.backbones.iter().map(|(key, place)| {
            let place = folder.join(place).display().to_string();
            format!("{key}={}", serde_json::Value::from(place))
        });
        (folder.join(&member.dir), sets.collect())
    };
    Ok(manifest.members.iter().map(of).collect())
}

/// Whether a file is as the bundle lists it.
fn is_there(path: &Path, entry: &Entry) -> bool {
    let Ok(file) = open_regular(path) else { return false };
    let mut found = Hashed::new(io::sink());
    copy(file, &mut found).is_ok() && found.finished() == *entry
}

fn extract(
    archive: &mut ZipArchive<io::BufReader<fs::File>>,
    manifest: &Manifest,
    folder: &Path,
) -> Result<(), Copying> {
    for (name, entry) in &manifest.files {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(Copying::Writing)?;
        }
        let lacks = |why: String| Copying::Reading(io::Error::other(format!("its entry {name:?} {why}")));
        let packed = archive
            .by_name(name)
            .map_err(|error| lacks(format!("cannot be read ({error})")))?;
        let mut file = Hashed::new(fs::File::create(&path).map_err(Copying::Writing)?);
        copy(packed.take(entry.bytes.saturating_add(1)), &mut file)?;
        if file.finished() != *entry {
            return Err(lacks("is not what was written".to_owned()));
        }
    }
    Ok(())
}

/// Whether the name of an entry is a path below the bundle, made of plain names.
fn is_plain(name: &str) -> bool {
    let parts = Path::new(name).components();
    let are_normal = parts.into_iter().all(|part| matches!(part, Component::Normal(_)));
    !name.is_empty() && name.len() < 512 && are_normal && !name.contains(['\\', ':', '\0'])
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Which side of a copy has failed.
#[derive(Debug)]
enum Copying {
    Reading(io::Error),
    Writing(io::Error),
}

fn copy(mut from: impl Read, to: &mut impl Write) -> Result<(), Copying> {
    let mut buffer = vec![0; 1 << 20];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => to.write_all(&buffer[..count]).map_err(Copying::Writing)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Copying::Reading(error)),
        }
    }
}

/// Counts and hashes what is written.
struct Hashed<W> {
    to: W,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl<W> Hashed<W> {
    fn new(to: W) -> Self {
        Self {
            to,
            hasher: blake3::Hasher::new(),
            bytes: 0,
        }
    }

    fn finished(&self) -> Entry {
        Entry {
            bytes: self.bytes,
            blake3: self.hasher.finalize().to_string(),
        }
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.to.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_stays_below_the_bundle() {
        assert!(is_plain("members/0/checkpoints/step-5/weights.safetensors"));
        for name in [
            "",
            "/etc/passwd",
            "../a",
            "a/../../b",
            "a\\..\\b",
            "C:/a",
            "./a",
            "a/\0b",
        ] {
            assert!(!is_plain(name), "{name:?}");
        }
    }
}
