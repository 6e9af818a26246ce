//! From a tree to a checked experiment.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

use crate::de::from_tree;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::document::{Entry, Tree, Value};
use crate::graph::{Graph, Node, Resolved, Unresolved, resolve};
use crate::infer::{Context, infer, order};
use crate::json_schema::experiment_schema;
use crate::kind::{KindInfo, KindSet, Section};
use crate::kinded::{schema_of, with_kind};
use crate::nearest::{listed, nearest, suggestion};
use crate::plan::{Plan, plan};
use crate::refs::split_reference;
use crate::schedule::{report_labels, report_unused, roles};
use crate::schema::Check;
use crate::ser::to_value;
use crate::signal::Signal;
use crate::source::Span;

/// The language of a program: its settings `S` and its node kinds.
pub struct Language<S, K> {
    kinds: K,
    settings_schema: Json,
    working_directory: PathBuf,
    settings: std::marker::PhantomData<fn() -> S>,
}

/// A file that was read as far as its mistakes allow.
pub struct Draft<S, C> {
    settings: Option<S>,
    graph: Graph<Option<C>>,
    mentioned: Vec<bool>,
    incomplete: Vec<bool>,
    tree: Tree,
}

/// A checked experiment.
#[derive(Clone, Debug)]
pub struct Experiment<S, C> {
    /// Everything that is not a node.
    pub settings: S,
    /// The nodes and their edges, in the order of the file.
    pub graph: Graph<C>,
    /// What is known before anything is allocated.
    pub plan: Plan,
    /// The experiment with every default, as it would be written; see [`crate::to_yaml`].
    pub resolved: Json,
    /// The merged file, to find places in it.
    pub tree: Tree,
}

impl<S, K> Language<S, K>
where
    S: DeserializeOwned + JsonSchema + Serialize,
    K: KindSet,
{
    /// A language; paths are made absolute against `working_directory`.
    pub fn new(kinds: K, working_directory: impl Into<PathBuf>) -> Self {
        Self {
            kinds,
            settings_schema: schema_of::<S>(),
            working_directory: working_directory.into(),
            settings: std::marker::PhantomData,
        }
    }

    /// The node kinds.
    pub fn kinds(&self) -> &K {
        &self.kinds
    }

    /// The JSON Schema of an experiment file.
    pub fn schema(&self) -> Json {
        experiment_schema(&self.settings_schema, self.kinds.kinds())
    }

    /// Checks a tree against settings and kinds and reads what is right, collecting every mistake.
    pub fn read(&self, mut tree: Tree, report: &mut Report) -> Draft<S, K::Config> {
        let settings = self.read_settings(&mut tree, report);
        let mut reader = NodeReader {
            kinds: &self.kinds,
            working_directory: &self.working_directory,
            schemas: HashMap::new(),
            mentions: HashSet::new(),
            report,
        };
        let mut nodes = Vec::new();
        for section in Section::ALL {
            let entry = match &mut tree.value {
                Value::Map(entries) => entries.iter_mut().find(|entry| entry.key == section.name()),
                _ => None,
            };
            if let Some(entry) = entry {
                reader.section(section, &mut entry.value, &mut nodes);
            }
        }
        let mentions = reader.mentions;
        let Resolved {
            graph,
            mut mentioned,
            incomplete,
        } = resolve(nodes, report);
        for (node, mentioned) in graph.nodes().iter().zip(&mut mentioned) {
            *mentioned |= mentions.contains(&node.name);
        }
        Draft {
            settings,
            graph,
            mentioned,
            incomplete,
            tree,
        }
    }

    fn read_settings(&self, tree: &mut Tree, report: &mut Report) -> Option<S> {
        let before = report.errors();
        let top = Span {
            end: tree.span.start,
            ..tree.span
        };
        let Value::Map(entries) = &mut tree.value else {
            report.push(
                Diagnostic::error(Code::WrongType, "an experiment must be a mapping")
                    .label(top, format!("found {}", tree.describe())),
            );
            return None;
        };
        let (sections, settings): (Vec<Entry>, Vec<Entry>) = std::mem::take(entries)
            .into_iter()
            .partition(|entry| Section::from_name(&entry.key).is_some());
        let mut settings = Tree {
            value: Value::Map(settings),
            span: tree.span,
        };
        let mut also_known: Vec<&str> = Section::ALL.map(Section::name).to_vec();
        also_known.push("extends");
        Check {
            schema: &self.settings_schema,
            path: "",
            also_known: &also_known,
            working_directory: &self.working_directory,
        }
        .run(&mut settings, top, report);
        let typed = if report.errors() == before {
            from_tree(&settings)
                .map_err(|error| report.push(error.into_diagnostic(top)))
                .ok()
        } else {
            None
        };
        let Value::Map(mut entries) = settings.value else {
            return None;
        };
        entries.extend(sections);
        tree.value = Value::Map(entries);
        typed
    }
}

/// Reads the nodes of one file.
struct NodeReader<'a, K> {
    kinds: &'a K,
    working_directory: &'a Path,
    schemas: HashMap<&'static str, Json>,
    /// Words in nodes that could not be read, which may be references.
    mentions: HashSet<String>,
    report: &'a mut Report,
}

impl<K: KindSet> NodeReader<'_, K> {
    fn section(&mut self, section: Section, tree: &mut Tree, nodes: &mut Vec<Unresolved<Option<K::Config>>>) {
        let Value::Map(entries) = &mut tree.value else {
            self.report.push(
                Diagnostic::error(
                    Code::WrongType,
                    format!("`{section}` must be a mapping of nodes by name"),
                )
                .label(tree.span, format!("found {}", tree.describe())),
            );
            return;
        };
        let siblings: Vec<String> = entries
            .iter()
            .filter(|entry| entry.value.get("kind").is_some())
            .map(|entry| entry.key.clone())
            .collect();
        for entry in entries {
            let before = self.report.errors();
            let node = self.node(section, entry, &siblings);
            if self.report.errors() > before {
                mention(&entry.value, &mut self.mentions);
            }
            nodes.push(node);
        }
    }

    fn node(&mut self, section: Section, entry: &mut Entry, siblings: &[String]) -> Unresolved<Option<K::Config>> {
        let mut unresolved = Unresolved {
            node: Node {
                name: entry.key.clone(),
                section,
                kind: String::new(),
                config: None,
                span: entry.key_span,
                edges: Vec::new(),
            },
            edges: Vec::new(),
            takes_target: false,
        };
        let path = format!("{section}.{}", entry.key);
        let Some(info) = self.kind_of(section, &path, entry, siblings) else {
            return unresolved;
        };
        let (name, make_schema) = (info.name, info.schema);
        unresolved.node.kind = name.to_owned();
        let Value::Map(entries) = &mut entry.value.value else {
            return unresolved;
        };
        let before = self.report.errors();
        let kind_at = entries.iter().position(|entry| entry.key == "kind");
        let kind = kind_at.map(|at| entries.remove(at));
        let schema = self.schemas.entry(name).or_insert_with(make_schema);
        unresolved.takes_target = schema.pointer("/properties/target").is_some();
        unresolved.edges = Check {
            schema,
            path: &path,
            also_known: &[],
            working_directory: self.working_directory,
        }
        .run(&mut entry.value, entry.key_span, self.report);
        if self.report.errors() == before {
            match self.kinds.parse(name, &entry.value) {
                Ok(config) => unresolved.node.config = Some(config),
                Err(error) => self.report.push(error.into_diagnostic(entry.key_span)),
            }
        }
        if let (Some(kind), Value::Map(entries)) = (kind, &mut entry.value.value) {
            entries.insert(0, kind);
        }
        unresolved
    }

    /// The kind of a node, reported if there is none that fits the section.
    fn kind_of(&mut self, section: Section, path: &str, entry: &Entry, siblings: &[String]) -> Option<&KindInfo> {
        let here: Vec<&str> = self
            .kinds
            .kinds()
            .iter()
            .filter(|info| info.section == section)
            .map(|info| info.name)
            .collect();
        if !matches!(entry.value.value, Value::Map(_)) {
            self.report.push(
                Diagnostic::error(Code::WrongType, format!("`{path}` must be a mapping with `kind`"))
                    .label(entry.value.span, format!("found {}", entry.value.describe())),
            );
            return None;
        }
        let Some(kind) = entry.value.get("kind") else {
            // Comparing every name with every other takes too long in a file that is all wrong.
            let siblings = if self.report.is_full() { &[] } else { siblings };
            let meant = nearest(&entry.key, siblings.iter().map(String::as_str));
            let help = match meant {
                Some(name) => format!("did you mean the node `{name}`?"),
                None => format!("kinds of `{section}` are {}", listed(&here)),
            };
            self.report.push(
                Diagnostic::error(Code::MissingKey, format!("`{path}` lacks the key `kind`"))
                    .label(entry.key_span, "`kind` is required")
                    .help(help),
            );
            return None;
        };
        let Some(name) = kind.as_str() else {
            self.report.push(
                Diagnostic::error(Code::WrongType, format!("`{path}.kind` must be a word"))
                    .label(kind.span, format!("found {}", kind.describe())),
            );
            return None;
        };
        match self.kinds.kind(name) {
            Some(info) if info.section == section => Some(info),
            Some(info) => {
                self.report.push(
                    Diagnostic::error(
                        Code::MisplacedKind,
                        format!("the kind `{name}` belongs to `{}`", info.section),
                    )
                    .label(kind.span, format!("not a kind of `{section}`"))
                    .help(format!("move `{}` to `{}`", entry.key, info.section)),
                );
                None
            }
            None => {
                let elsewhere = nearest(name, self.kinds.kinds().iter().map(|info| info.name))
                    .and_then(|name| self.kinds.kind(name))
                    .filter(|info| info.section != section && nearest(name, here.iter().copied()).is_none());
                let help = match elsewhere {
                    Some(info) => Some(format!("did you mean `{}`, a kind of `{}`?", info.name, info.section)),
                    None => suggestion(name, &here, &format!("kinds of `{section}`")),
                };
                self.report.push(
                    Diagnostic::error(Code::UnknownKind, format!("there is no kind `{name}`"))
                        .label(kind.span, "unknown kind")
                        .maybe_help(help),
                );
                None
            }
        }
    }
}

/// Collects every word that could be meant as the name of a node.
fn mention(tree: &Tree, mentions: &mut HashSet<String>) {
    match &tree.value {
        Value::Str(text) => {
            mentions.insert(split_reference(text).0.to_owned());
        }
        Value::Seq(items) => items.iter().for_each(|item| mention(item, mentions)),
        Value::Map(entries) => entries.iter().for_each(|entry| mention(&entry.value, mentions)),
        _ => {}
    }
}

impl<S, C> Draft<S, C>
where
    S: Serialize,
    C: crate::NodeSpec + Serialize,
{
    /// The settings, if they are right.
    pub fn settings(&self) -> Option<&S> {
        self.settings.as_ref()
    }

    /// The nodes; a configuration is there if it is right.
    pub fn graph(&self) -> &Graph<Option<C>> {
        &self.graph
    }

    /// Names and configurations of the nodes of a section that are right.
    pub fn configs(&self, section: Section) -> impl Iterator<Item = (&str, &C)> {
        self.graph
            .section(section)
            .filter_map(|node| Some((node.name.as_str(), node.config.as_ref()?)))
    }

    /// The merged file, to find places in it.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Settings and nodes with every default; `None` where something is wrong.
    pub fn resolved(&self) -> Option<Json> {
        let nodes = self.graph.nodes().iter();
        let nodes = nodes.map(|node| Some((node, node.config.as_ref()?)));
        resolved(self.settings.as_ref()?, nodes.collect::<Option<Vec<_>>>()?)
    }

    /// Infers all signals from what the datasets give (ports of `data`), what is seen of training (ports
    /// of `run`) and the facts of files that nodes name, and makes the plan; what is wrong is added to
    /// the report of the stages before.
    ///
    /// # Errors
    /// The sorted report, if it holds an error; warnings alone are handed back beside the result.
    pub fn finish(
        self,
        data: &[(String, Signal)],
        run: &[(String, Signal)],
        facts: &C::Facts,
        mut report: Report,
    ) -> Result<(Experiment<S, C>, Report), Report> {
        let order = order(&self.graph);
        let is_broken = |dataset: &Node<Option<C>>| dataset.config.is_none();
        let context = Context {
            data,
            run,
            lacks_a_dataset: self.graph.section(Section::Datasets).any(is_broken),
            incomplete: &self.incomplete,
            tree: &self.tree,
        };
        let inferred = infer(&self.graph, &order, facts, &context, &mut report);
        let roles = roles(&self.graph);
        report_unused(&self.graph, &roles, &self.mentioned, &mut report);
        report_labels(&self.graph, &roles, &inferred, data, &mut report);
        report.sort();
        if report.has_errors() {
            return Err(report);
        }
        let (Some(settings), Some(graph)) = (self.settings, self.graph.try_map(|config| config)) else {
            return Err(report);
        };
        let nodes = graph.nodes().iter().map(|node| (node, &node.config));
        let Some(resolved) = resolved(&settings, nodes) else {
            return Err(report);
        };
        match plan(&graph, &order, inferred, &roles, data, run, &resolved) {
            Some(plan) => Ok((
                Experiment {
                    settings,
                    graph,
                    plan,
                    resolved,
                    tree: self.tree,
                },
                report,
            )),
            None => Err(report),
        }
    }
}

/// Settings and nodes with every default, in the order in which people read them.
fn resolved<'a, S: Serialize, C: Serialize + 'a, N: 'a>(
    settings: &S,
    nodes: impl IntoIterator<Item = (&'a Node<N>, &'a C)>,
) -> Option<Json> {
    let Json::Object(mut file) = to_value(settings).ok()? else {
        return None;
    };
    let mut sections: BTreeMap<Section, Map<String, Json>> = BTreeMap::new();
    for (node, config) in nodes {
        let fields = with_kind(&node.kind, to_value(config).ok()?);
        sections
            .entry(node.section)
            .or_default()
            .insert(node.name.clone(), fields);
    }
    for (section, nodes) in sections {
        file.insert(section.name().to_owned(), Json::Object(nodes));
    }
    Some(Json::Object(file))
}

/// Checks a tree against the schema of a type and reads it: for files that are not experiments.
///
/// Paths are made absolute against `working_directory`. Gives `None` if the report got errors.
pub fn read_record<T: DeserializeOwned + JsonSchema>(
    mut tree: Tree,
    working_directory: &Path,
    report: &mut Report,
) -> Option<T> {
    let before = report.errors();
    let top = Span {
        end: tree.span.start,
        ..tree.span
    };
    Check {
        schema: &schema_of::<T>(),
        path: "",
        also_known: &["extends"],
        working_directory,
    }
    .run(&mut tree, top, report);
    if report.errors() > before {
        return None;
    }
    from_tree(&tree)
        .map_err(|error| report.push(error.into_diagnostic(top)))
        .ok()
}
