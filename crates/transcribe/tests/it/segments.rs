//! Beside transformers' `_retrieve_segment` (`golden/make_golden.py`).

use emorun_transcribe::segments::Clock;
use serde::Deserialize;

const CLOCK: Clock = Clock {
    begin: 50,
    seconds: 0.02,
    frames: 2,
};

#[derive(Deserialize)]
struct Case {
    tokens: Vec<u32>,
    offset: f64,
    frames: usize,
    advance: usize,
    segments: Vec<(f64, f64, usize, usize)>,
}

#[test]
fn windows_are_cut_as_in_transformers() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../golden/segments.json")).unwrap();
    assert!(cases.len() >= 20);
    assert!(
        cases
            .iter()
            .any(|case| case.segments.len() > 1 && case.advance < case.frames)
    );
    for case in cases {
        let window = CLOCK.window(&case.tokens, case.offset, case.frames);
        assert_eq!(window.advance, case.advance, "{:?}", case.tokens);
        assert_eq!(window.segments.len(), case.segments.len(), "{:?}", case.tokens);
        for (own, (start, end, from, to)) in window.segments.iter().zip(&case.segments) {
            assert_eq!(own.tokens, *from..*to, "{:?}", case.tokens);
            assert!((own.start - start).abs() < 1e-9, "{} beside {start}", own.start);
            assert!((own.end - end).abs() < 1e-9, "{} beside {end}", own.end);
        }
    }
}

#[test]
fn a_window_without_tokens_is_passed_over() {
    let window = CLOCK.window(&[], 30.0, 3000);
    assert_eq!(window.advance, 3000);
    assert!(window.segments.iter().all(|segment| segment.tokens.is_empty()));
}
