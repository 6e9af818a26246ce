//! All runs of a folder.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::facts::{of_run, of_sweep};
use crate::index::{self, Indexed};
use crate::scan::{self, Found, Kind, in_parallel, member_path, stamp_of};
use crate::settings::Settings;
use crate::{CatalogueError, Facts, entered};

/// A run, a member of one, a sweep, or what was entered from elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// Its path below the folder of runs, with `/`; of what was entered from elsewhere, as it stands in the file.
    pub place: String,
    /// Its directory; of what was entered from elsewhere, that of its logs.
    pub dir: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// The sweep or run that it belongs to, by place.
    pub group: Option<String>,
    /// What its files say.
    pub facts: Box<Facts>,
}

impl Run {
    /// What it is called in its group: the folder's name, and a member's path below its run.
    pub fn label(&self) -> &str {
        match (&self.group, self.kind) {
            (Some(group), Kind::Member) => self.place.get(group.len() + 1..).unwrap_or(&self.place),
            _ => self.place.rsplit('/').next().unwrap_or(&self.place),
        }
    }
}

/// All runs of a folder, each group followed by what belongs to it.
#[derive(Debug)]
pub struct Catalogue {
    /// The folder.
    pub root: PathBuf,
    /// The runs, by place.
    pub runs: Vec<Run>,
    /// Their settings.
    pub settings: Settings,
}

impl Catalogue {
    /// Reads a folder of runs. What is wrong with one of them is told in its facts and hides no other.
    ///
    /// # Errors
    /// There is no such folder, or it is a run itself.
    pub fn read(root: &Path) -> Result<Self, CatalogueError> {
        if !root.is_dir() {
            return Err(CatalogueError::NoFolder(root.to_owned()));
        }
        if root.join(crate::facts::RECORD).is_file() {
            return Err(CatalogueError::IsRun(root.to_owned()));
        }
        let found = scan::find(root).map_err(CatalogueError::io("read", root))?;
        let (settings, known) = index::read(root);
        let known_number = known.len();
        let mut reading = Reading {
            root,
            settings,
            known: known
                .into_iter()
                .map(|run| (run.place, (run.stamp, run.facts)))
                .collect(),
            stamps: HashMap::new(),
            read: 0,
        };
        let mut runs = reading.all(found);
        let members = members_of(&runs);
        runs.extend(reading.all(members));
        let Reading {
            settings, stamps, read, ..
        } = reading;
        if read > 0 || runs.len() != known_number {
            let indexed = runs.iter().map(|run| Indexed {
                place: run.place.clone(),
                stamp: stamps.get(&run.place).copied(),
                facts: run.facts.clone(),
            });
            index::write(root, &settings, indexed);
        }
        runs.extend(entered::read(root, &runs));
        runs.sort_by(order);
        Ok(Self {
            root: root.to_owned(),
            runs,
            settings,
        })
    }

    /// The settings of a run by path, with their values as JSON text; a member has those of its run.
    pub fn settings_of(&self, run: &Run) -> Vec<(&str, &str)> {
        let above = run.group.as_deref().and_then(|group| self.at(group));
        let own = match (run.facts.settings.is_empty(), above) {
            (true, Some(above)) => &above.facts.settings,
            _ => &run.facts.settings,
        };
        own.iter().filter_map(|place| self.settings.get(*place)).collect()
    }

    /// The run at a place.
    pub fn at(&self, place: &str) -> Option<&Run> {
        self.runs.iter().find(|run| run.place == place)
    }
}

/// Groups before what belongs to them, and what was entered from elsewhere last.
fn order(one: &Run, other: &Run) -> Ordering {
    let is_entered = |run: &Run| run.kind == Kind::Entered;
    let places = || one.place.split('/').cmp(other.place.split('/'));
    is_entered(one).cmp(&is_entered(other)).then_with(places)
}

/// Folders of the members that runs name.
fn members_of(runs: &[Run]) -> Vec<Found> {
    let mut seen = HashSet::new();
    let of = |run: &Run| -> Vec<Found> {
        let members = run.facts.members.iter().filter(|member| member_path(member).is_some());
        let found = members.map(|member| Found {
            place: format!("{}/{member}", run.place),
            kind: Kind::Member,
            group: Some(run.place.clone()),
            stamped: stamp_of(&run.dir.join(member)),
        });
        found.collect()
    };
    let all = runs.iter().flat_map(of);
    all.filter(|found| seen.insert(found.place.clone())).collect()
}

/// What is done with each folder that was found.
struct Reading<'a> {
    root: &'a Path,
    settings: Settings,
    known: HashMap<String, (Option<u64>, Box<Facts>)>,
    /// Stamps by which runs are known the next time.
    stamps: HashMap<String, u64>,
    /// How many were read rather than known.
    read: usize,
}

impl Reading<'_> {
    /// Reads what is not known, several at a time.
    fn all(&mut self, found: Vec<Found>) -> Vec<Run> {
        let (root, known) = (self.root, &self.known);
        let read = in_parallel(&found, |found| {
            let indexed = known.get(&found.place);
            if indexed.is_some_and(|(stamp, _)| *stamp == Some(found.stamped.stamp)) {
                return None;
            }
            let dir = root.join(&found.place);
            Some(match found.kind {
                Kind::Sweep => (of_sweep(&dir), Value::Null),
                _ => of_run(&dir),
            })
        });
        let pairs = found.into_iter().zip(read);
        pairs.map(|(found, read)| self.enter(found, read)).collect()
    }

    fn enter(&mut self, found: Found, read: Option<(Facts, Value)>) -> Run {
        if !found.stamped.is_fresh {
            self.stamps.insert(found.place.clone(), found.stamped.stamp);
        }
        let facts = match read {
            Some((mut facts, resolved)) => {
                self.read += 1;
                facts.settings = self.settings.enter(&resolved);
                Box::new(facts)
            }
            None => self
                .known
                .remove(&found.place)
                .map(|(_, facts)| facts)
                .unwrap_or_default(),
        };
        Run {
            dir: self.root.join(&found.place),
            place: found.place,
            kind: found.kind,
            group: found.group,
            facts,
        }
    }
}
