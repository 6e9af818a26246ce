//! The `tensorboard` package itself reads what is written here.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{path::Path, process::Command};

use emorun_tensorboard::{EventError, EventWriter, HParam, HParams};
use serde_json::{Value, json};

/// The exit status by which `read_run.py` says that the package is missing.
const NO_PACKAGE: i32 = 77;

/// A one-pixel PNG.
const PIXEL: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde\
    \0\0\0\x0cIDATx\x9cc\x10h\xf8\0\0\x02$\x01\x81o\x91\xe4d\0\0\0\0IEND\xaeB`\x82";

/// A run killed after step 9 and resumed from step 6, as the second writer says.
fn write_run(dir: &Path) -> Result<(), EventError> {
    let mut first = EventWriter::create(dir, 0, 1000.0)?;
    let values = [
        ("lr".to_owned(), HParam::Number(1e-4)),
        ("model <a&b>".to_owned(), HParam::Text("hubert".into())),
        ("frozen".to_owned(), HParam::Bool(true)),
        ("limit".to_owned(), HParam::Number(f64::INFINITY)),
    ];
    let hparams = HParams {
        group: "fold 1",
        values: &values,
    };
    assert!(first.hparams(&hparams, 1000.0));
    assert!(first.text("config", 0, "```yaml\nname: demo\n```", 1000.0));
    for step in 0..10 {
        assert!(first.scalar("train/loss", step, 1.0, 1001.0));
    }
    let mut second = EventWriter::create(dir, 6, 1002.0)?;
    for step in 6..12 {
        assert!(second.scalars(&[("train/loss", 2.0), ("train/lr", 0.5)], step, 1003.0));
    }
    assert!(second.scalar("validation/uar", 11, 0.75, 1003.0));
    assert!(second.image("confusion", 11, PIXEL, 1003.0));
    assert!(second.histogram("weights", 11, &[1.0, 1.0, 1.0], 1003.0));
    assert!(second.hparams_end(true, 1010.0));
    Ok(())
}

/// A short run with a setting, a seed and a result.
fn write_short_run(dir: &Path, (group, lr, seed): (&str, f64, f64), uar: f32) -> Result<(), EventError> {
    let mut writer = EventWriter::create(dir, 0, 1000.0)?;
    let values = [
        ("lr".to_owned(), HParam::Number(lr)),
        ("seed".to_owned(), HParam::Number(seed)),
        ("frozen".to_owned(), HParam::Bool(true)),
    ];
    assert!(writer.hparams(&HParams { group, values: &values }, 1000.0));
    assert!(writer.scalar("validation/uar", 11, uar, 1001.0));
    Ok(())
}

#[test]
fn the_tensorboard_package_shows_every_kind_of_event() {
    let dir = tempfile::tempdir().unwrap();
    write_run(&dir.path().join("run")).unwrap();
    for (name, setting, uar) in [
        ("low-1", ("low", 0.1, 1.0), 0.5),
        ("low-2", ("low", 0.1, 2.0), 0.7),
        ("high-1", ("high", 0.2, 1.0), 0.9),
    ] {
        write_short_run(&dir.path().join(name), setting, uar).unwrap();
    }
    let python = std::env::var("EMORUN_PYTHON").unwrap_or_else(|_| "python3".into());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/read_run.py");
    let output = match Command::new(&python)
        .args([script.as_ref(), dir.path().as_os_str(), "run".as_ref()])
        .output()
    {
        Ok(output) => output,
        Err(error) => {
            println!("skipped: cannot start {python}: {error}");
            return;
        }
    };
    if output.status.code() == Some(NO_PACKAGE) {
        let reason = String::from_utf8_lossy(&output.stdout);
        println!("skipped: {python} lacks the tensorboard package: {reason}");
        return;
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read: Value = serde_json::from_slice(&output.stdout).unwrap();

    let loss: Vec<Value> = (0..12)
        .map(|step| json!([step, if step < 6 { 1.0 } else { 2.0 }]))
        .collect();
    assert_eq!(read["accumulated"]["train/loss"], json!(loss));
    assert_eq!(
        read["accumulated"]["validation/uar"],
        json!([[11, 0.75]]),
        "{}",
        read["accumulated"]
    );
    let served: Vec<Value> = read["served"]
        .as_array()
        .unwrap()
        .iter()
        .map(|point| json!([point[1], point[2]]))
        .collect();
    assert_eq!(served, loss);

    let text = read["text"].as_str().unwrap();
    assert!(text.contains("name: demo") && text.contains("<pre>"), "{text}");
    assert_eq!(read["image_step"], 11);
    assert_eq!(read["png"], json!(PIXEL));
    let histogram = &read["histogram"];
    assert_eq!(
        histogram
            .as_array()
            .unwrap()
            .iter()
            .map(|b| b[2].as_f64().unwrap())
            .sum::<f64>(),
        3.0,
        "{histogram}"
    );

    assert_hparams(&read);
}

/// Rows of the dashboard are settings, over which repetitions are averaged, and what differs comes first of its columns.
fn assert_hparams(read: &Value) {
    let infos = read["experiment"]["hparamInfos"].as_array().unwrap();
    let columns: Vec<_> = infos
        .iter()
        .map(|info| {
            let differs = info["differs"] == true;
            (info["name"].as_str().unwrap(), info["type"].as_str().unwrap(), differs)
        })
        .collect();
    assert_eq!(
        columns,
        [
            ("lr", "DATA_TYPE_FLOAT64", true),
            ("seed", "DATA_TYPE_FLOAT64", true),
            ("frozen", "DATA_TYPE_BOOL", false),
            ("limit", "DATA_TYPE_STRING", false),
            ("model <a&b>", "DATA_TYPE_STRING", false),
        ]
    );
    let metrics = read["experiment"]["metricInfos"].as_array().unwrap();
    assert!(metrics.iter().any(|metric| metric["name"]["tag"] == "validation/uar"));
    let groups = read["groups"]["sessionGroups"].as_array().unwrap();
    let group = |name: &str| groups.iter().find(|group| group["name"] == name).unwrap();
    let uar = |group: &Value| {
        let values = group["metricValues"].as_array().unwrap();
        let own = values.iter().find(|value| value["name"]["tag"] == "validation/uar");
        own.unwrap()["value"].as_f64().unwrap()
    };
    assert_eq!(groups.len(), 3, "{groups:?}");
    assert_eq!(group("low")["sessions"].as_array().unwrap().len(), 2);
    assert!((uar(group("low")) - 0.6).abs() < 1e-6, "the mean over seeds");
    assert!((uar(group("high")) - 0.9).abs() < 1e-6);
    let whole = group("fold 1");
    assert_eq!(
        whole["hparams"],
        json!({"lr": 1e-4, "model <a&b>": "hubert", "frozen": true, "limit": "inf"})
    );
    assert_eq!(whole["sessions"][0]["status"], "STATUS_SUCCESS");
    assert_eq!(uar(whole), 0.75);
}
