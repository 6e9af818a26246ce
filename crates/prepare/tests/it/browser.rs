//! The page in a real browser, by keyboard. Skips, and says why, where there is no Chromium with its chromedriver.

use crate::annotating::{prepared, serve};
use crate::text;
use crate::webdriver::{BACKSPACE, Browser, ENTER};
use serde_json::{Value, json};

/// Holds the page back when it hears of a decision or an undoing, until it is released: what it was told lies on the
/// disk by then, while the clip that was decided is still shown.
const HOLD: &str = "
    const whole = window.fetch;
    window.held = null;
    window.fetch = async (path, options) => {
      const reply = await whole(path, options);
      if (options && options.method === 'POST') {
        await new Promise(go => { window.held = () => { window.held = null; go(); }; });
      }
      return reply;
    };";

struct Page {
    browser: Browser,
    journal: std::path::PathBuf,
}

impl Page {
    fn shown(&self, id: &str) -> String {
        let found = self
            .browser
            .run(&format!("return document.getElementById('{id}').textContent"));
        found.as_str().unwrap().to_owned()
    }

    fn lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.journal).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Presses a key on a clip: what it does is on the disk before anything else is shown, and then the page shows
    /// `next`.
    fn press(&self, key: &str, written: &Value, next: &str) {
        let (clip, before) = (self.shown("clip"), self.lines().len());
        self.browser.press(key);
        self.browser.wait("window.held !== null", |held| held == true);
        let lines = self.lines();
        assert_eq!(lines.len(), before + 1);
        let (what, line) = lines[before].as_object().unwrap().iter().next().unwrap();
        assert_eq!(
            (what, &line["key"], &line["label"]),
            (&written[0].as_str().unwrap().to_owned(), &written[1], &written[2])
        );
        assert_eq!(self.shown("clip"), clip, "the next clip is not shown before");
        self.browser.run("window.held()");
        self.settled(next);
    }

    /// Waits for a clip, or for the end if it has no name.
    fn settled(&self, clip: &str) {
        if clip.is_empty() {
            self.browser
                .wait("!document.getElementById('finished').hidden", |end| end == true);
        } else {
            let shown = "document.getElementById('work').hidden ? '' : document.getElementById('clip').textContent";
            self.browser.wait(shown, |shown| shown == clip);
        }
    }

    fn open(&self, url: &str, first: &str) {
        self.browser.open(url);
        self.settled(first);
        self.browser.run(HOLD);
    }
}

/// One session of a browser: each step follows on the page that the last one left.
#[test]
fn clips_are_heard_seen_labelled_undone_and_compared_in_a_real_browser() {
    let browser = match Browser::start() {
        Ok(browser) => browser,
        Err(reason) => {
            println!("skipped: {reason}");
            return;
        }
    };
    let place = prepared();
    let server = serve(&place, "ada");
    let mut page = Page {
        browser,
        journal: place.path("out/annotations/ada.jsonl"),
    };
    page.open(&server.url(), "d/a.wav");
    assert_eq!(page.shown("count"), "0 of 3");
    assert_eq!(page.shown("text"), "say a.wav");

    // Heard: it plays by itself to its end, Space plays it again and pauses, R begins anew.
    let browser = &page.browser;
    let audio = "document.getElementById('audio')";
    let seconds = browser.wait(&format!("{audio}.duration"), Value::is_number);
    assert!((seconds.as_f64().unwrap() - 1.0).abs() < 0.01, "{seconds}");
    browser.wait(&format!("{audio}.ended"), |ended| ended == true);
    browser.press(" ");
    let playing = format!("!{audio}.paused && {audio}.currentTime > 0 && {audio}.currentTime < 0.9");
    browser.wait(&playing, |playing| playing == true);
    browser.press(" ");
    browser.wait(&format!("{audio}.paused"), |paused| paused == true);
    browser.press("r");
    browser.wait(&playing, |playing| playing == true);

    // Seen.
    let picture = "document.getElementById('spectrogram')";
    browser.wait(&format!("{picture}.complete && {picture}.naturalWidth > 50"), |there| {
        there == true
    });
    let drawn = "(c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(x => x > 0))(document.getElementById('wave'))";
    browser.wait(drawn, |drawn| drawn == true);
    let buttons = browser.run("return [...document.querySelectorAll('#labels button')].map(b => b.textContent)");
    assert_eq!(
        buttons,
        json!(["1 happy", "2 sad", "3 angry", "4 anxious", "X unusable"])
    );
    assert_eq!(
        browser.run("return document.querySelector('button.proposed').textContent"),
        "1 happy"
    );

    // Labelled and undone.
    let decided = |clip: &str, label: Value| json!(["decided", clip, label]);
    let undone = |clip: &str| json!(["undone", clip, null]);
    page.press(ENTER, &decided("d/a.wav", json!({ "as": "happy" })), "d/b.wav");
    page.press("x", &decided("d/b.wav", json!("unusable")), "d/c.wav");
    page.press("u", &undone("d/b.wav"), "d/b.wav");
    assert_eq!(page.shown("count"), "1 of 3");
    page.press("3", &decided("d/b.wav", json!({ "as": "angry" })), "d/c.wav");
    page.press(BACKSPACE, &undone("d/b.wav"), "d/b.wav");
    page.press("3", &decided("d/b.wav", json!({ "as": "angry" })), "d/c.wav");
    // A key that is no label does nothing; a page that is loaded anew goes on where it was.
    page.browser.press("9");
    page.open(&server.url(), "d/c.wav");
    page.press(ENTER, &decided("d/c.wav", json!({ "as": "anxious" })), "");
    assert_eq!((page.shown("count").as_str(), page.lines().len()), ("3 of 3", 7));
    page.press("u", &undone("d/c.wav"), "d/c.wav");
    page.press(ENTER, &decided("d/c.wav", json!({ "as": "anxious" })), "");
    assert_eq!(page.browser.errors(), Vec::<String>::new());

    // A page of another origin can neither read nor write.
    let url = server.url();
    page.browser.open("data:text/html,elsewhere");
    page.browser.run(&format!(
        "window.said = []; for (const what of ['state', 'undo']) fetch('{url}' + what, what === 'undo' ? {{ method: 'POST', body: '{{}}' }} : {{}})
         .then(reply => said.push(reply.status), () => said.push('refused'))"
    ));
    page.browser.wait("window.said.length", |count| count == 2);
    assert_eq!(page.browser.run("return window.said"), json!(["refused", "refused"]));
    assert_eq!(page.lines().len(), 9);
    page.browser.errors();
    server.end();

    // What another annotator answers in view of the corpus' label is no agreement.
    let server = serve(&place, "bob");
    page.journal = place.path("out/annotations/bob.jsonl");
    page.open(&server.url(), "d/a.wav");
    for (clip, label, next) in [
        ("d/a.wav", "happy", "d/b.wav"),
        ("d/b.wav", "sad", "d/c.wav"),
        ("d/c.wav", "anxious", ""),
    ] {
        page.press(ENTER, &decided(clip, json!({ "as": label })), next);
    }
    let said = page.shown("agreement");
    assert_eq!(
        said,
        "ada and bob: nothing labelled blind by both; 3 in view of the corpus' label do not count"
    );
    assert_eq!(page.browser.errors(), Vec::<String>::new());
    assert!(text(&place.path("out/annotations/ada.jsonl")).lines().count() == 9);
    server.end();
}
