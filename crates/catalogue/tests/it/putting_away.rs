//! Tags, notes, the archive and the trash.

use std::fs;
use std::path::Path;

use emorun_catalogue::{Catalogue, CatalogueError, Listing, Request, Run, notes, tensorboard, trash};
use emorun_files::{Files, Hold};
use serde_json::{Value, json};

use crate::made::Made;

/// Everything below a folder with its bytes.
fn contents(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => open.push(path),
                false if path.ends_with(".lock") => {}
                false => found.push((
                    path.strip_prefix(dir).unwrap().display().to_string(),
                    fs::read(&path).unwrap(),
                )),
            }
        }
    }
    found.sort();
    found
}

fn remove(root: &Path, names: &[&str]) -> Result<Vec<String>, CatalogueError> {
    let catalogue = Catalogue::read(root)?;
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let runs = catalogue.find_all(&names)?;
    trash::remove(&catalogue, &runs)
}

/// A folder of runs within one of our own, beside which the trash lies.
fn lab() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("runs");
    for place in ["a/one", "a/two", "b/one"] {
        Made::new(place, 0.7).write(&root);
    }
    (folder, root)
}

#[test]
fn what_is_noted_lies_beside_the_record_and_is_found_by_filters() {
    let (_folder, root) = lab();
    let record = fs::read(root.join("a/one/run.json")).unwrap();
    let dir = root.join("a/one");
    notes::change(&dir, &Files::default(), |notes| {
        notes.add_tag("paper");
        notes.add_tag("best");
        notes.add_tag("paper");
        notes.note = "the one of table 2".to_owned();
    })
    .unwrap();
    assert_eq!(fs::read(root.join("a/one/run.json")).unwrap(), record);
    let find = |filter: &str| {
        let catalogue = Catalogue::read(&root).unwrap();
        let request = Request {
            filter: Some(filter.to_owned()),
            ..Request::default()
        };
        let rows: Value = serde_json::from_str(&Listing::of(&catalogue, &request).unwrap().json()).unwrap();
        rows.as_array()
            .unwrap()
            .iter()
            .map(|row| row["place"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(find("tag == paper"), ["a/one"]);
    assert_eq!(find("tags != paper"), ["a/two", "b/one"]);
    assert_eq!(find("note ~ 'TABLE 2'"), ["a/one"]);
    let left = notes::change(&dir, &Files::default(), |notes| notes.remove_tag("paper")).unwrap();
    assert_eq!(left.tags, ["best"]);
    notes::change(&dir, &Files::default(), |notes| notes.archived = true).unwrap();
    assert_eq!(find("tag == best"), Vec::<String>::new());
    let catalogue = Catalogue::read(&root).unwrap();
    let table = Listing::of(&catalogue, &Request::default()).unwrap().table();
    assert!(table.contains("1 archived run(s) are not shown"), "{table}");
    fs::write(dir.join("notes.json"), "{").unwrap();
    let error = notes::change(&dir, &Files::default(), |_| {}).unwrap_err().to_string();
    assert!(error.contains("notes.json") && error.contains("correct it"), "{error}");
}

#[test]
fn tags_that_are_set_at_once_are_all_there() {
    let (_folder, root) = lab();
    let dir = root.join("a/one");
    std::thread::scope(|scope| {
        for number in 0..16 {
            let dir = &dir;
            scope.spawn(move || {
                notes::change(dir, &Files::default(), |notes| notes.add_tag(&number.to_string())).unwrap();
            });
        }
    });
    assert_eq!(notes::read(&dir).unwrap().tags.len(), 16);
}

#[test]
fn what_is_removed_comes_back_to_the_byte_and_overwrites_nothing() {
    let (folder, root) = lab();
    let before = contents(&root.join("a"));
    assert_eq!(remove(&root, &["a/one", "a/two"]).unwrap(), ["a/one", "a/two"]);
    assert_eq!(Catalogue::read(&root).unwrap().runs.len(), 1);
    assert!(
        folder.path().join(".runs-trash").is_dir(),
        "outside of what TensorBoard reads"
    );
    let kept = trash::contents(&root);
    assert_eq!(
        kept.iter().map(|run| run.place.as_str()).collect::<Vec<_>>(),
        ["a/one", "a/two"]
    );
    assert_eq!(remove(&root, &["b/one"]).unwrap(), ["b/one"]);
    assert_eq!(trash::undo(&root).unwrap(), ["b/one"]);
    assert_eq!(trash::restore(&root, "two").unwrap(), ["a/two"]);
    assert_eq!(trash::undo(&root).unwrap(), ["a/one"]);
    assert_eq!(contents(&root.join("a")), before);
    assert!(matches!(trash::undo(&root), Err(CatalogueError::EmptyTrash(_))));
    remove(&root, &["a/one"]).unwrap();
    Made::new("a/one", 0.1).write(&root);
    let newer = contents(&root.join("a/one"));
    let error = trash::undo(&root).unwrap_err();
    assert!(matches!(error, CatalogueError::Taken(_)), "{error}");
    assert_eq!(contents(&root.join("a/one")), newer);
    let error = trash::restore(&root, "none").unwrap_err().to_string();
    assert!(error.contains("it holds a/one"), "{error}");
    assert_eq!(trash::empty(&root).unwrap(), ["a/one"]);
    assert!(trash::contents(&root).is_empty());
}

#[test]
fn a_run_that_is_held_and_a_member_are_not_removed_and_nothing_else_either() {
    let (_folder, root) = lab();
    let parent = Made::new("a/folds", 0.7).write(&root);
    let mut record = Made::new("a/folds", 0.7).record();
    record["members"] = json!(["fold-1"]);
    fs::write(parent.join("run.json"), record.to_string()).unwrap();
    Made::new("a/folds/fold-1", 0.7).write(&root);
    let error = remove(&root, &["b/one", "a/folds/fold-1"]).unwrap_err().to_string();
    assert!(error.contains("is a member of a/folds"), "{error}");
    let hold = Hold::of(&root.join("a/two"), &Files::default()).unwrap();
    let error = remove(&root, &["b/one", "a/two"]).unwrap_err();
    assert!(matches!(error, CatalogueError::Held { .. }), "{error}");
    assert!(root.join("b/one/run.json").is_file() && root.join("a/two/run.json").is_file());
    drop(hold);
    assert_eq!(remove(&root, &["a/two", "a/folds"]).unwrap(), ["a/two", "a/folds"]);
    assert_eq!(trash::undo(&root).unwrap().len(), 2);
    assert!(root.join("a/folds/fold-1/run.json").is_file());
}

#[test]
fn a_sweep_goes_with_its_runs_unless_one_of_them_is_held() {
    let (_folder, root) = lab();
    Made::new("s/sweep/low", 0.5).write(&root);
    Made::new("s/sweep/high", 0.6).write(&root);
    fs::write(root.join("s/sweep/sweep.yaml"), "name: s\n").unwrap();
    let hold = Hold::of(&root.join("s/sweep/low"), &Files::default()).unwrap();
    assert!(matches!(remove(&root, &["s/sweep"]), Err(CatalogueError::Held { .. })));
    drop(hold);
    assert_eq!(remove(&root, &["s/sweep/low", "s/sweep"]).unwrap(), ["s/sweep"]);
    assert!(!root.join("s/sweep").exists());
    assert_eq!(trash::restore(&root, "s/sweep").unwrap(), ["s/sweep"]);
    assert!(root.join("s/sweep/low/run.json").is_file());
}

#[cfg(unix)]
#[test]
fn runs_have_links_by_names_that_tell_them_apart() {
    let (folder, root) = lab();
    let catalogue = Catalogue::read(&root).unwrap();
    let all: Vec<&Run> = catalogue.runs.iter().collect();
    for _ in 0..2 {
        let links = tensorboard::links(&folder.path().join("cache"), &all).unwrap();
        let mut names: Vec<String> = fs::read_dir(&links)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["a-one", "a-two", "b-one"]);
        assert!(links.join("a-two/run.json").is_file());
        fs::remove_file(links.join("a-one")).unwrap();
        std::os::unix::fs::symlink("/nowhere", links.join("a-one")).unwrap();
    }
    let links = tensorboard::links(&folder.path().join("cache"), &all[..2]).unwrap();
    assert!(links.join("one/run.json").is_file() && links.join("two/run.json").is_file());
}
