//! Beside transformers' `_need_fallback` (`golden/make_golden.py`).

use emorun_transcribe::fallback::{Thresholds, Verdict};

#[test]
fn texts_are_kept_decoded_again_or_passed_over_as_in_transformers() {
    type Case = ([Option<f64>; 3], [f64; 3], bool, bool);
    let cases: Vec<Case> = serde_json::from_str(include_str!("../golden/fallback.json")).unwrap();
    assert!(cases.len() >= 20);
    for ([compression_ratio, log_prob, no_speech], [ratio, likely, silent], again, skip) in cases {
        let thresholds = Thresholds {
            compression_ratio,
            log_prob,
            no_speech,
        };
        let wanted = match (again, skip) {
            (_, true) => Verdict::Silence,
            (true, false) => Verdict::Again,
            (false, false) => Verdict::Keep,
        };
        assert_eq!(
            thresholds.verdict(ratio, likely, silent),
            wanted,
            "{thresholds:?} {ratio} {likely} {silent}"
        );
    }
}
