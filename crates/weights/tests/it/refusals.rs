//! Hubs that refuse, cannot be reached or are busy.

use crate::hub::{ID, Place, assert_complete, find, repository};
use crate::repository::COMMIT;
use crate::server::Reply;
use crate::settings;
use emorun_weights::{Clock, DownloadProgress, HubSettings, WeightsError, WeightsSource, locate};
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[test]
fn what_the_hub_refuses_is_said_with_the_id() {
    let always = |reply: Reply| Place::with(move |_, _| Some(reply.clone()));
    let message = |place: &Place, text: &str| place.locate(text).unwrap_err().to_string();

    for place in [Place::new(), always(Reply::new(404, &[])), always(Reply::new(401, &[]))] {
        let text = message(&place, "facebook/huber-tiny");
        assert!(
            text.contains("no repository `facebook/huber-tiny`") && text.contains("spelling"),
            "{text}"
        );
    }
    for revision in ["v9", "0000000000000000000000000000000000000000"] {
        let text = message(&Place::new(), &format!("{ID}@{revision}"));
        assert!(text.contains(&format!("`{ID}` has no revision `{revision}`")), "{text}");
    }
    for gated in [Reply::new(401, &[("x-error-code", "GatedRepo")]), Reply::new(403, &[])] {
        let text = message(&always(gated), ID);
        assert!(
            text.contains("gated") && text.contains("HF_TOKEN") && text.contains(ID),
            "{text}"
        );
    }
    let text = message(&always(Reply::new(200, &[("content-type", "text/html")])), ID);
    assert!(
        text.contains("does not answer as a Hub") && text.contains("log-in page"),
        "{text}"
    );
    let headers = [("x-repo-commit", COMMIT), ("etag", "\"../../evil\"")];
    assert!(message(&always(Reply::new(200, &headers)), ID).contains("does not give the file's hash"));
    let headers = [("x-repo-commit", "../../evil"), ("etag", "\"abc\"")];
    assert!(message(&always(Reply::new(200, &headers)), ID).contains("x-repo-commit"));
    let mut empty = repository();
    empty.small.remove("config.json");
    assert!(message(&Place::of(empty, |_, _| None), ID).contains("has no config.json"));
    let mut empty = repository();
    empty.large.clear();
    assert!(message(&Place::of(empty, |_, _| None), ID).contains("has no model.safetensors, "));
}

#[test]
fn a_hub_that_cannot_be_reached_gives_one_message_with_three_ways_out() {
    let cache = tempfile::tempdir().unwrap();
    let nowhere = settings(cache.path(), "http://127.0.0.1:1");
    let busy = Place::with(|_, _| Some(Reply::new(503, &[])));
    for (settings, why) in [
        (nowhere.clone(), "the Hub at http://127.0.0.1:1 cannot be reached ("),
        (
            HubSettings {
                offline: true,
                ..nowhere
            },
            "may not be asked (--offline or HF_HUB_OFFLINE)",
        ),
        (busy.settings(), "503"),
    ] {
        let error = find(ID, &settings).unwrap_err();
        assert_eq!(error.exit_code(), 4);
        let text = error.to_string();
        for part in [
            why,
            "`facebook/hubert-tiny`",
            "HTTPS_PROXY",
            "HF_ENDPOINT",
            "config.json",
            "models--facebook--hubert-tiny",
            "weights: random",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(text.lines().count(), 4);
    }
    assert_eq!(busy.server.requests().len(), 10);
}

#[test]
fn an_encrypted_connection_that_fails_is_said_as_well() {
    let place = Place::new();
    let endpoint = place.server.url().replace("http:", "https:");
    let encrypted = HubSettings {
        endpoint,
        ..place.settings()
    };
    assert!(matches!(find(ID, &encrypted), Err(WeightsError::Unreachable { .. })));

    let pem = place.cache.path().join("certificates.pem");
    let own = HubSettings {
        certificates: Some(pem.clone()),
        ..encrypted
    };
    assert!(matches!(find(ID, &own), Err(WeightsError::Io { path, .. }) if path == pem));
    fs::write(&pem, "nothing").unwrap();
    assert!(matches!(find(ID, &own), Err(WeightsError::Certificates { path }) if path == pem));
}

#[test]
fn a_busy_hub_is_asked_again_as_late_as_it_asks_for() {
    let place = Place::with(|number, request| match number {
        0 => Some(Reply::new(429, &[("retry-after", "37")])),
        1 => Some(Reply::new(503, &[("retry-after", "Thu, 01 Jan 1970 00:02:00 GMT")])),
        _ => (request.path.starts_with("/store/") && number < 8).then(|| Reply::new(503, &[("retry-after", "5")])),
    });
    let waits = Arc::new(Mutex::new(Vec::new()));
    let waited = waits.clone();
    let patient = HubSettings {
        clock: Clock::new(
            || std::time::UNIX_EPOCH + Duration::from_secs(20),
            move |time| waited.lock().unwrap().push(time.as_secs()),
        ),
        ..place.settings()
    };
    let source = WeightsSource::parse(ID).unwrap();
    let mut told = Vec::new();
    let located = locate(&source, &patient, &mut |progress| {
        if let DownloadProgress::Busy { file, status, wait } = progress {
            told.push((file.to_owned(), status, wait.as_secs()));
        }
    });
    assert_complete(&located.unwrap().unwrap());
    let waits = waits.lock().unwrap();
    assert_eq!(waits[..2], [37, 100]);
    assert!(waits.len() > 2 && waits[2..].iter().all(|wait| *wait == 5), "{waits:?}");
    assert_eq!(told.len(), waits.len());
    assert_eq!(told[0], ("config.json".to_owned(), 429, 37));
}
