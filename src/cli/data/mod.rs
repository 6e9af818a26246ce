//! `emorun data`: corpora before any experiment. The work is done in crates; this only asks and shows.

mod dyads;
mod faces;
mod fetch;
mod listen;
mod prepare;
mod progress;
mod stats;
mod verify;

use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use emorun_data::corpora::emobox::EmoboxCorpus;
use emorun_data::{DatasetConfig, NOISES, NoiseCorpus};
use indexmap::IndexMap;

use super::{Common, Format, check};
use emorun_engine::exit::Failure;
use emorun_experiment::prepare::{Depth, Source, prepare as check_experiment};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Download a corpus from its official address, or list the corpora that can be.
    Fetch(fetch::Arguments),
    /// Generate pairs of a speaker and a listener whose faces hang together in a known way, to try generation of reactions on.
    Dyads(dyads::Arguments),
    /// Show faces side by side: a page that plays them with sound, an animated PNG, or a table in OpenFace's columns.
    Faces(faces::Arguments),
    /// Make several corpora one: target emotions, one rate and loudness, checked quality, confirmed labels.
    Prepare(prepare::Arguments),
    /// Hold corpora against their published counts: what is missing, extra, there twice or unusable.
    Verify(verify::Arguments),
    /// Hours, tables of classes, speakers and genders, durations and loudness, as text and as a page.
    Stats(stats::Arguments),
    /// Write training items as they are and as augmentation makes them, to listen to and to look at.
    Listen(listen::Arguments),
}

pub(super) fn data(arguments: &Arguments, common: Common) -> Result<(), Failure> {
    match &arguments.command {
        Command::Fetch(arguments) => fetch::fetch(arguments, common),
        Command::Dyads(arguments) => dyads::dyads(arguments),
        Command::Faces(arguments) => faces::faces(arguments),
        Command::Prepare(arguments) => prepare::prepare(arguments, common),
        Command::Verify(arguments) => verify::verify(arguments, common),
        Command::Stats(arguments) => stats::stats(arguments, common),
        Command::Listen(arguments) => listen::listen(arguments, common),
    }
}

/// Kind of the corpora that EmoBox lists.
const EMOBOX: &str = "emobox";

/// The source of noise of that name, which can be verified, but is no dataset.
fn noise(name: &str) -> Option<&'static NoiseCorpus> {
    NOISES.into_iter().find(|noise| noise.name == name)
}

fn kinds() -> PossibleValuesParser {
    let kinds = emorun_data::KINDS.iter().map(|kind| kind.name);
    PossibleValuesParser::new(kinds.chain(NOISES.map(|noise| noise.name)))
}

/// Corpora: those of an experiment, or one by its kind and folder.
#[derive(Clone, Debug, Args)]
struct CorpusArguments {
    /// The experiment file whose corpora are meant.
    #[arg(required_unless_present = "kind", conflicts_with = "kind")]
    experiment: Option<PathBuf>,
    /// Sets a value of the file, such as datasets.emodb.root=/data/emodb; may be given several times.
    #[arg(long = "set", value_name = "PATH=VALUE", requires = "experiment")]
    sets: Vec<String>,
    /// Kind of the corpus, in place of an experiment.
    #[arg(long, value_parser = kinds(), requires = "root")]
    kind: Option<String>,
    /// Folder of the corpus; of a manifest, its table.
    #[arg(long, value_name = "PATH", requires = "kind")]
    root: Option<PathBuf>,
    /// Of kind emobox: the corpus, by its name in EmoBox, such as savee.
    #[arg(long, value_name = "NAME", requires = "kind")]
    corpus: Option<String>,
    /// Of kind emobox: the folder of EmoBox's metadata.
    #[arg(long, value_name = "FOLDER", requires = "corpus")]
    metadata: Option<PathBuf>,
    /// How the result is written.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

impl CorpusArguments {
    /// The datasets by their names, the one of a kind by that of its kind.
    ///
    /// # Errors
    /// The experiment has mistakes, or the kind is none of a dataset.
    fn datasets(&self, common: Common) -> Result<IndexMap<String, DatasetConfig>, Failure> {
        if let (Some(kind), Some(root)) = (&self.kind, &self.root) {
            if kind == EMOBOX {
                return Ok(IndexMap::from([(kind.clone(), self.emobox(root)?)]));
            }
            if let Some(corpus) = &self.corpus {
                return Err(Failure::Usage(format!(
                    "--corpus {corpus} is for --kind {EMOBOX}; `{kind}` is one corpus"
                )));
            }
            let config = DatasetConfig::whole(kind, root).ok_or_else(|| {
                Failure::Usage(match noise(kind) {
                    Some(_) => format!("`{kind}` is no corpus of utterances"),
                    None => format!(
                        "a root alone does not describe a corpus of kind `{kind}`; give an experiment that has it as a dataset"
                    ),
                })
            })?;
            return Ok(IndexMap::from([(kind.clone(), config)]));
        }
        let source = Source {
            path: self.experiment.clone().unwrap_or_default(),
            sets: self.sets.clone(),
            offline: common.offline,
        };
        let prepared = check_experiment(&source, Depth::Structure, &mut |report, sources| {
            check::write(report, sources, common.format);
        })?;
        serde_json::from_value(prepared.resolved["datasets"].clone()).map_err(|error| Failure::Bug(error.to_string()))
    }

    /// A corpus of EmoBox.
    fn emobox(&self, root: &Path) -> Result<DatasetConfig, Failure> {
        let known = || {
            let names = EmoboxCorpus::ALL.map(EmoboxCorpus::name);
            names.join(", ")
        };
        let Some(name) = &self.corpus else {
            return Err(Failure::Usage(format!(
                "--kind {EMOBOX} needs --corpus NAME, one of {}",
                known()
            )));
        };
        let corpus = EmoboxCorpus::ALL.into_iter().find(|corpus| corpus.name() == name);
        let corpus =
            corpus.ok_or_else(|| Failure::Usage(format!("EmoBox has no corpus `{name}`; it has {}", known())))?;
        let mut config = serde_json::json!({ "kind": EMOBOX, "corpus": corpus, "root": root });
        if let Some(metadata) = &self.metadata {
            config["metadata"] = serde_json::json!(metadata);
        }
        serde_json::from_value(config).map_err(|error| Failure::Bug(error.to_string()))
    }
}
