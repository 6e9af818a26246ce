//! The page in a real browser, with a microphone that plays a file. Skips, and says why, where there is no Chromium with its
//! chromedriver.

use std::path::Path;

use serde_json::json;

use crate::client::wav;
use crate::script::{Running, limits};
use crate::streaming::speech;
use crate::webdriver::{Browser, ENTER};

/// Keeps what the page saves instead of handing it to the disk.
const KEEP: &str = "
    window.saved = [];
    HTMLAnchorElement.prototype.click = function () { saved.push(this.download); };
    const made = URL.createObjectURL;
    URL.createObjectURL = blob => { blob.text().then(text => saved.push(text)); return made.call(URL, blob); };";
/// Whether a canvas shows anything.
const DRAWN: &str = "(id => { const c = document.getElementById(id);
    return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(x => x > 0); })";

/// A browser whose microphone plays a file again and again, and the file.
fn browser(folder: &Path) -> Option<(Browser, String)> {
    let file = folder.join("speech.wav");
    let loud: Vec<f32> = speech().iter().map(|sample| (40.0 * sample).clamp(-1.0, 1.0)).collect();
    std::fs::write(&file, wav(16_000, &loud)).unwrap();
    let file = file.to_str().unwrap().to_owned();
    let started = Browser::start_with(&[
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        &format!("--use-file-for-fake-audio-capture={file}"),
    ]);
    match started {
        Ok(browser) => Some((browser, file)),
        Err(reason) => {
            println!("skipped: {reason}");
            None
        }
    }
}

fn text(browser: &Browser, id: &str) -> String {
    let found = browser.run(&format!("return document.getElementById('{id}').textContent"));
    found.as_str().unwrap().to_owned()
}

fn wait_for(browser: &Browser, id: &str, wanted: &str) {
    let shown = format!("document.getElementById('{id}').textContent");
    browser.wait(&shown, |shown| {
        shown.as_str().is_some_and(|shown| shown.contains(wanted))
    });
}

fn press(browser: &Browser, id: &str) {
    browser.run(&format!("document.getElementById('{id}').focus()"));
    browser.press(ENTER);
}

#[test]
fn files_and_a_microphone_are_heard_in_a_real_browser() {
    let folder = tempfile::tempdir().unwrap();
    let Some((browser, file)) = browser(folder.path()) else {
        return;
    };
    let server = Running::start();
    browser.open(&format!("http://{}/", server.address));
    wait_for(&browser, "state", "Ready.");
    browser.run(KEEP);
    let names = browser.run("return [...document.getElementById('model').options].map(option => option.value)");
    assert_eq!(names, json!(["script", "other/../model"]));

    // A file: what the server says of it is what the page shows.
    let body = std::fs::read(&file).unwrap();
    let whole = server.post("/v1/predict", &body).json();
    let track = server.post("/v1/predict?window=3&hop=1", &body).body;
    browser.choose_file("#file", &file);
    wait_for(&browser, "state", "speech.wav: ");
    browser.wait("!document.getElementById('choose').disabled", |ready| ready == true);
    assert_eq!(
        text(&browser, "label"),
        whole["heads"]["emotion"]["label"].as_str().unwrap()
    );
    let shares = browser.run(
        "return [...document.querySelectorAll('[role=meter][aria-label=happy]')].map(bar => bar.getAttribute('aria-valuenow'))",
    );
    let happy = whole["heads"]["emotion"]["probabilities"]["happy"].as_f64().unwrap();
    assert_eq!(shares, json!([format!("{:.0}", 100.0 * happy)]));
    let rows = browser.run("return document.querySelectorAll('#rows tr').length");
    assert_eq!(rows, json!(track.lines().count()));
    for canvas in ["track", "spectrogram"] {
        browser.wait(&format!("{DRAWN}('{canvas}')"), |drawn| drawn == true);
    }

    // What is saved is what the server has said.
    press(&browser, "save-jsonl");
    browser.wait("saved.length", |count| count == 2);
    let saved = browser.run("return saved");
    assert_eq!(saved[0], "emotion.jsonl");
    // JavaScript writes a whole number without a point.
    let plain = track
        .replace(".0,", ",")
        .replace(".0}", "}")
        .replace("\"recording\"", "\"speech.wav\"");
    assert_eq!(saved[1], plain);
    press(&browser, "save-csv");
    browser.wait("saved.length", |count| count == 4);
    let csv = browser.run("return saved[3]");
    let csv = csv.as_str().unwrap();
    let head = "file,start_s,end_s,silent,emotion,emotion.sad,emotion.happy,dims.arousal\nspeech.wav,0,3,false,";
    assert!(csv.starts_with(head), "{csv}");
    press(&browser, "save-audacity");
    browser.wait("saved.length", |count| count == 6);
    assert!(
        browser
            .run("return saved[5]")
            .as_str()
            .unwrap()
            .starts_with("0.000000\t")
    );

    // The microphone, by keyboard.
    press(&browser, "microphone");
    wait_for(&browser, "state", "Listening");
    wait_for(&browser, "label", whole["heads"]["emotion"]["label"].as_str().unwrap());
    browser.wait(&format!("{DRAWN}('track') && {DRAWN}('spectrogram')"), |drawn| {
        drawn == true
    });
    let spoken = "document.getElementById('level').getAttribute('aria-valuenow')";
    browser.wait(spoken, |level| level.as_str().is_some_and(|level| level != "-60"));
    assert_eq!(server.metric("emorun_streams"), 1.0);
    press(&browser, "microphone");
    wait_for(&browser, "state", "Ready.");
    server.until_metric("emorun_streams", 0.0);

    // On a phone nothing is cut off.
    browser.resize(390, 844);
    browser.wait("document.documentElement.scrollWidth", |width| {
        width.as_u64() <= Some(390)
    });
    assert_eq!(browser.errors(), Vec::<String>::new());

    // What is no recording is told, and nothing breaks.
    let wrong = folder.path().join("<img src=x onerror=alert(1)>.wav");
    std::fs::write(&wrong, "hello").unwrap();
    browser.choose_file("#file", wrong.to_str().unwrap());
    wait_for(
        &browser,
        "problem",
        "<img src=x onerror=alert(1)>.wav: the recording: is no audio",
    );
    assert_eq!(browser.run("return document.images.length"), 0);
}

#[test]
fn the_page_asks_for_a_token_and_shows_it_with_streams_too() {
    let folder = tempfile::tempdir().unwrap();
    let Some((browser, _)) = browser(folder.path()) else {
        return;
    };
    let server = Running::with(limits(), Some("s3cret/+="));
    browser.open(&format!("http://{}/", server.address));
    let asks = "!document.getElementById('token-form').hidden && document.activeElement.id === 'token'";
    browser.wait(asks, |asks| asks == true);
    for key in "s3cret/+=".chars() {
        browser.press(&key.to_string());
    }
    browser.press(ENTER);
    wait_for(&browser, "state", "Ready.");
    press(&browser, "microphone");
    wait_for(&browser, "state", "speech");
    press(&browser, "microphone");
    wait_for(&browser, "state", "Ready.");
}
