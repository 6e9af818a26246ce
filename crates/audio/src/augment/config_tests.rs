//! What configurations look like, and what is wrong with them.

use serde_json::{Value, json};

use super::tests::RATE_HZ;
use super::*;

/// A table of one row a parameter, which is read best in one piece.
#[test]
fn every_parameter_out_of_bounds_is_reported() {
    let range = |low, high| Interval::new(low, high).unwrap();
    let cases: [(Box<dyn AugmentConfig>, &[&str]); 16] = [
        (
            Box::new(Gain {
                gain_db: range(-61.0, 6.0),
                p: 1.5,
            }),
            &[
                "gain_db is [-61, 6]; give a range within -60 to 60 dB",
                "p is 1.5; give a probability from 0 to 1",
            ],
        ),
        (
            Box::new(GaussianNoise {
                level: NoiseLevel::Amplitude(range(-0.1, 0.1)),
                p: f64::NAN,
            }),
            &[
                "level.amplitude is [-0.1, 0.1]; give a range within 0 to 1 of full scale",
                "p is NaN",
            ],
        ),
        (
            Box::new(GaussianNoise {
                level: NoiseLevel::SnrDb(range(5.0, 101.0)),
                p: 1.0,
            }),
            &["level.snr_db is [5, 101]"],
        ),
        (
            Box::new(BackgroundNoise {
                snr_db: range(-100.0, 0.0),
                categories: vec!["noise".to_owned(), "../up".to_owned(), String::new()],
                p: -0.1,
                ..BackgroundNoise::new("nowhere")
            }),
            &[
                "the category `../up` is no name",
                "the category ``",
                "snr_db is [-100, 0]",
                "p is -0.1",
            ],
        ),
        (Box::new(Polarity { p: 2.0 }), &["p is 2"]),
        (
            Box::new(RandomCrop {
                seconds: range(0.0, 1.0),
                p: 1.0,
            }),
            &["seconds is [0, 1]; give a range within 0.01 to 300 s"],
        ),
        (
            Box::new(PadOrTrim {
                seconds: f64::NAN,
                p: 7.0,
                ..PadOrTrim::default()
            }),
            &["seconds is NaN; give 0.01 to 300 s", "p is 7"],
        ),
        (
            Box::new(PitchShift {
                semitones: range(-25.0, 0.0),
                p: 2.0,
            }),
            &[
                "semitones is [-25, 0]; give a range within -24 to 24 semitones",
                "p is 2",
            ],
        ),
        (
            Box::new(TimeStretch {
                rate: range(0.4, 3.0),
                p: 1.0,
            }),
            &["rate is [0.4, 3]; give a range within 0.5 to 2"],
        ),
        (
            Box::new(SpeedPerturb { speeds: vec![], p: 1.0 }),
            &["speeds has 0 elements"],
        ),
        (
            Box::new(SpeedPerturb {
                speeds: vec![100, 0, 201],
                p: 1.0,
            }),
            &["speeds is 0; give 50 to 200 percent", "speeds is 201"],
        ),
        (
            Box::new(TimeShift {
                fraction: range(-1.5, 0.0),
                ..TimeShift::default()
            }),
            &["fraction is [-1.5, 0]"],
        ),
        (
            Box::new(TimeMask {
                mask_fraction: range(0.0, 1.5),
                num_masks: 0,
                fade_ms: -1.0,
                p: 1.0,
            }),
            &[
                "mask_fraction is [0, 1.5]",
                "num_masks is 0; give 1 to 64",
                "fade_ms is -1",
            ],
        ),
        (
            Box::new(Reverb {
                response: Response::Shoebox(Shoebox {
                    height_m: range(1.0, 3.0),
                    rt60_s: range(0.0, 5.0),
                    ..Shoebox::default()
                }),
                p: 1.0,
            }),
            &[
                "response.shoebox.height_m is [1, 3]",
                "response.shoebox.rt60_s is [0, 5]; give a range within 0.1 to 1 s",
            ],
        ),
        (
            Box::new(BandPass {
                band: Band::Between(Between {
                    low_hz: range(1.0, 500.0),
                    high_hz: range(400.0, 900.0),
                }),
                p: 1.0,
            }),
            &[
                "band.between.low_hz is [1, 500]",
                "band.between.high_hz is [400, 900]; give a range within 501 to",
            ],
        ),
        (
            Box::new(BackgroundNoise {
                num_files: [3, 0],
                ..BackgroundNoise::new("nowhere")
            }),
            &[
                "num_files is 3; give 1 to 0 files",
                "num_files is 0; give 1 to 32 files",
            ],
        ),
    ];
    for (config, expected) in cases {
        let errors = config.validate().unwrap_err();
        let messages: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(messages.len(), expected.len(), "{messages:?}");
        for (message, expected) in messages.iter().zip(expected) {
            assert!(message.starts_with(expected), "{message}");
        }
        assert_eq!(config.build(RATE_HZ).unwrap_err().to_string(), messages[0]);
    }
    let error = Polarity::default().build(10).unwrap_err().to_string();
    assert!(error.starts_with("10 Hz is not a sampling rate"), "{error}");
}

/// What a configuration becomes with every default, or why it cannot be read.
fn read<T: serde::de::DeserializeOwned + serde::Serialize>(given: Value) -> Result<Value, String> {
    let config: T = serde_json::from_value(given).map_err(|error| error.to_string())?;
    Ok(serde_json::to_value(config).unwrap())
}

#[test]
fn configurations_have_the_defaults_of_the_literature() {
    let cases = [
        (read::<Gain>(json!({})), json!({ "gain_db": [-6.0, 6.0], "p": 0.5 })),
        (
            read::<GaussianNoise>(json!({})),
            json!({ "level": { "amplitude": [0.005, 0.005] }, "p": 0.5 }),
        ),
        (
            read::<GaussianNoise>(json!({ "level": { "snr_db": [5, 40] }, "p": 1 })),
            json!({ "level": { "snr_db": [5.0, 40.0] }, "p": 1.0 }),
        ),
        (
            read::<BackgroundNoise>(json!({ "root": "data/musan" })),
            json!({ "root": "data/musan", "categories": [], "num_files": [1, 1], "snr_db": [5.0, 20.0], "p": 0.3 }),
        ),
        (read::<Polarity>(json!({})), json!({ "p": 0.5 })),
        (
            read::<RandomCrop>(json!({})),
            json!({ "seconds": [2.0, 3.0], "p": 1.0 }),
        ),
        (
            read::<PitchShift>(json!({})),
            json!({ "semitones": [-4.0, 4.0], "p": 0.5 }),
        ),
        (
            read::<TimeStretch>(json!({ "rate": [0.8, 1.2] })),
            json!({ "rate": [0.8, 1.2], "p": 0.5 }),
        ),
        (
            read::<SpeedPerturb>(json!({})),
            json!({ "speeds": [90, 100, 110], "p": 1.0 }),
        ),
        (
            read::<TimeShift>(json!({})),
            json!({ "fraction": [-0.5, 0.5], "rollover": true, "p": 0.5 }),
        ),
        (
            read::<TimeMask>(json!({})),
            json!({ "mask_fraction": [0.01, 0.2], "num_masks": 1, "fade_ms": 5.0, "p": 0.5 }),
        ),
        (
            read::<Reverb>(json!({ "response": { "folder": "data/rirs" } })),
            json!({ "response": { "folder": "data/rirs" }, "p": 0.5 }),
        ),
        (
            read::<Reverb>(json!({ "response": { "shoebox": { "rt60_s": [0.1, 0.3] } } })),
            json!({
                "response": {
                    "shoebox": {
                        "length_m": [3.0, 8.0], "width_m": [3.0, 8.0], "height_m": [2.5, 3.5], "rt60_s": [0.1, 0.3],
                    },
                },
                "p": 0.5,
            }),
        ),
        (read::<BandPass>(json!({})), json!({ "band": "telephone", "p": 0.5 })),
        (
            read::<BandPass>(json!({ "band": { "between": { "low_hz": [100, 300], "high_hz": [3000, 4000] } } })),
            json!({ "band": { "between": { "low_hz": [100.0, 300.0], "high_hz": [3000.0, 4000.0] } }, "p": 0.5 }),
        ),
        (
            read::<Codec>(json!({})),
            json!({ "rate_hz": [8000.0, 8000.0], "quantise": "mu_law", "p": 0.5 }),
        ),
        (
            read::<Clipping>(json!({})),
            json!({ "percentile_threshold": [0.0, 40.0], "p": 0.5 }),
        ),
        (read::<PeakNormalise>(json!({})), json!({ "peak_db": 0.0, "p": 0.5 })),
        (read::<VadTrim>(json!({})), json!({ "top_db": 30.0, "p": 0.5 })),
        (
            read::<PadOrTrim>(json!({ "trim": "random" })),
            json!({ "seconds": 5.0, "trim": "random", "pad": "zeros", "p": 1.0 }),
        ),
    ];
    for (found, expected) in cases {
        assert_eq!(found.unwrap(), expected);
    }
}

#[test]
fn configurations_that_cannot_be_read_say_why() {
    let cases = [
        (
            read::<Gain>(json!({ "gain_db": [6, -6] })),
            "the range [6, -6] is reversed; write [-6, 6]",
        ),
        (read::<Gain>(json!({ "gain_db": [1, 2, 3] })), "invalid length 3"),
        (read::<Gain>(json!({ "gain": [1, 2] })), "unknown field `gain`"),
        (read::<BackgroundNoise>(json!({})), "missing field `root`"),
        (
            read::<GaussianNoise>(json!({ "level": { "snr": [1, 2] } })),
            "unknown variant `snr`",
        ),
    ];
    for (found, expected) in cases {
        let message = found.unwrap_err();
        assert!(message.contains(expected), "{message}");
    }
    assert!(matches!(
        Interval::new(0.0, f64::NAN),
        Err(IntervalError::NotFinite { .. })
    ));
}

#[test]
fn schemas_show_bounds_units_and_the_path() {
    let schema = |schema: schemars::Schema| schema.to_value();
    let noise = schema(schemars::schema_for!(BackgroundNoise));
    let ratio = &noise["properties"]["snr_db"];
    assert_eq!(ratio["items"]["minimum"], json!(-60.0), "{ratio}");
    assert_eq!(
        (&ratio["minItems"], &ratio["maxItems"]),
        (&json!(2), &json!(2)),
        "{ratio}"
    );
    assert_eq!(ratio["default"], json!([5.0, 20.0]));
    assert_eq!(noise["properties"]["root"]["x-path"], json!(true));
    assert_eq!(noise["required"], json!(["root"]));
    for schema in [
        noise,
        schema(schemars::schema_for!(Gain)),
        schema(schemars::schema_for!(GaussianNoise)),
        schema(schemars::schema_for!(Polarity)),
        schema(schemars::schema_for!(RandomCrop)),
        schema(schemars::schema_for!(PadOrTrim)),
        schema(schemars::schema_for!(PitchShift)),
        schema(schemars::schema_for!(TimeStretch)),
        schema(schemars::schema_for!(SpeedPerturb)),
        schema(schemars::schema_for!(TimeShift)),
        schema(schemars::schema_for!(TimeMask)),
        schema(schemars::schema_for!(Reverb)),
        schema(schemars::schema_for!(BandPass)),
        schema(schemars::schema_for!(Codec)),
        schema(schemars::schema_for!(Clipping)),
        schema(schemars::schema_for!(PeakNormalise)),
        schema(schemars::schema_for!(VadTrim)),
    ] {
        assert_eq!(schema["additionalProperties"], json!(false));
        for (name, field) in schema["properties"].as_object().unwrap() {
            assert!(field["description"].is_string(), "{name}: {field}");
        }
    }
}
