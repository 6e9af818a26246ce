//! What has begun is finished, and nothing new is taken.

use std::time::{Duration, Instant};

use emorun_serve::{Ended, Limits};

use crate::client::{read_stream, tone, wav};
use crate::script::{Running, limits};

#[test]
fn what_has_begun_is_answered_and_what_is_new_is_refused() {
    let server = Running::start();
    server.watch.hold(true);
    let file = wav(16_000, &tone(1.0, 0.2));
    let mut idle = server.stream("").unwrap();
    std::thread::scope(|scope| {
        let begun = scope.spawn(|| server.post("/v1/predict", &file));
        server.watch.until_batches(1);
        let asker = scope.spawn(|| {
            let end = Instant::now() + Duration::from_secs(20);
            let refused = loop {
                // One whose request has not come when the server begins to end is closed.
                match server.try_get("/v1/models") {
                    Ok(reply) if reply.status != 200 => break reply,
                    Ok(_) | Err(_) => assert!(Instant::now() < end),
                }
            };
            assert_eq!((refused.status, refused.code()), (503, "ending".to_owned()));
            assert!(refused.header("retry-after").is_some());
            assert_eq!(refused.header("connection"), Some("close"));
            assert_eq!(server.get("/healthz").status, 503);
            assert_eq!(server.get("/metrics").status, 200);
            assert!(server.stream("").is_err());
            server.watch.hold(false);
        });
        server.stop();
        assert_eq!(begun.join().unwrap().status, 200);
        asker.join().unwrap();
    });
    // A stream is told.
    let (_, code) = read_stream(&mut idle);
    assert_eq!(code, Some(1001));
    assert_eq!(server.end(), Ended { broken_off: 0 });
}

#[test]
fn what_takes_too_long_is_broken_off() {
    let server = Running::with(
        Limits {
            drain: Duration::from_millis(200),
            ..limits()
        },
        None,
    );
    server.watch.hold(true);
    let file = wav(16_000, &tone(1.0, 0.2));
    let mut stream = server.connect();
    let head = format!(
        "POST /v1/predict HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n",
        server.address,
        file.len()
    );
    std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
    std::io::Write::write_all(&mut stream, &file).unwrap();
    server.watch.until_batches(1);
    server.stop();
    let watch = server.watch.clone();
    assert_eq!(server.end(), Ended { broken_off: 1 });
    watch.hold(false);
}
