//! emorun's experiment language.
//!
//! An experiment file is read in stages, each a type of its own: texts ([`Sources`]) become an
//! ordered tree with places ([`Tree`]), which is checked against the schemas of the settings and
//! node kinds and read into typed values, whose references are resolved into a [`Graph`], over
//! which signals are inferred, which gives the [`Plan`]. A syntax error ends reading; every later
//! stage collects its mistakes into one [`Report`].
//!
//! The crate does no I/O: texts come through a callback, the working directory is an argument.

mod de;
mod diagnostic;
mod document;
mod experiment;
mod graph;
mod infer;
mod json_schema;
mod kind;
mod kinded;
mod load;
mod nearest;
mod plan;
mod refs;
mod render;
mod scalar;
mod schedule;
mod schema;
mod ser;
mod shape;
mod signal;
mod source;
mod yaml;

pub use de::{DeserializeError, from_tree};
pub use diagnostic::{Code, Diagnostic, Report, Severity};
pub use document::{Entry, MAX_DEPTH, MAX_NODES, MAX_TEXT_BYTES, Tree, Value, parse};
pub use experiment::{Draft, Experiment, Language, read_record};
pub use graph::{Edge, EdgeKind, Endpoint, Graph, Node, Producer};
pub use json_schema::experiment_schema;
pub use kind::{Cost, InferError, Inferred, InputSignals, KindInfo, KindSet, NodeSpec, Placement, Section};
pub use kinded::{KINDED_MARK, Kinded, schema_of};
pub use load::{ReadError, load};
pub use nearest::{nearest, suggestion};
pub use plan::{Plan, PlanInput, PlanNode, PlanUse};
pub use refs::{
    DATA, DataPath, EDGE_MARK, FOLDER_MARK, Inputs, MAX_FOLDER_NAME, NodeRef, PATH_MARK, PortRef, RUN, Uses,
    folder_name_problem, folder_name_schema,
};
pub use schedule::{Role, Roles, Schedule};
pub use ser::to_value;
pub use signal::{FrameRate, LabelSet, Signal};
pub use source::{Position, SourceId, Sources, Span};
pub use yaml::to_yaml;

/// What [`kinded_enum!`] expands to; not for direct use.
#[doc(hidden)]
pub mod private {
    pub use crate::kinded::{deserialize_kinded, kinded_schema, serialize_kinded};
    pub use {schemars, serde};
}
