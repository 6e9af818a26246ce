//! A browser without a window, driven by keyboard through chromedriver.
//!
//! Source: W3C WebDriver, level 1.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Programs that a browser may be called.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];
/// Longest wait for anything on the page.
const PATIENCE: Duration = Duration::from_secs(20);

pub const ENTER: &str = "\u{e007}";
pub const BACKSPACE: &str = "\u{e003}";

/// A browser that ends with this value.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
}

fn in_path(program: &str) -> Option<String> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).map(|folder| folder.join(program));
    let found = found.into_iter().find(|file| file.is_file())?;
    Some(found.to_string_lossy().into_owned())
}

impl Browser {
    /// Starts one; else the reason why there is none.
    pub fn start() -> Result<Self, String> {
        Self::start_with(&[])
    }

    /// Starts one with further arguments; else the reason why there is none.
    pub fn start_with(more: &[&str]) -> Result<Self, String> {
        let binary = BROWSERS.into_iter().find_map(in_path);
        let binary = binary.ok_or_else(|| format!("no browser: none of {}", BROWSERS.join(", ")))?;
        let program = in_path("chromedriver").ok_or("no chromedriver")?;
        let mut driver = Command::new(program)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("chromedriver does not start: {error}"))?;
        let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines.map_while(Result::ok).find_map(|line| {
            let (_, port) = line.split_once("successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        });
        let mut browser = Self {
            driver,
            port: port.ok_or("chromedriver has no port")?,
            session: String::new(),
        };
        // It runs in containers too, where there is no sandbox and little shared memory.
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--mute-audio",
            "--autoplay-policy=no-user-gesture-required",
        ];
        let arguments = [&arguments, more].concat();
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "binary": binary, "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let made = browser.call("POST", "/session", &wanted);
        match made["sessionId"].as_str() {
            Some(session) => browser.session = format!("/session/{session}"),
            None => return Err(format!("the browser does not start: {}", made["message"])),
        }
        Ok(browser)
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(3 * PATIENCE)).unwrap();
        let body = if method == "POST" {
            body.to_string()
        } else {
            String::new()
        };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.port,
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        let mut line = String::new();
        while reader.read_line(&mut line).unwrap() > 2 {
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        let mut answer = vec![0; length];
        reader.read_exact(&mut answer).unwrap();
        let mut answer: Value = serde_json::from_slice(&answer).unwrap();
        answer["value"].take()
    }

    fn ask(&self, what: &str, body: &Value) -> Value {
        let answer = self.call("POST", &format!("{}/{what}", self.session), body);
        assert!(answer["error"].is_null(), "{what}: {answer}");
        answer
    }

    pub fn open(&self, url: &str) {
        self.ask("url", &json!({ "url": url }));
    }

    /// What a script gives.
    pub fn run(&self, script: &str) -> Value {
        self.ask("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// What an expression gives once it is what is wanted.
    pub fn wait(&self, expression: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let found = self.run(&format!("return {expression}"));
            if wanted(&found) {
                return found;
            }
            assert!(Instant::now() < end, "{expression} stays {found}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Presses and releases a key.
    pub fn press(&self, key: &str) {
        let press = ["keyDown", "keyUp"].map(|what| json!({ "type": what, "value": key }));
        self.ask(
            "actions",
            &json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": press }] }),
        );
    }

    /// Chooses a file in an input of the page.
    #[allow(dead_code, reason = "what only the tests of another page need")]
    pub fn choose_file(&self, selector: &str, path: &str) {
        let found = self.ask("element", &json!({ "using": "css selector", "value": selector }));
        let id = found.as_object().unwrap().values().next().unwrap();
        self.ask(
            &format!("element/{}/value", id.as_str().unwrap()),
            &json!({ "text": path }),
        );
    }

    /// Gives the page so many CSS pixels of width.
    #[allow(dead_code, reason = "what only the tests of another page need")]
    pub fn resize(&self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        let command = json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": metrics });
        self.ask("goog/cdp/execute", &command);
    }

    /// Errors that the page made since the last call.
    pub fn errors(&self) -> Vec<String> {
        let log = self.ask("se/log", &json!({ "type": "browser" }));
        let severe = log.as_array().unwrap().iter().filter(|line| line["level"] == "SEVERE");
        severe.map(|line| line["message"].to_string()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() && !std::thread::panicking() {
            self.call("DELETE", &self.session, &Value::Null);
        }
        // The browser ends with its driver.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
