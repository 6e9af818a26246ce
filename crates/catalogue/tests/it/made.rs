//! Run directories as emorun leaves them, made without training.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// A run to be made.
pub struct Made {
    /// Its place below the folder of runs.
    pub place: String,
    /// How it stands.
    pub status: &'static str,
    /// Learning rate.
    pub lr: f64,
    /// Seed.
    pub seed: u64,
    /// Test UAR; validation is a hundredth above.
    pub uar: f64,
}

impl Made {
    /// A completed run.
    pub fn new(place: &str, uar: f64) -> Self {
        Self {
            place: place.to_owned(),
            status: "completed",
            lr: 1e-3,
            seed: 1,
            uar,
        }
    }

    /// What `run.json` holds.
    pub fn record(&self) -> Value {
        let experiment = self.place.split('/').next().unwrap_or_default();
        let minute = self.seed % 60;
        let filler: serde_json::Map<String, Value> = (0..120)
            .map(|at| (format!("setting_{at}"), json!(at as f64 / 7.0)))
            .collect();
        let speakers: Vec<String> = (0..24).map(|at| format!("ravdess/{at:02}")).collect();
        json!({
            "status": self.status, "id": format!("{:016x}", self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            "name": experiment, "seed": self.seed, "fold": null, "parent": null, "set": [],
            "config_hash": "1f4ec3b1ef2e687205711986f4853907",
            "resolved": {
                "name": experiment, "seed": self.seed, "training": { "epochs": 50, "optimizer": { "kind": "adam", "lr": self.lr } },
                "encoders": { "crnn": filler },
            },
            "versions": { "emorun": "0.1.0", "burn": "0.22.1" },
            "git": { "commit": "0123456789abcdef0123456789abcdef01234567", "diff": "" },
            "device": "cpu (built without CUDA)", "started": format!("2026-01-01T10:{minute:02}:00Z"),
            "ended": format!("2026-01-01T11:{minute:02}:00Z"), "members": [],
            "data": { "ravdess": { "kind": "ravdess", "items": 1440, "fingerprint": "ab" } },
            "certificate": { "splits": { "train": { "speakers": speakers } } },
        })
    }

    /// What `summary.json` holds.
    pub fn summary(&self) -> Value {
        let split = |uar: f64| {
            json!({
                "n": 8, "loss": 1.0 - uar, "losses": { "ce": 1.0 - uar },
                "heads": { "emotion": {
                    "uar": uar, "wa": uar, "macro_f1": uar, "weighted_f1": uar, "log_loss": 1.0 - uar,
                    "confusion": { "labels": ["neutral", "angry"], "counts": [[3, 1], [2, 2]] },
                } },
            })
        };
        json!({
            "status": "completed",
            "splits": { "train": split(0.9), "validation": split(self.uar + 0.01), "test": split(self.uar) },
            "best": { "step": 100, "epoch": 10, "metric": "emotion.uar", "value": self.uar + 0.01 },
            "seconds": { "train": 12.5, "checkpoints": 0.1, "total": 14.0 },
        })
    }

    /// Writes it, and gives its directory.
    pub fn write(&self, root: &Path) -> PathBuf {
        let dir = root.join(&self.place);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("run.json"), format!("{:#}\n", self.record())).unwrap();
        if self.status == "completed" {
            fs::write(dir.join("summary.json"), format!("{:#}\n", self.summary())).unwrap();
        }
        dir
    }
}
