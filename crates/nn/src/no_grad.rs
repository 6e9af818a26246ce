//! Parts of a node that no gradient comes of: what a policy is asked, and what it is rewarded with.

use crate::node::{Context, Ports};

impl Context {
    /// Runs a part of a node without recording a graph: its inputs, and the nodes that it holds with their weights,
    /// stand without autodiff, and nothing is noted to be computed again. What comes out keeps no tape alive, and is a
    /// constant where it meets what has a gradient.
    ///
    /// Tensors and modules that `run` brings itself are the caller's: [`burn::tensor::Tensor::inner`] and
    /// [`burn::module::Module::valid`] give them without autodiff.
    pub fn no_grad<T>(&self, inputs: &Ports, run: impl FnOnce(&Ports, &Self) -> T) -> T {
        let context = Self {
            segments: None,
            ..self.clone()
        };
        run(&inputs.without_autodiff(), &context)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use burn::module::Module;
    use burn::nn::Linear;
    use burn::tensor::{Device, Tensor};

    use crate::draw::DrawKey;
    use crate::layers::dense::Dense;
    use crate::node::{Context, Layer, NodeError, Outputs, Ports, output};
    use crate::precision::Precision;
    use crate::value::Value;

    #[derive(Module, Debug)]
    struct Held {
        linear: Linear,
    }

    impl Layer for Held {
        fn forward(&self, inputs: &Ports, _context: &Context) -> Result<Outputs, NodeError> {
            Ok(output(Value::Vector(self.linear.forward(inputs.vector("input")?))))
        }
    }

    fn context() -> Context {
        Context {
            training: true,
            step: DrawKey::root(1),
            epoch: DrawKey::root(1),
            items: Arc::new(["a".to_owned()]),
            precision: Precision::default(),
            progress: 0.0,
            segments: Some(Arc::default()),
        }
    }

    fn asked(inputs: &Ports, context: &Context) -> Tensor<2> {
        match &inputs.held("uses.held").unwrap().call(inputs, context).unwrap()[0] {
            (_, Value::Vector(vector)) => vector.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn no_graph_is_recorded_and_no_gradient_flows() {
        let device = Device::flex().autodiff();
        let held = Held {
            linear: Dense::new(2, 1).build(&device),
        };
        let x = Tensor::<2>::from_data([[1.0, -2.0]], &device).require_grad();
        let mut inputs = Ports::default();
        inputs.insert("input".to_owned(), Value::Vector(x.clone()));
        inputs.hold("uses.held".to_owned(), Arc::new(held.clone()));
        let context = context();

        // Outside the scope there is a graph, and gradients of the input and of the weights.
        let recorded = asked(&inputs, &context);
        assert!(recorded.is_autodiff() && recorded.is_tracked());
        let gradients = recorded.clone().sum().backward();
        assert!(x.grad(&gradients).is_some() && held.linear.weight.grad(&gradients).is_some());

        let (inside, scope) = context.no_grad(&inputs, |inputs, context| {
            (
                asked(inputs, context),
                (inputs.is_autodiff(), context.segments.is_some()),
            )
        });
        assert_eq!(scope, (false, false), "inputs and what is noted to be computed again");
        assert!(!inside.is_autodiff() && !inside.is_tracked() && !inside.is_require_grad());
        assert_eq!(inside.to_data(), recorded.clone().inner().to_data());

        // A constant beside what has a gradient: that of `x * constant` is the constant.
        let gradients = (x.clone() * inside.clone()).sum().backward();
        let of_x = x.grad(&gradients).unwrap().into_data().try_to_vec::<f32>().unwrap();
        let constant = inside.into_data().try_to_vec::<f32>().unwrap()[0];
        assert_eq!(of_x, [constant, constant]);
        assert!(
            held.linear.weight.grad(&gradients).is_none(),
            "nothing reaches the held node"
        );
    }
}
