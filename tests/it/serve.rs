//! `emorun serve`: a trained run behind HTTP. What the server does with all kinds of clients is tested in its crate.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::predict::trained;
use crate::support::{Lab, finished, signal, wav};

/// A server that was started, and where.
struct Served {
    child: Child,
    address: String,
}

fn serve(lab: &Lab, arguments: &[&str]) -> Served {
    let arguments = [&["serve", "--listen", "127.0.0.1:0"], arguments].concat();
    let mut child = lab.command(&arguments).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = line
        .trim()
        .strip_prefix("http://")
        .and_then(|url| url.strip_suffix('/'));
    let address = address.unwrap_or_else(|| panic!("no address: {line:?}")).to_owned();
    Served { child, address }
}

impl Served {
    fn ask(&self, head: &str, body: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let head = format!(
            "{head}\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask(&format!("GET {path} HTTP/1.1"), b"");
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Posts a recording as `curl -F file=@…` does, under the name that the command knows it by.
    fn predict(&self, lab: &Lab, file: &str, query: &str) -> String {
        let mut form =
            format!("--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{file}\"\r\n\r\n").into_bytes();
        form.extend(fs::read(lab.path(file)).unwrap());
        form.extend(b"\r\n--x--\r\n");
        let head = format!("POST /v1/predict{query} HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=x");
        let (status, body) = self.ask(&head, &form);
        assert_eq!(status, 200, "{file}{query}: {body}");
        body
    }

    /// Ends it as a service manager does; its exit code.
    fn end(self) -> i32 {
        signal(&self.child, "TERM");
        finished(&self.child.wait_with_output().unwrap()).code
    }
}

#[test]
fn a_served_run_says_what_predict_says_to_the_digit() {
    let lab = trained();
    let long = (0..40_000).map(|at| (9000.0 * (f64::from(at) * f64::from(at) * 1e-5).sin()) as i16);
    lab.write("long.wav", wav(8000, long.clone()));
    lab.write("studio.wav", wav(22_050, long));
    let server = serve(&lab, &["first=runs/tiny/one", "runs/tiny/one"]);

    let (windows, query) = (["--window", "1", "--hop", "0.4"], "&window=1&hop=0.4");
    for (file, more, query) in [
        ("audio/0.wav", &[][..], ""),
        ("audio/7.wav", &[], ""),
        ("long.wav", &[], ""),
        ("studio.wav", &[], ""),
        ("long.wav", &windows, query),
        ("studio.wav", &windows, query),
    ] {
        let base = ["predict", "runs/tiny/one", file, "--format", "jsonl"];
        let told = lab.emorun(&[&base, more].concat());
        assert_eq!(told.code, 0, "{}", told.stderr);
        let served = server.predict(&lab, file, &format!("?model=tiny/one{query}"));
        assert_eq!(served, told.stdout, "{file} {query}");
    }

    // What is answered is what the document says.
    let document = server.get("/openapi.json");
    let models = server.get("/v1/models");
    let line: Value = serde_json::from_str(&server.predict(&lab, "audio/0.wav", "")).unwrap();
    let (status, refused) = server.ask("POST /v1/predict HTTP/1.1", b"");
    assert_eq!(status, 400);
    let refused = serde_json::from_str(&refused).unwrap();
    for (name, answer) in [("Models", &models), ("Stretch", &line), ("Error", &refused)] {
        let schema = json!({ "$ref": format!("#/components/schemas/{name}"), "components": document["components"] });
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        assert!(validator.is_valid(answer), "{name}: {answer}");
        assert!(!validator.is_valid(&json!({})), "{name}");
    }
    let names: Vec<&str> = models["models"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["first", "tiny/one"]);
    assert_eq!(server.end(), 0);

    // What cannot be served says why, before it listens.
    lab.write("empty", "\n");
    lab.write("lines", "one\ntwo\n");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (arguments, code, why) in [
        (&["runs/tiny/one", "--listen", "0.0.0.0:0"][..], 2, "--token-file"),
        (&["runs/tiny/one", "--token-file", "empty"], 2, "the token is empty"),
        (&["runs/tiny/one", "--token-file", "lines"], 2, "more than one line"),
        (&["runs/tiny/one", "--token-file", "none"], 2, "cannot be read"),
        (
            &["runs/tiny/one", "--listen", &taken],
            5,
            "choose another one with --listen",
        ),
        (
            &["runs/tiny/one", "runs/tiny/one", "--listen", "127.0.0.1:0"],
            2,
            "NAME=RUN",
        ),
        (&["audio", "--listen", "127.0.0.1:0"], 2, "no run directory"),
        (&["runs/tiny/one", "--listen", "localhost"], 2, "--listen"),
    ] {
        let outcome = lab.emorun(&[&["serve"], arguments].concat());
        assert_eq!(outcome.code, code, "{arguments:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(why), "{arguments:?}: {}", outcome.stderr);
    }
}
