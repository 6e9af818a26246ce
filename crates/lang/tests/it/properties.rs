//! What holds for any text.

use emorun_lang::{Report, Sources, Value, parse, to_yaml};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::toy::{GOOD, check};

/// Reads YAML as JSON, or the report.
fn read(text: &str) -> Result<Json, String> {
    fn json_of(tree: &emorun_lang::Tree) -> Json {
        match &tree.value {
            Value::Null => Json::Null,
            Value::Bool(value) => json!(value),
            Value::Int(value) => json!(value),
            Value::Float(value) => json!(value),
            Value::Str(text) => json!(text),
            Value::Seq(items) => items.iter().map(json_of).collect(),
            Value::Map(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), json_of(&entry.value)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }
    let mut sources = Sources::new();
    let mut report = Report::new();
    let source = sources.add("text", text);
    match parse(&sources, source, &mut report) {
        Some(tree) if report.is_empty() => Ok(json_of(&tree)),
        _ => Err(report.render(&sources, false)),
    }
}

fn any_json() -> impl Strategy<Value = Json> {
    let text = prop_oneof![
        any::<String>(),
        "[a-z_. #:\\-]{0,12}",
        prop::sample::select(vec![
            "null", "~", "true", "No", "1", "1.5", "1e3", ".inf", "", "- a", "a: b", "<<", "0x1F"
        ])
        .prop_map(str::to_owned),
    ];
    let scalar = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>()
            .prop_filter("JSON has no others", |value| value.is_finite())
            .prop_map(Json::from),
        text.clone().prop_map(Json::from),
    ];
    scalar.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::vec((text.clone(), inner), 0..6)
                .prop_map(|entries| entries.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

/// The good experiment with some of its lines and characters changed.
fn damaged() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        ": ", "- ", "{", "}", "[", "]", ",", "\n", "  ", "&a ", "*a", "null", "kind", "data.", "mel", "\"", "'", "|",
        "!", "\t", "é", "\u{0}",
    ]);
    let change = (0..GOOD.len(), 0_usize..12, piece);
    prop::collection::vec(change, 1..6).prop_map(|changes| {
        let mut text = GOOD.to_owned();
        for (at, length, piece) in changes {
            let floor = |at: usize| {
                (0..=at.min(text.len()))
                    .rev()
                    .find(|&at| text.is_char_boundary(at))
                    .unwrap_or(0)
            };
            let (start, end) = (floor(at), floor(at + length));
            text.replace_range(start..end, piece);
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn written_yaml_reads_back_to_the_same_value(value in any_json()) {
        let text = to_yaml(&value);
        prop_assert_eq!(read(&text).map_err(|report| TestCaseError::fail(format!("{report}\n{text}")))?, value, "{}", text);
    }

    #[test]
    fn arbitrary_text_is_answered_without_a_panic(text in any::<String>(), set in any::<String>()) {
        if let Err((report, sources)) = check(&[("main.yaml", &text)], &[&set]) {
            prop_assert!(!report.render(&sources, true).is_empty());
        }
    }

    #[test]
    fn a_damaged_experiment_is_answered_without_a_panic(text in damaged(), set in "[a-z.]{0,8}=[a-z0-9{}:, ]{0,8}") {
        if let Err((report, sources)) = check(&[("main.yaml", &text)], &[&set]) {
            prop_assert!(report.has_errors());
            prop_assert!(!report.render(&sources, true).is_empty());
            report.to_json(&sources);
        }
    }
}

#[test]
fn hostile_texts_are_answered_within_their_budgets() {
    let deep_block: String = (0..1000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    let texts = [
        "[".repeat(100_000),
        "{a: ".repeat(100_000),
        "- ".repeat(100_000),
        "? ".repeat(100_000),
        deep_block,
        format!("a: &a {}\nb: [{}]\n", "x".repeat(500_000), "*a, ".repeat(10_000)),
        "a: &a [*a]\n".to_owned(),
        "&a ".repeat(100_000),
        "!".repeat(500_000),
        "\"\\".repeat(200_000),
        "%".repeat(500_000),
        "a: |\n".repeat(100_000),
        "\u{feff}".repeat(100_000),
        format!("a: {}", "'".repeat(500_001)),
    ];
    for text in &texts {
        let report = check(&[("main.yaml", text)], &[])
            .map(|_| ())
            .expect_err("not an experiment");
        assert!(report.0.has_errors());
        assert!(report.0.render(&report.1, false).len() < 100_000);
    }
}

#[test]
fn a_file_wrong_everywhere_gives_a_report_of_bounded_size() {
    let keys: String = (0..60_000).map(|at| format!("k{at}: 1\n")).collect();
    let nodes: String = (0..15_000)
        .map(|at| format!("  n{at}: {{ kind: fus, inputs: [m{at}] }}\n"))
        .collect();
    let bare: String = (0..60_000).map(|at| format!("  n{at}: {{}}\n")).collect();
    let edges: String = (0..15_000)
        .map(|at| format!("  n{at}: {{ kind: fuse, inputs: [m{at}], width: 2 }}\n"))
        .collect();
    for text in [
        keys,
        format!("blocks:\n{nodes}"),
        format!("blocks:\n{bare}"),
        format!("blocks:\n{edges}"),
    ] {
        let Err((report, sources)) = check(&[("main.yaml", &text)], &[]) else {
            panic!("accepted");
        };
        assert_eq!(report.diagnostics().len(), 100);
        assert!(report.errors() >= 10_000);
        assert!(report.render(&sources, false).contains("more\n"));
    }
}
