//! The recurrence of a selective state space model, with a backward that keeps a state in 64 frames.

use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::kernel::{self, Kernel, dense_inputs};
use super::simd::{dense, exp_negative, multiply_add, sum2, total, vectorised};
use super::tensor;

/// Channels that a task takes at once: their states stay in a core's own cache.
const CHANNELS: usize = 64;
/// Frames from one kept state to the next; those between are computed again in the backward pass.
const FRAMES: usize = 64;

/// What [`selective_scan`] takes.
#[derive(Clone, Debug)]
pub struct Scan {
    /// What drives the states: `[batch, time, channels]`.
    pub x: Tensor<3>,
    /// How long a frame lasts for each channel, not negative; a state passes by a frame of 0 unchanged. As `x`.
    pub delta: Tensor<3>,
    /// Decay of each state, not positive: `[states, channels]`.
    pub a: Tensor<2>,
    /// How `x` enters the states: `[batch, time, states]`.
    pub b: Tensor<3>,
    /// How the states are read. As `b`.
    pub c: Tensor<3>,
    /// The states before the first frame, `[batch, states, channels]`; zero when left out.
    pub before: Option<Tensor<3>>,
}

/// `h_t = exp(Δ_t a) h_{t−1} + Δ_t b_t x_t`, `y_t = Σ_n c_t h_t` for each channel, and the states after the last frame.
///
/// Time and memory are linear in the number of frames. On the CPU values are within 1e-5 of the definition and gradients
/// within 1e-4, relative to the largest; elsewhere it is composed of Burn's operations, a doubling scan within 64 frames.
///
/// # Shapes
/// - output: `[batch, time, channels]` and `[batch, states, channels]`
///
/// # Source
/// Gu & Dao 2023, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", §3.2 and algorithm 2.
pub fn selective_scan(scan: Scan) -> (Tensor<3>, Tensor<3>) {
    let [batch, time, channels] = scan.x.dims();
    let [states, _] = scan.a.dims();
    assert_eq!(
        scan.delta.dims(),
        [batch, time, channels],
        "selective scan: delta is not as x"
    );
    assert_eq!(
        scan.a.dims(),
        [states, channels],
        "selective scan: a has other channels than x"
    );
    for (name, given) in [("b", &scan.b), ("c", &scan.c)] {
        assert_eq!(
            given.dims(),
            [batch, time, states],
            "selective scan: {name} has other frames or states"
        );
    }
    let before = match scan.before {
        Some(before) => before,
        None => Tensor::zeros([batch, states, channels], (&scan.x.device(), scan.x.dtype())),
    };
    assert_eq!(
        before.dims(),
        [batch, states, channels],
        "selective scan: states before are of other sizes"
    );
    if !kernel::runs_on(&scan.x) {
        return composed(scan.x, scan.delta, scan.a, (scan.b, scan.c), before);
    }
    let both = Tensor::cat(vec![scan.b, scan.c], 2);
    let inputs = vec![
        scan.x.into_dispatch(),
        scan.delta.into_dispatch(),
        scan.a.into_dispatch(),
        both.into_dispatch(),
        before.into_dispatch(),
    ];
    let sizes = SelectiveScan {
        batch,
        time,
        channels,
        states,
    };
    let rows: Tensor<3> = kernel::run(sizes, inputs);
    (rows.clone().narrow(1, 0, time), rows.narrow(1, time, states))
}

/// The same of Burn's operations. Within a stretch of frames, each pass joins what was found of neighbouring spans, which
/// become twice as long: `(e, u)` of two spans is `(e₂ e₁, u₂ + e₂ u₁)`. A factor `e` is at most 1, so that nothing
/// overflows as it does in quotients of cumulative products.
fn composed(
    x: Tensor<3>,
    delta: Tensor<3>,
    a: Tensor<2>,
    (b, c): (Tensor<3>, Tensor<3>),
    mut state: Tensor<3>,
) -> (Tensor<3>, Tensor<3>) {
    let [batch, time, channels] = x.dims();
    let [states, _] = a.dims();
    let a = a.reshape([1, 1, states, channels]);
    let mut outputs = Vec::new();
    for start in (0..time).step_by(FRAMES) {
        let frames = FRAMES.min(time - start);
        let rows = |of: &Tensor<3>, width| of.clone().narrow(1, start, frames).reshape([batch, frames, 1, width]);
        let columns = |of: &Tensor<3>| of.clone().narrow(1, start, frames).reshape([batch, frames, states, 1]);
        let lasts = rows(&delta, channels);
        let mut factors = (lasts.clone() * a.clone()).exp();
        let mut states_at = lasts * rows(&x, channels) * columns(&b);
        let mut span = 1;
        while span < frames {
            let later = frames - span;
            let of_later = factors.clone().narrow(1, span, later);
            let joined =
                of_later.clone() * states_at.clone().narrow(1, 0, later) + states_at.clone().narrow(1, span, later);
            states_at = Tensor::cat(vec![states_at.narrow(1, 0, span), joined], 1);
            let joined = of_later * factors.clone().narrow(1, 0, later);
            factors = Tensor::cat(vec![factors.narrow(1, 0, span), joined], 1);
            span *= 2;
        }
        let states_at = states_at + factors * state.reshape([batch, 1, states, channels]);
        outputs.push(
            (states_at.clone() * columns(&c))
                .sum_dim(2)
                .reshape([batch, frames, channels]),
        );
        state = states_at.narrow(1, frames - 1, 1).reshape([batch, states, channels]);
    }
    (Tensor::cat(outputs, 1), state)
}

#[derive(Clone, Copy, Debug)]
struct SelectiveScan {
    batch: usize,
    time: usize,
    channels: usize,
    states: usize,
}

/// Channels of an item that a task computes: from `first` on, `width` of them.
#[derive(Clone, Copy, Debug)]
struct Block {
    item: usize,
    first: usize,
    width: usize,
}

/// What a task gives: its channels of the output, of what was kept on the way, and the last states.
struct Scanned {
    outputs: Vec<f32>,
    kept: Vec<f32>,
    last: Vec<f32>,
}

/// Gradients of a task's channels; those of `b` and `c` are its part of a sum over all.
struct Gradients {
    x: Vec<f32>,
    delta: Vec<f32>,
    a: Vec<f32>,
    both: Vec<f32>,
    before: Vec<f32>,
}

vectorised! {
    /// One frame: the states `[states][width]` go on, and `y` becomes what is read of them. `pushed` is `delta · x`.
    fn advance(h: &mut [f32], a: &[f32], delta: &[f32], pushed: &[f32], both: (&[f32], &[f32]), y: &mut [f32]) {
        let width = delta.len();
        let (b, c) = both;
        y.fill(0.0);
        for (((h, a), &b), &c) in h.chunks_exact_mut(width).zip(a.chunks_exact(width)).zip(b).zip(c) {
            for ((((h, &a), &delta), &pushed), y) in h.iter_mut().zip(a).zip(delta).zip(pushed).zip(y.iter_mut()) {
                *h = multiply_add::<FMA>(exp_negative::<FMA>(delta * a), *h, pushed * b);
                *y = multiply_add::<FMA>(c, *h, *y);
            }
        }
    }
}

vectorised! {
    /// As [`advance`], from the states `before` to `after`, keeping the factors by which they decay.
    fn advance_again(before: &[f32], after: &mut [f32], factors: &mut [f32], a: &[f32], frame: (&[f32], &[f32]), b: &[f32]) {
        let (delta, pushed) = frame;
        let width = delta.len();
        let rows = before.chunks_exact(width).zip(after.chunks_exact_mut(width)).zip(factors.chunks_exact_mut(width));
        for ((((before, after), factors), a), &b) in rows.zip(a.chunks_exact(width)).zip(b) {
            let numbers = before.iter().zip(after).zip(factors).zip(a).zip(delta).zip(pushed);
            for (((((&before, after), factor), &a), &delta), &pushed) in numbers {
                *factor = exp_negative::<FMA>(delta * a);
                *after = multiply_add::<FMA>(*factor, before, pushed * b);
            }
        }
    }
}

/// The frame that the gradient goes back through.
struct Frame<'a> {
    /// States before and after it, and the factors between them.
    before: &'a [f32],
    after: &'a [f32],
    factors: &'a [f32],
    a: &'a [f32],
    delta: &'a [f32],
    /// `delta · x`.
    pushed: &'a [f32],
    b: &'a [f32],
    c: &'a [f32],
    /// Gradient of the output.
    gradient: &'a [f32],
}

vectorised! {
    /// One frame backwards. `carried`, the gradient of the states after it, becomes that of those before; `da` adds up;
    /// `decay` becomes the gradient of `delta` by the factors, `push` that of `delta · x`, `dbc` those of `b` and `c`.
    fn go_back(frame: &Frame<'_>, carried: &mut [f32], da: &mut [f32], decay: &mut [f32], push: &mut [f32], dbc: &mut [f32]) {
        let width = frame.delta.len();
        let (db, dc) = dbc.split_at_mut(frame.b.len());
        decay.fill(0.0);
        push.fill(0.0);
        for state in 0..frame.b.len() {
            let row = state * width..(state + 1) * width;
            let (b, c) = (frame.b[state], frame.c[state]);
            let carried = &mut carried[row.clone()];
            for (carried, &gradient) in carried.iter_mut().zip(frame.gradient) {
                *carried = multiply_add::<FMA>(c, gradient, *carried);
            }
            dc[state] = sum2(&frame.after[row.clone()], frame.gradient, |after, gradient| after * gradient);
            db[state] = sum2(carried, frame.pushed, |carried, pushed| carried * pushed);
            let numbers = carried.iter_mut().zip(&frame.before[row.clone()]).zip(&frame.factors[row.clone()]);
            let numbers = numbers.zip(&frame.a[row.clone()]).zip(&mut da[row]).zip(frame.delta);
            for ((((((carried, &before), &factor), &a), da), &delta), (decay, push)) in
                numbers.zip(decay.iter_mut().zip(push.iter_mut()))
            {
                *push = multiply_add::<FMA>(*carried, b, *push);
                *carried *= factor;
                // What the exponent, delta · a, gets.
                let exponent = *carried * before;
                *da = multiply_add::<FMA>(exponent, delta, *da);
                *decay = multiply_add::<FMA>(exponent, a, *decay);
            }
        }
    }
}

impl SelectiveScan {
    fn blocks(&self) -> Vec<Block> {
        let of_item = |item| {
            (0..self.channels).step_by(CHANNELS).map(move |first| Block {
                item,
                first,
                width: CHANNELS.min(self.channels - first),
            })
        };
        (0..self.batch).flat_map(of_item).collect()
    }

    /// A block's channels of a row of an item's `rows` in a tensor `[batch, rows, channels]`.
    fn row<'a>(&self, numbers: &'a [f32], block: Block, (rows, row): (usize, usize)) -> &'a [f32] {
        let start = (block.item * rows + row) * self.channels + block.first;
        &numbers[start..start + block.width]
    }

    /// A block's channels of all `rows` of an item.
    fn gathered(&self, numbers: &[f32], block: Block, rows: usize) -> Vec<f32> {
        (0..rows)
            .flat_map(|row| self.row(numbers, block, (rows, row)))
            .copied()
            .collect()
    }

    /// Rows of all blocks side by side again: `[batch, rows, channels]` of what each block has as `[rows, width]`.
    fn scattered(&self, blocks: &[(Block, &[f32])], rows: usize, out: &mut [f32], (of, first): (usize, usize)) {
        for (block, numbers) in blocks {
            for (row, numbers) in numbers.chunks_exact(block.width).enumerate().take(rows) {
                let start = (block.item * of + first + row) * self.channels + block.first;
                out[start..start + block.width].copy_from_slice(numbers);
            }
        }
    }

    /// `b` and `c` of a frame.
    fn both<'a>(&self, numbers: &'a [f32], item: usize, frame: usize) -> (&'a [f32], &'a [f32]) {
        numbers[(item * self.time + frame) * 2 * self.states..][..2 * self.states].split_at(self.states)
    }

    fn scan(&self, block: Block, inputs: &[&[f32]; 5], keep: bool) -> Scanned {
        let [x, delta, a, both, before] = inputs;
        let a = self.gathered(a, Block { item: 0, ..block }, self.states);
        let mut h = self.gathered(before, block, self.states);
        let mut outputs = vec![0.0; self.time * block.width];
        let mut kept = Vec::new();
        let mut pushed = vec![0.0; block.width];
        for (frame, y) in outputs.chunks_exact_mut(block.width).enumerate() {
            if keep && frame % FRAMES == 0 {
                kept.extend_from_slice(&h);
            }
            let x = self.row(x, block, (self.time, frame));
            let delta = self.row(delta, block, (self.time, frame));
            for ((pushed, x), delta) in pushed.iter_mut().zip(x).zip(delta) {
                *pushed = x * delta;
            }
            advance(&mut h, &a, delta, &pushed, self.both(both, block.item, frame), y);
        }
        Scanned { outputs, kept, last: h }
    }

    fn go_back(&self, block: Block, inputs: &[&[f32]; 5], kept: &[f32], gradient: &[f32]) -> Gradients {
        let [x, delta, a, both, _] = inputs;
        let (width, size) = (block.width, self.states * block.width);
        let a = self.gathered(a, Block { item: 0, ..block }, self.states);
        let rows = self.time + self.states;
        let mut carried: Vec<f32> = (self.time..rows)
            .flat_map(|row| self.row(gradient, block, (rows, row)))
            .copied()
            .collect();
        let mut found = Gradients {
            x: vec![0.0; self.time * width],
            delta: vec![0.0; self.time * width],
            a: vec![0.0; size],
            both: vec![0.0; self.time * 2 * self.states],
            before: Vec::new(),
        };
        let (mut states, mut factors) = (vec![0.0; (FRAMES + 1) * size], vec![0.0; FRAMES * size]);
        let mut pushed = vec![0.0; FRAMES * width];
        let (mut decay, mut push) = (vec![0.0; width], vec![0.0; width]);
        for start in (0..self.time).step_by(FRAMES).rev() {
            let frames = FRAMES.min(self.time - start);
            states[..size].copy_from_slice(&kept[start / FRAMES * size..][..size]);
            for at in 0..frames {
                let x = self.row(x, block, (self.time, start + at));
                let delta = self.row(delta, block, (self.time, start + at));
                let pushed = &mut pushed[at * width..][..width];
                for ((pushed, x), delta) in pushed.iter_mut().zip(x).zip(delta) {
                    *pushed = x * delta;
                }
                let (earlier, later) = states.split_at_mut((at + 1) * size);
                let (before, after) = (&earlier[at * size..], &mut later[..size]);
                let factors = &mut factors[at * size..][..size];
                let (b, _) = self.both(both, block.item, start + at);
                advance_again(before, after, factors, &a, (delta, pushed), b);
            }
            for at in (0..frames).rev() {
                let frame = start + at;
                let (b, c) = self.both(both, block.item, frame);
                let x = self.row(x, block, (self.time, frame));
                let delta = self.row(delta, block, (self.time, frame));
                let through = Frame {
                    before: &states[at * size..][..size],
                    after: &states[(at + 1) * size..][..size],
                    factors: &factors[at * size..][..size],
                    a: &a,
                    delta,
                    pushed: &pushed[at * width..][..width],
                    b,
                    c,
                    gradient: self.row(gradient, block, (rows, frame)),
                };
                let dbc = &mut found.both[frame * 2 * self.states..][..2 * self.states];
                go_back(&through, &mut carried, &mut found.a, &mut decay, &mut push, dbc);
                let own = frame * width..(frame + 1) * width;
                for ((((dx, dd), &push), &decay), (&x, &delta)) in (found.x[own.clone()].iter_mut())
                    .zip(&mut found.delta[own])
                    .zip(&push)
                    .zip(&decay)
                    .zip(x.iter().zip(delta))
                {
                    *dx = push * delta;
                    *dd = push * x + decay;
                }
            }
        }
        found.before = carried;
        found
    }
}

impl Kernel for SelectiveScan {
    fn forward(&self, inputs: Vec<FlexTensor>, saved: Option<&mut Vec<FlexTensor>>) -> FlexTensor {
        let inputs: [FlexTensor; 5] = dense_inputs(inputs);
        let numbers = inputs.each_ref().map(|input| input.storage::<f32>());
        let blocks = self.blocks();
        let keep = saved.is_some();
        let scanned: Vec<Scanned> = blocks
            .par_iter()
            .map(|&block| self.scan(block, &numbers, keep))
            .collect();
        let rows = self.time + self.states;
        let mut out = vec![0.0; self.batch * rows * self.channels];
        let of = |part: fn(&Scanned) -> &[f32]| -> Vec<(Block, &[f32])> {
            blocks.iter().copied().zip(scanned.iter().map(part)).collect()
        };
        self.scattered(&of(|scanned| &scanned.outputs), self.time, &mut out, (rows, 0));
        self.scattered(&of(|scanned| &scanned.last), self.states, &mut out, (rows, self.time));
        if let Some(saved) = saved {
            // By block, one behind the other: only the backward pass reads it.
            let kept: Vec<f32> = scanned.iter().flat_map(|scanned| &scanned.kept).copied().collect();
            let count = kept.len();
            saved.extend(inputs.iter().cloned());
            saved.push(tensor(kept, [count]));
        }
        tensor(out, [self.batch, rows, self.channels])
    }

    fn backward(&self, saved: Vec<FlexTensor>, gradient: FlexTensor, _: &[bool]) -> Vec<Option<FlexTensor>> {
        let [x, delta, a, both, before, kept] = dense_inputs(saved);
        let gradient = dense(gradient);
        let numbers = [&x, &delta, &a, &both, &before].map(|input| input.storage::<f32>());
        let (kept, gradient) = (kept.storage::<f32>(), gradient.storage::<f32>());
        let blocks = self.blocks();
        let chunks = self.time.div_ceil(FRAMES);
        let mut at = 0;
        let starts: Vec<usize> = blocks
            .iter()
            .map(|block| {
                let start = at;
                at += chunks * self.states * block.width;
                start
            })
            .collect();
        let found: Vec<Gradients> = (blocks.par_iter().zip(&starts))
            .map(|(&block, &start)| self.go_back(block, &numbers, &kept[start..], gradient))
            .collect();
        let of = |part: fn(&Gradients) -> &[f32]| -> Vec<(Block, &[f32])> {
            blocks.iter().copied().zip(found.iter().map(part)).collect()
        };
        let by_rows = |part, rows| {
            let mut out = vec![0.0; self.batch * rows * self.channels];
            self.scattered(&of(part), rows, &mut out, (rows, 0));
            tensor(out, [self.batch, rows, self.channels])
        };
        let per_item = blocks.len() / self.batch.max(1);
        // Summed over items, and over blocks, in their order.
        let mut da = vec![0.0; self.states * self.channels];
        for (block, own) in of(|found| &found.a) {
            for (state, own) in own.chunks_exact(block.width).enumerate() {
                let into = &mut da[state * self.channels + block.first..][..block.width];
                into.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
            }
        }
        let of_both = found.chunks(per_item.max(1)).flat_map(|blocks| {
            let parts = blocks.iter().map(|found| found.both.clone()).collect();
            total(parts, self.time * 2 * self.states)
        });
        vec![
            Some(by_rows(|found| &found.x, self.time)),
            Some(by_rows(|found| &found.delta, self.time)),
            Some(tensor(da, [self.states, self.channels])),
            Some(tensor(of_both.collect(), [self.batch, self.time, 2 * self.states])),
            Some(by_rows(|found| &found.before, self.states)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Case, values};

    /// Output and last states side by side, of `x`, what becomes delta, what becomes a, `b` and `c`, states before.
    fn scanned([x, delta, a, both, before]: [Tensor<3>; 5], run: impl Fn(Scan) -> (Tensor<3>, Tensor<3>)) -> Tensor<3> {
        let states = a.dims()[1];
        let (y, last) = run(Scan {
            x,
            // Some frames do not count.
            delta: (delta + 0.3).clamp_min(0.0),
            a: -a.powi_scalar(2).squeeze_dim(0) * 4.0,
            b: both.clone().narrow(2, 0, states),
            c: both.narrow(2, states, states),
            before: Some(before),
        });
        Tensor::cat(vec![y, last], 1)
    }

    fn case(batch: usize, time: usize, channels: usize, states: usize) -> Case<5, 3> {
        let number = |shape: [usize; 3], seed| (values(shape.iter().product(), seed), shape);
        Case::new([
            number([batch, time, channels], 1),
            number([batch, time, channels], 2),
            number([1, states, channels], 3),
            number([batch, time, 2 * states], 4),
            number([batch, states, channels], 5),
        ])
    }

    /// The definition, frame by frame.
    fn plain(scan: Scan) -> (Tensor<3>, Tensor<3>) {
        let [batch, time, channels] = scan.x.dims();
        let states = scan.a.dims()[0];
        let mut h = scan.before.unwrap();
        let mut outputs = Vec::new();
        for frame in 0..time {
            let row = |of: &Tensor<3>| of.clone().narrow(1, frame, 1).reshape([batch, 1, channels]);
            let column = |of: &Tensor<3>| of.clone().narrow(1, frame, 1).reshape([batch, states, 1]);
            let delta = row(&scan.delta);
            h = (delta.clone() * scan.a.clone().unsqueeze::<3>()).exp() * h + delta * row(&scan.x) * column(&scan.b);
            outputs.push((h.clone() * column(&scan.c)).sum_dim(1));
        }
        (Tensor::cat(outputs, 1), h)
    }

    #[test]
    fn values_and_gradients_are_those_of_the_recurrence() {
        for (batch, time, channels, states) in [(1, 1, 1, 1), (2, 5, 3, 4), (2, 64, 70, 16), (1, 131, 65, 2)] {
            case(batch, time, channels, states).agrees(
                |inputs| scanned(inputs, selective_scan),
                |inputs| scanned(inputs, plain),
                1e-4,
            );
        }
    }

    #[test]
    fn what_is_composed_of_other_operations_is_the_same() {
        let composed = |scan: Scan| composed(scan.x, scan.delta, scan.a, (scan.b, scan.c), scan.before.unwrap());
        for (batch, time, channels, states) in [(1, 1, 2, 3), (2, 7, 3, 4), (1, 64, 5, 2), (2, 100, 4, 3)] {
            case(batch, time, channels, states).agrees(
                |inputs| scanned(inputs, composed),
                |inputs| scanned(inputs, plain),
                1e-4,
            );
        }
    }

    #[test]
    fn stretches_give_what_the_whole_gives() {
        let device = burn::tensor::Device::flex();
        let tensor = |seed, shape: [usize; 3]| {
            let data = burn::tensor::TensorData::new(values(shape.iter().product(), seed), shape);
            Tensor::<3>::from_data(data, &device)
        };
        let whole = Scan {
            x: tensor(1, [2, 90, 5]),
            delta: tensor(2, [2, 90, 5]).abs(),
            a: -tensor(3, [1, 4, 5]).abs().squeeze_dim(0),
            b: tensor(4, [2, 90, 4]),
            c: tensor(5, [2, 90, 4]),
            before: None,
        };
        let (want, last) = selective_scan(whole.clone());
        let mut before = None;
        let mut parts = Vec::new();
        for (start, frames) in [(0, 1), (1, 63), (64, 26)] {
            let cut = |of: &Tensor<3>| of.clone().narrow(1, start, frames);
            let (y, after) = selective_scan(Scan {
                x: cut(&whole.x),
                delta: cut(&whole.delta),
                a: whole.a.clone(),
                b: cut(&whole.b),
                c: cut(&whole.c),
                before,
            });
            parts.push(y);
            before = Some(after);
        }
        // To the bit: the order of operations is the same.
        let vector = |x: Tensor<3>| x.into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(vector(Tensor::cat(parts, 1)), vector(want));
        assert_eq!(vector(before.unwrap()), vector(last));
    }
}
