//! A network's tensors by name: all of them, stored and restored, and how many there are.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor, TensorData};

use crate::network::Network;
use emorun_nn::waits;

/// Named tensors, as they are stored.
pub type NamedTensors = BTreeMap<String, TensorData>;

/// The dotted path of the tensor being visited: `<node>.<field>.…`.
#[derive(Debug, Default)]
pub struct TensorPath(Vec<String>);

impl TensorPath {
    /// The path of a node.
    pub fn of(node: &str) -> Self {
        Self(vec![node.to_owned()])
    }

    /// A module within; for [`ModuleVisitor::enter_module`].
    pub fn enter(&mut self, name: &str, container: &str) {
        // The enum over node kinds is our own wrapping, not part of a tensor's name.
        self.0.push(if container.starts_with("Enum:") {
            String::new()
        } else {
            name.to_owned()
        });
    }

    /// Out of it again.
    pub fn exit(&mut self) {
        self.0.pop();
    }

    /// The path as a name.
    pub fn join(&self) -> String {
        let mut joined = String::new();
        for part in self.0.iter().filter(|part| !part.is_empty()) {
            if !joined.is_empty() {
                joined.push('.');
            }
            joined.push_str(part);
        }
        joined
    }
}

/// The node that a tensor is of, by its name.
pub fn node_of(tensor: &str) -> &str {
    tensor.split('.').next().unwrap_or(tensor)
}

/// All tensors of a network, parameters and running statistics, by `<node>.<field>.…`.
pub fn collect(network: &Network) -> NamedTensors {
    struct Collect {
        path: TensorPath,
        tensors: NamedTensors,
    }
    impl ModuleVisitor for Collect {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.tensors.insert(self.path.join(), waits::data(param.val()));
        }
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.exit();
        }
    }
    let mut visitor = Collect {
        path: TensorPath::default(),
        tensors: NamedTensors::new(),
    };
    for (name, node) in network.nodes() {
        visitor.path.0.push(name.to_owned());
        node.visit(&mut visitor);
        visitor.path.0.pop();
    }
    visitor.tensors
}

/// Gradients of a network's parameters by name, as [`collect`] names them; those that a loss does not reach are absent.
pub fn gradients(network: &Network, gradients: &Gradients) -> BTreeMap<String, Vec<f32>> {
    struct Find<'a> {
        path: TensorPath,
        gradients: &'a Gradients,
        found: BTreeMap<String, Vec<f32>>,
    }
    impl ModuleVisitor for Find<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = param.val().grad(self.gradients) {
                self.found.insert(self.path.join(), waits::numbers(gradient));
            }
        }
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.exit();
        }
    }
    let mut find = Find {
        path: TensorPath::default(),
        gradients,
        found: BTreeMap::new(),
    };
    for (name, node) in network.nodes() {
        find.path.0.push(name.to_owned());
        node.visit(&mut find);
        find.path.0.pop();
    }
    find.found
}

/// Names of the matrices that stand as `[inputs, outputs]`, which PyTorch keeps the other way round.
pub fn transposed_in_torch(network: &Network) -> BTreeSet<String> {
    /// The modules that hold them, and their fields.
    const FIELDS: [(&str, &str); 5] = [
        ("Struct:Linear", "weight"),
        ("Struct:Direction", "weight_ih"),
        ("Struct:Direction", "weight_hh"),
        ("Struct:LowRank", "a"),
        ("Struct:LowRank", "b"),
    ];
    struct Walk {
        path: TensorPath,
        /// Whether each step of the path leads to such a field, or through an enum on the way to one.
        fields: Vec<Option<bool>>,
        found: BTreeSet<String>,
    }
    impl ModuleVisitor for Walk {
        fn visit_float<const D: usize>(&mut self, _param: &Param<Tensor<D>>) {
            if self.fields.iter().rev().find_map(|field| *field) == Some(true) {
                self.found.insert(self.path.join());
            }
        }
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
            let is_enum = container.starts_with("Enum:");
            self.fields
                .push((!is_enum).then(|| FIELDS.contains(&(container, name))));
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.exit();
            self.fields.pop();
        }
    }
    let mut walk = Walk {
        path: TensorPath::default(),
        fields: Vec::new(),
        found: BTreeSet::new(),
    };
    for (name, node) in network.nodes() {
        walk.path.0.push(name.to_owned());
        node.visit(&mut walk);
        walk.path.0.pop();
    }
    walk.found
}

/// Puts stored tensors into a network of the same structure.
///
/// # Errors
/// The names or shapes do not match; the message lists them.
pub fn restore(network: &mut Network, tensors: NamedTensors) -> Result<(), String> {
    struct Restore {
        path: TensorPath,
        tensors: NamedTensors,
        mistakes: Vec<String>,
    }
    impl ModuleMapper for Restore {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let name = self.path.join();
            let Some(data) = self.tensors.remove(&name) else {
                self.mistakes.push(format!("{name} is missing"));
                return param;
            };
            if *data.shape() != param.val().shape() {
                self.mistakes.push(format!(
                    "{name} has shape {}, not {}",
                    data.shape(),
                    param.val().shape()
                ));
                return param;
            }
            param.map(|tensor| {
                let tracked = tensor.is_require_grad();
                Tensor::from_data(data, &tensor.device()).set_require_grad(tracked)
            })
        }
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.exit();
        }
    }
    let mut mapper = Restore {
        path: TensorPath::default(),
        tensors,
        mistakes: Vec::new(),
    };
    network.map_nodes(|name, node| {
        mapper.path.0.push(name.to_owned());
        let node = node.map(&mut mapper);
        mapper.path.0.pop();
        node
    });
    mapper.mistakes.extend(
        mapper
            .tensors
            .keys()
            .map(|name| format!("{name} is not part of this network")),
    );
    if mapper.mistakes.is_empty() {
        Ok(())
    } else {
        Err(mapper.mistakes.join("; "))
    }
}

/// Number of parameters: (all, those that train).
pub fn count(network: &Network) -> (u64, u64) {
    struct Count(u64, u64);
    impl ModuleVisitor for Count {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let tensor = param.val();
            let size = tensor.shape().num_elements() as u64;
            if tensor.is_require_grad() {
                self.1 += size;
            }
            self.0 += size;
        }
    }
    let mut visitor = Count(0, 0);
    network.nodes().for_each(|(_, node)| node.visit(&mut visitor));
    (visitor.0, visitor.1)
}
