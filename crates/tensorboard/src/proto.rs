//! The part of TensorBoard's protobuf messages that is written here, by hand.
//!
//! A `oneof` is spelt as optional fields: the wire format is the same, and only one is ever set.

use std::collections::BTreeMap;

/// `event.proto: Event`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Event {
    #[prost(double, tag = "1")]
    pub wall_time: f64,
    #[prost(int64, tag = "2")]
    pub step: i64,
    #[prost(string, optional, tag = "3")]
    pub file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    pub summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    pub session_log: Option<SessionLog>,
    #[prost(message, optional, tag = "10")]
    pub source_metadata: Option<SourceMetadata>,
}

/// `event.proto: SourceMetadata`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SourceMetadata {
    #[prost(string, tag = "1")]
    pub writer: String,
}

/// `SessionLog.SessionStatus.START`: data of earlier files at this step or later is superseded.
pub const SESSION_START: i32 = 1;

/// `event.proto: SessionLog`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SessionLog {
    #[prost(int32, tag = "1")]
    pub status: i32,
}

/// `summary.proto: Summary`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Summary {
    #[prost(message, repeated, tag = "1")]
    pub value: Vec<Value>,
}

/// `summary.proto: Summary.Value`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Value {
    #[prost(string, tag = "1")]
    pub tag: String,
    #[prost(float, optional, tag = "2")]
    pub simple_value: Option<f32>,
    #[prost(message, optional, tag = "8")]
    pub tensor: Option<Tensor>,
    #[prost(message, optional, tag = "9")]
    pub metadata: Option<Metadata>,
}

/// `DataClass.DATA_CLASS_TENSOR`.
pub const CLASS_TENSOR: i32 = 2;
/// `DataClass.DATA_CLASS_BLOB_SEQUENCE`.
pub const CLASS_BLOB: i32 = 3;

/// `summary.proto: SummaryMetadata`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Metadata {
    #[prost(message, optional, tag = "1")]
    pub plugin_data: Option<PluginData>,
    #[prost(int32, tag = "4")]
    pub data_class: i32,
}

/// `summary.proto: SummaryMetadata.PluginData`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PluginData {
    #[prost(string, tag = "1")]
    pub plugin_name: String,
    #[prost(bytes = "vec", tag = "2")]
    pub content: Vec<u8>,
}

/// `DataType.DT_FLOAT`.
pub const FLOAT: i32 = 1;
/// `DataType.DT_STRING`.
pub const STRING: i32 = 7;

/// `tensor.proto: TensorProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Tensor {
    #[prost(int32, tag = "1")]
    pub dtype: i32,
    #[prost(message, optional, tag = "2")]
    pub shape: Option<Shape>,
    /// Little-endian values, row after row.
    #[prost(bytes = "vec", tag = "4")]
    pub content: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "8")]
    pub strings: Vec<Vec<u8>>,
}

impl Tensor {
    /// A float tensor of `shape` holding `values` row after row.
    pub fn floats(shape: &[i64], values: impl IntoIterator<Item = f32>) -> Self {
        Self {
            dtype: FLOAT,
            shape: Some(Shape::new(shape)),
            content: values.into_iter().flat_map(f32::to_le_bytes).collect(),
            strings: Vec::new(),
        }
    }

    /// A one-dimensional tensor of byte strings.
    pub fn strings(values: Vec<Vec<u8>>) -> Self {
        Self {
            dtype: STRING,
            shape: Some(Shape::new(&[values.len() as i64])),
            content: Vec::new(),
            strings: values,
        }
    }
}

/// `tensor_shape.proto: TensorShapeProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Shape {
    #[prost(message, repeated, tag = "2")]
    pub dim: Vec<Dim>,
}

impl Shape {
    fn new(sizes: &[i64]) -> Self {
        Self {
            dim: sizes.iter().map(|&size| Dim { size }).collect(),
        }
    }
}

/// `tensor_shape.proto: TensorShapeProto.Dim`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Dim {
    #[prost(int64, tag = "1")]
    pub size: i64,
}

/// `hparams/plugin_data.proto: HParamsPluginData`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HParamsPlugin {
    #[prost(message, optional, tag = "3")]
    pub session_start_info: Option<SessionStart>,
    #[prost(message, optional, tag = "4")]
    pub session_end_info: Option<SessionEnd>,
}

/// `hparams/plugin_data.proto: SessionStartInfo`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SessionStart {
    #[prost(btree_map = "string, message", tag = "1")]
    pub hparams: BTreeMap<String, JsonValue>,
    #[prost(string, tag = "4")]
    pub group_name: String,
    #[prost(double, tag = "5")]
    pub start_time_secs: f64,
}

/// `hparams/api.proto: Status`.
pub const STATUS_SUCCESS: i32 = 1;
/// `hparams/api.proto: Status`.
pub const STATUS_FAILURE: i32 = 2;

/// `hparams/plugin_data.proto: SessionEndInfo`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SessionEnd {
    #[prost(int32, tag = "1")]
    pub status: i32,
    #[prost(double, tag = "2")]
    pub end_time_secs: f64,
}

/// `google/protobuf/struct.proto: Value`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct JsonValue {
    #[prost(double, optional, tag = "2")]
    pub number: Option<f64>,
    #[prost(string, optional, tag = "3")]
    pub string: Option<String>,
    #[prost(bool, optional, tag = "4")]
    pub boolean: Option<bool>,
}
