//! Metrics by name in `summary.json`, with what they follow from beside them.

use std::fmt;
use std::marker::PhantomData;

use emorun_metrics::{Agreement, Confusion, Metric};
use indexmap::IndexMap;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Metrics in their order, with their values.
pub type Values = Vec<(Metric, Option<f64>)>;

/// Metrics in their order, and what they follow from. Written as one object: every metric by its name, `null` where it is
/// not defined, then what it follows from by its own key.
#[derive(Clone, Debug)]
pub struct Measured<T> {
    /// Each metric and its value.
    pub metrics: Values,
    /// What they follow from; left out in a mean or deviation.
    pub detail: Option<T>,
}

/// What metrics follow from.
pub trait Detail {
    /// Its key beside the metrics.
    const KEY: &'static str;
}

impl Detail for Confusion {
    const KEY: &'static str = "confusion";
}

impl Detail for Agreement {
    const KEY: &'static str = "agreement";
}

impl<T> Detail for IndexMap<String, Measured<T>> {
    const KEY: &'static str = "numbers";
}

impl<T> Default for Measured<T> {
    fn default() -> Self {
        Self::new(Vec::new(), None)
    }
}

impl<T> Measured<T> {
    /// Metrics and what they follow from.
    pub fn new(metrics: Values, detail: Option<T>) -> Self {
        Self { metrics, detail }
    }

    /// One of the metrics; `None` where it has no value or is not there.
    pub fn metric(&self, metric: Metric) -> Option<f64> {
        self.metrics.iter().find(|(own, _)| *own == metric)?.1
    }
}

impl<T: Detail + Serialize> Serialize for Measured<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (metric, value) in &self.metrics {
            map.serialize_entry(metric, value)?;
        }
        if let Some(detail) = &self.detail {
            map.serialize_entry(T::KEY, detail)?;
        }
        map.end()
    }
}

impl<'de, T: Detail + Deserialize<'de>> Deserialize<'de> for Measured<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object<T>(PhantomData<T>);

        impl<'de, T: Detail + Deserialize<'de>> Visitor<'de> for Object<T> {
            type Value = Measured<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("metrics by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Measured<T>, A::Error> {
                let mut measured = Measured::default();
                while let Some(key) = map.next_key::<String>()? {
                    if key == T::KEY {
                        measured.detail = Some(map.next_value()?);
                    } else if let Some(metric) = Metric::named(&key) {
                        measured.metrics.push((metric, map.next_value()?));
                    } else {
                        // What another version has written.
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(measured)
            }
        }

        deserializer.deserialize_map(Object(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_come_back_from_a_summary_in_their_order_with_what_they_follow_from() {
        let mut counts = Confusion::new(&["a", "b"]);
        counts.extend(&[0, 1, 1], &[0, 0, 1]).unwrap();
        let metrics = vec![
            (Metric::WA, Some(0.25)),
            (Metric::ROC_AUC, None),
            (Metric::UAR, Some(0.5)),
        ];
        let text = serde_json::to_string(&Measured::new(metrics.clone(), Some(counts.clone()))).unwrap();
        let expected =
            r#"{"wa":0.25,"roc_auc":null,"uar":0.5,"confusion":{"labels":["a","b"],"counts":[[1,0],[1,1]]}}"#;
        assert_eq!(text, expected);
        let newer = text.replacen('{', r#"{"of_a_later_version":[1],"#, 1);
        let back: Measured<Confusion> = serde_json::from_str(&newer).unwrap();
        assert_eq!((back.metrics, back.detail), (metrics, Some(counts)));
        let mean: Measured<Confusion> = serde_json::from_str(r#"{"uar":0.5}"#).unwrap();
        assert_eq!(serde_json::to_string(&mean).unwrap(), r#"{"uar":0.5}"#);
        assert_eq!((mean.metric(Metric::UAR), mean.metric(Metric::WA)), (Some(0.5), None));
    }
}
