//! The run that somebody names: by its path, its place in the folder of runs, its label or its id.

use std::fs;
use std::path::Path;

use emorun_lang::nearest;

use crate::facts::{RECORD, SUMMARY};
use crate::scan::SWEEP;
use crate::{Catalogue, CatalogueError, Kind, Run};

/// Letters of an id that tell runs apart.
const SHORTEST_ID: usize = 4;

impl Catalogue {
    /// The run of a name: a path to its directory, a path below the folder of runs, a label, or the beginning of an id.
    ///
    /// # Errors
    /// No run is called so, or several are.
    pub fn find(&self, name: &str) -> Result<&Run, CatalogueError> {
        let trimmed = name.trim_end_matches('/');
        if let Some(run) = self.at(trimmed).or_else(|| self.at_path(Path::new(name))) {
            return Ok(run);
        }
        let called = |run: &&Run| run.label() == trimmed && run.kind != Kind::Member;
        let by_id = |run: &&Run| trimmed.len() >= SHORTEST_ID && run.facts.id.starts_with(trimmed);
        let mut found: Vec<&Run> = self.runs.iter().filter(called).collect();
        if found.is_empty() {
            found = self.runs.iter().filter(by_id).collect();
        }
        match found.as_slice() {
            [run] => return Ok(run),
            [] => {}
            several => {
                return Err(CatalogueError::Ambiguous {
                    name: name.to_owned(),
                    places: several.iter().map(|run| run.place.clone()).collect(),
                });
            }
        }
        if Path::new(name).is_dir() {
            return Err(CatalogueError::NotARun(Path::new(name).to_owned()));
        }
        let names = self.runs.iter().flat_map(|run| [run.place.as_str(), run.label()]);
        Err(CatalogueError::NoRun {
            name: name.to_owned(),
            runs: self.root.clone(),
            nearest: nearest(trimmed, names).map(str::to_owned),
        })
    }

    /// The runs of several names, each once.
    ///
    /// # Errors
    /// As [`Catalogue::find`].
    pub fn find_all(&self, names: &[String]) -> Result<Vec<&Run>, CatalogueError> {
        let mut found: Vec<&Run> = Vec::new();
        for name in names {
            let run = self.find(name)?;
            if found.iter().all(|other| other.dir != run.dir) {
                found.push(run);
            }
        }
        Ok(found)
    }

    fn at_path(&self, path: &Path) -> Option<&Run> {
        let here = fs::canonicalize(path).ok()?;
        let root = fs::canonicalize(&self.root).ok()?;
        let is_here = |run: &&Run| fs::canonicalize(&run.dir).is_ok_and(|dir| dir == here);
        match here.strip_prefix(&root) {
            Ok(below) => {
                let place = below.components().map(|part| part.as_os_str().to_string_lossy());
                self.at(&place.collect::<Vec<_>>().join("/"))
            }
            // It may lie there by a link.
            Err(_) => self.runs.iter().find(is_here),
        }
    }
}

/// The folder of runs that a run's directory lies in: above its experiment, its sweep or its own run. `None` for what is
/// no run.
pub fn root_of(dir: &Path) -> Option<std::path::PathBuf> {
    let dir = fs::canonicalize(dir).ok()?;
    if !dir.join(RECORD).exists() && !dir.join(SWEEP).exists() && !dir.join(SUMMARY).exists() {
        return None;
    }
    let is_group = |folder: &&Path| folder.join(RECORD).exists() || folder.join(SWEEP).exists();
    let outermost = dir.ancestors().filter(is_group).last().unwrap_or(&dir);
    // Above it the experiment's folder, and above that the runs'.
    outermost.parent()?.parent().map(Path::to_owned)
}
