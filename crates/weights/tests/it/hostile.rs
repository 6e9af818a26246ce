//! Hubs that lie.

use crate::hub::{ID, Place, find, repository};
use crate::repository::COMMIT;
use crate::server::Reply;
use crate::settings;
use emorun_weights::WeightsError;
use std::fs;
use std::path::Path;

#[test]
fn a_lying_hub_changes_no_file_outside_its_folder() {
    let commits = |at: &Path| {
        [
            "../../victim".to_owned(),
            "../../victim/".to_owned(),
            "./../../victim".to_owned(),
            at.join("victim").to_str().unwrap().to_owned(),
            format!("{COMMIT}/../../../victim"),
            COMMIT.to_uppercase(),
            String::new(),
        ]
    };
    for number in 0..7 {
        for (status, code) in [(404, Some("EntryNotFound")), (404, None), (200, None), (302, None)] {
            let folder = tempfile::tempdir().unwrap();
            let commit = commits(folder.path())[number].clone();
            let lie = commit.clone();
            let place = Place::with(move |_, _| {
                let mut reply = Reply::new(status, &[("x-repo-commit", &lie), ("etag", "\"abc\"")]);
                reply.headers.extend(code.map(|code| ("x-error-code", code.to_owned())));
                Some(reply)
            });
            fs::create_dir_all(folder.path().join("victim")).unwrap();
            for name in ["config.json", "preprocessor_config.json"] {
                fs::write(folder.path().join("victim").join(name), "precious").unwrap();
            }
            let lied_to = settings(folder.path(), &place.server.url());
            let error = find(ID, &lied_to).unwrap_err().to_string();
            assert!(error.contains("x-repo-commit"), "{status} {commit}: {error}");
            for name in ["config.json", "preprocessor_config.json"] {
                let kept = fs::read_to_string(folder.path().join("victim").join(name)).unwrap();
                assert_eq!(kept, "precious", "{status} {commit}");
            }
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{status} {commit}");
        }
    }
}

#[test]
fn names_of_blobs_that_leave_their_folder_are_refused() {
    for tag in [
        "\"../../victim\"",
        "\"/etc/victim\"",
        "\"a/b\"",
        "\"\"",
        "\"..\"",
        "\"a\\\\b\"",
    ] {
        for header in ["x-linked-etag", "etag"] {
            let place = Place::with(move |_, _| Some(Reply::new(200, &[("x-repo-commit", COMMIT), (header, tag)])));
            let error = place.locate(ID).unwrap_err().to_string();
            assert!(error.contains("the file's hash"), "{header} {tag}: {error}");
            assert_eq!(fs::read_dir(place.cache.path()).unwrap().count(), 0, "{header} {tag}");
        }
    }
}

#[test]
fn a_commit_other_than_the_one_that_was_asked_for_is_refused() {
    let other = "89abcdef0123456789abcdef0123456789abcdef";
    let place = Place::with(move |_, request| {
        let mut reply = repository().answer(request);
        let later = request.path.contains(COMMIT);
        reply
            .headers
            .iter_mut()
            .filter(|(name, _)| later && *name == "x-repo-commit")
            .for_each(|(_, value)| {
                other.clone_into(value);
            });
        Some(reply)
    });
    let error = place.locate(ID).unwrap_err().to_string();
    assert!(error.contains(COMMIT) && error.contains(other), "{error}");
}

#[test]
fn parts_that_an_index_of_the_hub_names_elsewhere_are_not_fetched() {
    for part in [
        "../model.safetensors",
        "/etc/model.safetensors",
        "a/model.safetensors",
        "..",
        "",
        "config.json",
        "model.safetensors?x=1",
        "model#.safetensors",
        "mo\ndel.safetensors",
        "C:model.safetensors",
        "..\\model.safetensors",
        ".model.safetensors",
    ] {
        let mut repository = repository();
        repository.large.clear();
        let index = serde_json::json!({ "weight_map": { "a": part } });
        repository
            .small
            .insert("model.safetensors.index.json", serde_json::to_vec(&index).unwrap());
        let place = Place::of(repository, |_, _| None);
        let error = place.locate(ID).unwrap_err();
        assert!(matches!(error, WeightsError::Index { .. }), "{part}: {error}");
        let asked = place.server.requests();
        assert!(
            asked
                .iter()
                .all(|request| !request.path.ends_with(part) || part.is_empty() || part == "config.json")
        );
    }
}

#[test]
fn a_redirect_of_the_hub_that_is_no_web_address_is_refused() {
    for to in ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://a@127.0.0.1/x"] {
        let place = Place::with(move |_, _| Some(Reply::new(302, &[("location", to)])));
        let error = place.locate(ID).unwrap_err().to_string();
        assert!(error.contains("no web address"), "{to}: {error}");
    }
}
