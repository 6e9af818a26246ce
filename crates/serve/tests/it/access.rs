//! Other sites' pages, and who has no token.

use emorun_serve::{Bound, Server, Token};

use crate::client::{tone, wav};
use crate::script::{Running, Script, Watch, limits};

#[test]
fn pages_of_other_sites_are_refused() {
    let server = Running::start();
    let own = format!("http://{}", server.address);
    let file = wav(16_000, &tone(1.0, 0.2));
    let asked = |method: &str, path: &str, headers: &[(&str, &str)]| server.ask(method, path, headers, &file).status;
    assert_eq!(asked("POST", "/v1/predict", &[("Origin", &own)]), 200);
    for origin in ["http://evil.example", "null", "http://localhost:1", "http://127.0.0.1"] {
        for (method, path) in [("POST", "/v1/predict"), ("GET", "/v1/models"), ("GET", "/")] {
            assert_eq!(asked(method, path, &[("Origin", origin)]), 403, "{origin} {path}");
        }
    }
    // A name of another site that points here.
    for path in ["/", "/v1/models", "/page/main.js", "/healthz", "/nothing"] {
        assert_eq!(asked("GET", path, &[("Host", "evil.example")]), 403, "{path}");
    }
    let port = server.address.port();
    assert_eq!(asked("GET", "/", &[("Host", &format!("localhost:{port}"))]), 200);
    let upgrade = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Origin", "http://evil.example"),
    ];
    assert_eq!(asked("GET", "/v1/stream", &upgrade), 403);
}

#[test]
fn only_who_shows_the_token_is_answered() {
    let server = Running::with(limits(), Some("s3cret"));
    let file = wav(16_000, &tone(1.0, 0.2));
    for (method, path) in [
        ("POST", "/v1/predict"),
        ("GET", "/v1/stream"),
        ("GET", "/v1/models"),
        ("GET", "/metrics"),
    ] {
        let none = server.ask(method, path, &[], &file);
        assert_eq!((none.status, none.code()), (401, "unauthorized".to_owned()), "{path}");
        assert_eq!(none.header("www-authenticate"), Some("Bearer"));
        for wrong in ["Bearer s3cre", "Bearer s3crett", "s3cret", "Bearer "] {
            let reply = server.ask(method, path, &[("Authorization", wrong)], &file);
            assert_eq!(reply.status, 401, "{path} {wrong}");
            assert!(!reply.body.contains("s3cret"), "{}", reply.body);
        }
    }
    let right = [("Authorization", "Bearer s3cret")];
    assert_eq!(server.ask("POST", "/v1/predict", &right, &file).status, 200);
    assert_eq!(server.ask("GET", "/metrics", &right, &[]).status, 200);
    // It is no part of an address, where it would stand in logs.
    assert_eq!(server.get("/v1/models?token=s3cret").status, 401);
    // The page and what says how to ask are for everybody.
    for open in ["/", "/page/main.js", "/healthz", "/openapi.json"] {
        assert_eq!(server.get(open).status, 200, "{open}");
    }
}

#[test]
fn a_server_does_not_start_where_it_may_not() {
    let beyond = Bound::bind("0.0.0.0:0".parse().unwrap(), &[], None)
        .unwrap_err()
        .to_string();
    assert!(
        beyond.contains("--token-file") && beyond.contains("127.0.0.1"),
        "{beyond}"
    );
    let token = || Some(Token::new("s3cret").unwrap());
    assert!(Bound::bind("0.0.0.0:0".parse().unwrap(), &[], token()).is_ok());
    let names = ["speech.example.org".to_owned()];
    let here = "127.0.0.1:0".parse().unwrap();
    assert!(Bound::bind(here, &names, None).is_err());
    assert!(Bound::bind(here, &names, token()).is_ok());
    let first = Bound::bind(here, &[], None).unwrap();
    let taken = Bound::bind(first.address(), &[], None).unwrap_err().to_string();
    assert!(taken.contains("--listen"), "{taken}");
    let twice = |_| -> (String, Box<dyn emorun_recognise::Recogniser>) {
        ("a".to_owned(), Box::new(Script::new(&Watch::default())))
    };
    let refused = Server::new(first, (0..2).map(twice).collect(), limits()).err().unwrap();
    assert!(refused.to_string().contains("NAME=RUN"), "{refused}");
}
