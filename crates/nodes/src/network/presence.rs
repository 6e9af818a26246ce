//! Which items of a batch each node runs on, where some lack a stream; see [`emorun_nn::presence`].

use emorun_nn::node::NodeError;
use emorun_nn::presence::Presence;
use emorun_nn::value::{PortId, Value, Values};

use super::{Network, StepContext};

impl Network {
    /// The items of a batch on which a node runs; `None` where it runs on all.
    pub fn presence(&self, index: usize, values: &Values) -> Option<Presence> {
        let (node, layer) = (self.wired.get(index)?, self.layers.get(index)?);
        let known = |from: &PortId| match values.get(&from.presence()) {
            Some(Value::Presence(presence)) => Some(presence.clone()),
            _ => None,
        };
        let inputs = node.inputs.iter().map(|(_, from, _)| known(from));
        if layer.takes_partial_items() {
            // An input that all items have is anything for each of them.
            let inputs: Option<Vec<Presence>> = inputs.collect();
            return inputs?
                .into_iter()
                .reduce(|a, b| a.or(&b))
                .filter(|presence| !presence.is_whole());
        }
        inputs.flatten().reduce(|a, b| a.and(&b))
    }

    /// The items of a batch of which a node that has run says something; `None` where it does of all.
    pub fn present<'a>(&self, node: &str, values: &'a Values) -> Option<&'a Presence> {
        match values.get(&PortId::new(node, "").presence()) {
            Some(Value::Presence(presence)) => Some(presence),
            _ => None,
        }
    }

    /// What stands at a port of the host for a batch in which no item has it; `None` for a port that nothing reads.
    pub fn absent_at(&self, port: &PortId, batch: usize) -> Option<Value> {
        let mut inputs = self.wired.iter().flat_map(|node| &node.inputs);
        let (_, _, signal) = inputs.find(|(_, from, _)| from == port)?;
        Value::absent(signal, batch, &self.device)
    }

    /// Runs a node on the items that have what it takes, and adds its outputs for the whole batch to `values`.
    pub(super) fn run(&self, index: usize, values: &mut Values, step: &StepContext) -> Result<(), NodeError> {
        let (node, layer) = (&self.wired[index], &self.layers[index]);
        let presence = self.presence(index, values);
        let context = self.context(node, step, presence.as_ref());
        if let Some(presence) = presence.as_ref().filter(|presence| presence.is_empty()) {
            for (port, signal) in &node.outputs {
                if let Some(value) = Value::absent(signal, presence.as_slice().len(), &self.device) {
                    values.insert(PortId::new(&node.name, port), value);
                }
            }
        } else {
            for (port, value) in layer.forward(&self.ports(index, values), &context)? {
                let value = match &presence {
                    Some(presence) => value.spread(presence),
                    None => value,
                };
                values.insert(PortId::new(&node.name, port), value);
            }
        }
        self.pass_on(index, presence, values);
        Ok(())
    }

    /// Notes which items a node has run on, for those behind it.
    pub(super) fn pass_on(&self, index: usize, presence: Option<Presence>, values: &mut Values) {
        if let Some(presence) = presence {
            let port = PortId::new(&self.wired[index].name, "").presence();
            values.insert(port, Value::Presence(presence));
        }
    }
}
