//! What is made of the list of kinds: the types that hold any of them.

/// The node as what its section asks of it; `None` in any other section. A kind that is listed in a section
/// without being what this asks does not compile, so that none is forgotten.
macro_rules! of_section {
    (Augmentations, Augmentations, $node:expr) => {
        Some($node)
    };
    (Heads, Heads, $node:expr) => {
        Some($node)
    };
    (Generators, Generators, $node:expr) => {
        Some($node)
    };
    (Losses, Losses, $node:expr) => {
        Some($node)
    };
    (Policies, Policies, $node:expr) => {
        Some($node)
    };
    ($wanted:ident, $section:ident, $node:expr) => {{
        let _ = $node;
        None
    }};
}
pub(crate) use of_section;

/// Makes, from the list of kinds, the enum of configurations, the enum of Burn modules (Burn's `Module` cannot be boxed)
/// and the way from each to the contract that its variants keep.
macro_rules! registry {
    (
        host {
            $($host_name:ident => $host:ident($host_path:ty), $host_section:ident, $host_summary:literal, $host_source:literal, $host_inputs:literal => $host_outputs:literal;)+
        }
        device {
            $($name:ident => $config:ident($path:ty), $section:ident, $summary:literal, $source:literal, $inputs:literal => $outputs:literal;)+
        }
    ) => {
        /// Configuration of a node of any kind; what is asked of all kinds are methods of [`Kind`](crate::contract::Kind).
        #[derive(Clone, Debug)]
        pub enum NodeConfig {
            /// A corpus.
            Dataset(emorun_data::DatasetConfig),
            $(
                #[doc = $host_summary]
                $host($host_path),
            )+
            $(
                #[doc = $summary]
                $config($path)
            ),+
        }

        /// Module of a device node of any kind; what is asked of all modules are methods of
        /// [`Layer`](emorun_nn::node::Layer).
        #[derive(burn::module::Module, Debug)]
        pub enum NodeLayer {
            $(
                #[doc = $summary]
                $config(<$path as crate::contract::DeviceKind>::Layer)
            ),+
        }

        impl std::ops::Deref for NodeLayer {
            type Target = dyn emorun_nn::node::Layer;

            fn deref(&self) -> &Self::Target {
                match self { $(Self::$config(layer) => layer),+ }
            }
        }

        impl std::ops::DerefMut for NodeLayer {
            fn deref_mut(&mut self) -> &mut Self::Target {
                match self { $(Self::$config(layer) => layer),+ }
            }
        }

        impl emorun_nn::node::Callable for NodeLayer {
            fn call(
                &self,
                inputs: &emorun_nn::node::Ports,
                context: &emorun_nn::node::Context,
            ) -> Result<emorun_nn::node::Outputs, emorun_nn::node::NodeError> {
                self.forward(inputs, context)
            }

            fn without_autodiff(&self) -> std::sync::Arc<dyn emorun_nn::node::Callable> {
                std::sync::Arc::new(burn::module::Module::valid(self))
            }

            fn layer(&self) -> &dyn emorun_nn::node::Layer {
                &**self
            }
        }

        impl NodeLayer {
            /// The module as that of a loss; `None` for any other node.
            pub fn as_loss(&self) -> Option<&dyn emorun_nn::node::Loss> {
                match self { $(Self::$config(layer) => crate::registry::of_section!(Losses, $section, layer)),+ }
            }

            /// The module of a policy; `None` for any other node.
            pub fn policy(&self) -> Option<&crate::policies::layer::PolicyLayer> {
                match self { $(Self::$config(layer) => crate::registry::of_section!(Policies, $section, layer)),+ }
            }
        }

        impl std::ops::Deref for NodeConfig {
            type Target = dyn crate::contract::Kind;

            fn deref(&self) -> &Self::Target {
                match self {
                    Self::Dataset(config) => config,
                    $(Self::$host(config) => config,)+
                    $(Self::$config(config) => config),+
                }
            }
        }

        impl emorun_lang::NodeSpec for NodeConfig {
            type Facts = emorun_nn::facts::Facts;

            fn infer(
                &self,
                inputs: &emorun_lang::InputSignals<'_>,
                facts: &Self::Facts,
            ) -> Result<emorun_lang::Inferred, emorun_lang::InferError> {
                (**self).infer(inputs, facts)
            }
        }

        impl serde::Serialize for NodeConfig {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    Self::Dataset(config) => config.serialize(serializer),
                    $(Self::$host(config) => config.serialize(serializer),)+
                    $(Self::$config(config) => config.serialize(serializer)),+
                }
            }
        }

        impl NodeConfig {
            /// Builds a device node's module.
            ///
            /// # Errors
            /// As inference; a host node has no module; weights that cannot be used.
            pub fn build(
                &self,
                inputs: &emorun_lang::InputSignals<'_>,
                context: &emorun_nn::node::BuildContext<'_>,
            ) -> Result<NodeLayer, emorun_nn::node::BuildError> {
                use crate::contract::DeviceKind as _;
                match self {
                    Self::Dataset(_) $(| Self::$host(_))+ => {
                        Err(emorun_lang::InferError::invalid("kind", "a host node has no module").into())
                    }
                    $(Self::$config(config) => config.build(inputs, context).map(NodeLayer::$config)),+
                }
            }

            /// The kind's name.
            pub fn kind(&self) -> &'static str {
                match self {
                    Self::Dataset(config) => emorun_lang::Kinded::kind(config),
                    $(Self::$host(_) => stringify!($host_name),)+
                    $(Self::$config(_) => stringify!($name)),+
                }
            }

            /// The node as a kind of `augmentations`; `None` in any other section.
            pub fn as_augmentation(&self) -> Option<&dyn crate::augmentations::AugmentationKind> {
                match self {
                    Self::Dataset(_) => None,
                    $(Self::$host(config) => crate::registry::of_section!(Augmentations, $host_section, config),)+
                    $(Self::$config(config) => crate::registry::of_section!(Augmentations, $section, config)),+
                }
            }

            /// What the node predicts, as a head or a generator; `None` for any other node.
            pub fn predicts(&self) -> Option<crate::heads::Predicts> {
                let of_generator = self.as_generator().map(crate::generators::GeneratorKind::predicts);
                self.as_head().map(crate::heads::HeadKind::predicts).or(of_generator)
            }

            /// The node as a kind of `generators`.
            pub fn as_generator(&self) -> Option<&dyn crate::generators::GeneratorKind> {
                match self {
                    Self::Dataset(_) => None,
                    $(Self::$host(config) => crate::registry::of_section!(Generators, $host_section, config),)+
                    $(Self::$config(config) => crate::registry::of_section!(Generators, $section, config)),+
                }
            }

            /// The node as a kind of `heads`.
            pub fn as_head(&self) -> Option<&dyn crate::heads::HeadKind> {
                match self {
                    Self::Dataset(_) => None,
                    $(Self::$host(config) => crate::registry::of_section!(Heads, $host_section, config),)+
                    $(Self::$config(config) => crate::registry::of_section!(Heads, $section, config)),+
                }
            }

            /// The node as a kind of `losses`.
            pub fn as_loss(&self) -> Option<&dyn crate::losses::LossKind> {
                match self {
                    Self::Dataset(_) => None,
                    $(Self::$host(config) => crate::registry::of_section!(Losses, $host_section, config),)+
                    $(Self::$config(config) => crate::registry::of_section!(Losses, $section, config)),+
                }
            }

            /// The node as a kind of `policies`.
            pub fn as_policy(&self) -> Option<&dyn crate::policies::PolicyKind> {
                match self {
                    Self::Dataset(_) => None,
                    $(Self::$host(config) => crate::registry::of_section!(Policies, $host_section, config),)+
                    $(Self::$config(config) => crate::registry::of_section!(Policies, $section, config)),+
                }
            }
        }

        /// All kinds of this program.
        #[derive(Clone, Debug)]
        pub struct Kinds(Vec<emorun_lang::KindInfo>);

        impl Kinds {
            /// Names of those whose nodes have a module on the device.
            pub const ON_DEVICE: &'static [&'static str] = &[$(stringify!($name)),+];
        }

        impl Default for Kinds {
            fn default() -> Self {
                let mut kinds = emorun_data::KINDS.to_vec();
                $(kinds.push(emorun_lang::KindInfo {
                    name: stringify!($host_name),
                    section: emorun_lang::Section::$host_section,
                    summary: $host_summary,
                    source: $host_source,
                    schema: <$host_path as crate::contract::Fields>::schema,
                    inputs: $host_inputs,
                    outputs: $host_outputs,
                });)+
                $(kinds.push(emorun_lang::KindInfo {
                    name: stringify!($name),
                    section: emorun_lang::Section::$section,
                    summary: $summary,
                    source: $source,
                    schema: <$path as crate::contract::Fields>::schema,
                    inputs: $inputs,
                    outputs: $outputs,
                });)+
                Self(kinds)
            }
        }

        impl emorun_lang::KindSet for Kinds {
            type Config = NodeConfig;

            fn kinds(&self) -> &[emorun_lang::KindInfo] {
                &self.0
            }

            fn parse(
                &self,
                kind: &str,
                fields: &emorun_lang::Tree,
            ) -> Result<NodeConfig, emorun_lang::DeserializeError> {
                use crate::contract::Fields;
                match kind {
                    $(stringify!($host_name) => <$host_path as Fields>::parse(fields).map(NodeConfig::$host),)+
                    $(stringify!($name) => <$path as Fields>::parse(fields).map(NodeConfig::$config),)+
                    corpus => <emorun_data::DatasetConfig as emorun_lang::Kinded>::deserialize_kind(corpus, fields)
                        .map(NodeConfig::Dataset),
                }
            }
        }
    };
}
pub(crate) use registry;
