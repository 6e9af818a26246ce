//! The page's files, and what programs ask beside recordings.

use serde_json::json;

use crate::script::Running;

#[test]
fn the_page_comes_with_all_that_it_names_and_a_strict_policy() {
    let server = Running::start();
    let page = server.get("/");
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(page.header(name), Some(value));
    }
    // Nothing inline, and nothing from elsewhere.
    for wrong in ["<script>", " style=", " onclick", "http://", "https://"] {
        assert!(!page.body.contains(wrong), "{wrong}");
    }
    let mut wanted = vec![
        "/page/style.css".to_owned(),
        "/page/main.js".to_owned(),
        "/page/capture.js".to_owned(),
    ];
    let mut seen = Vec::new();
    while let Some(path) = wanted.pop() {
        if seen.contains(&path) {
            continue;
        }
        let file = server.get(&path);
        assert_eq!(file.status, 200, "{path}");
        assert!(file.header("content-security-policy").is_some());
        let kind = file.header("content-type").unwrap();
        assert!(
            kind.starts_with(if path.ends_with("css") {
                "text/css"
            } else {
                "text/javascript"
            }),
            "{path}"
        );
        wanted.extend(file.body.lines().filter_map(|line| {
            let (_, from) = line.split_once(" from '")?;
            from.strip_suffix("';").map(str::to_owned)
        }));
        seen.push(path);
    }
    assert_eq!(seen.len(), 11, "{seen:?}");
    let head = server.ask("HEAD", "/", &[], &[]);
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[test]
fn models_are_described() {
    let server = Running::start();
    let told = server.get("/v1/models").json();
    assert_eq!(
        told["models"][0],
        json!({
            "name": "script", "rate_hz": 16_000, "shortest_s": 0.1,
            "heads": [
                { "name": "emotion", "predicts": "classes", "outputs": ["sad", "happy"] },
                { "name": "dims", "predicts": "numbers", "outputs": ["arousal"] },
            ],
        })
    );
    assert_eq!(told["models"][1]["name"], "other/../model");
    assert_eq!(told["transcripts"], false);
    assert_eq!(server.get("/healthz").json(), json!({ "status": "ok" }));
    assert_eq!(server.get("/openapi.json").json()["openapi"], "3.1.0");
}

#[test]
fn what_happens_is_counted_for_prometheus() {
    let server = Running::start();
    for _ in 0..3 {
        server.get("/healthz");
    }
    server.get("/nothing");
    server.get("/elsewhere");
    let reply = server.get("/metrics");
    assert!(
        reply
            .header("content-type")
            .unwrap()
            .starts_with("application/openmetrics-text")
    );
    for line in [
        "emorun_requests_total{route=\"/healthz\",code=\"200\"} 3",
        // As many addresses as a client can make up are one.
        "emorun_requests_total{route=\"other\",code=\"404\"} 2",
        "emorun_request_duration_seconds_count{route=\"/healthz\"} 3",
        "emorun_queue_clips{model=\"script\"} 0",
        "emorun_queue_clips{model=\"other/../model\"} 0",
        "emorun_streams 0",
        "# EOF",
    ] {
        assert!(
            reply.body.lines().any(|known| known == line),
            "{line} in {}",
            reply.body
        );
    }
}
