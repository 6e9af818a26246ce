// Emotion over time: a row a class, stronger where it is likelier, the chosen label outlined.

import { styled } from '/page/colours.js';

/** Width that names of rows take of a picture, in CSS pixels. */
export const gutter = width => Math.min(110, Math.round(width * 0.28));

/** A canvas as large as it is shown, with its pen. Lengths are CSS pixels. */
export function fitted(canvas) {
  const { width, height } = canvas.getBoundingClientRect();
  const scale = window.devicePixelRatio || 1;
  canvas.width = Math.max(Math.round(width * scale), 1);
  canvas.height = Math.max(Math.round(height * scale), 1);
  const pen = canvas.getContext('2d');
  pen.scale(scale, scale);
  pen.font = '12px system-ui, sans-serif';
  pen.textBaseline = 'middle';
  return { pen, width, height };
}

/** Where windows that overlap meet, so that each moment belongs to one of them. */
export function cells(stretches) {
  return stretches.map((stretch, at) => {
    const before = stretches[at - 1], after = stretches[at + 1];
    const overlap = (one, other) => one && other && other.start_s < one.end_s;
    const middle = (one, other) => (one.start_s + one.end_s + other.start_s + other.end_s) / 4;
    return {
      stretch,
      from: overlap(before, stretch) ? middle(before, stretch) : stretch.start_s,
      to: overlap(stretch, after) ? middle(stretch, after) : stretch.end_s,
    };
  });
}

function clipped(pen, text, width) {
  if (pen.measureText(text).width <= width) return text;
  let short = text;
  while (short.length > 1 && pen.measureText(`${short}…`).width > width) short = short.slice(0, -1);
  return `${short}…`;
}

function range(head, stretches, name) {
  const values = stretches.map(stretch => stretch.heads[head.name]?.values?.[name]).filter(value => value !== undefined);
  return [Math.min(...values), Math.max(...values)];
}

/** Draws a head's track from `view.from` to `view.to` seconds. */
export function drawTrack(canvas, head, stretches, view) {
  // As high as its rows need.
  canvas.style.height = `${Math.max(head ? head.outputs.length * 24 + 24 : 0, 96)}px`;
  const { pen, width, height } = fitted(canvas);
  const left = gutter(width), bottom = height - 20;
  const x = seconds => left + (seconds - view.from) / (view.to - view.from) * (width - left);
  pen.clearRect(0, 0, width, height);
  if (!head) return;
  const rows = head.outputs, tall = bottom / rows.length;
  pen.fillStyle = styled('--ink');
  rows.forEach((name, row) => pen.fillText(clipped(pen, name, left - 10), 4, (row + 0.5) * tall));
  const shown = cells(stretches).filter(({ from, to }) => to > view.from && from < view.to);
  const bounds = rows.map(name => head.predicts === 'classes' ? [0, 1] : range(head, stretches, name));
  pen.save();
  pen.beginPath();
  pen.rect(left, 0, width - left, bottom);
  pen.clip();
  for (const { stretch, from, to } of shown) {
    const said = stretch.heads[head.name];
    if (!said) continue;
    const wide = Math.max(x(to) - x(from), 1);
    rows.forEach((name, row) => {
      const value = (said.calibrated ?? said.probabilities ?? said.values)[name];
      const [least, most] = bounds[row];
      pen.globalAlpha = (most > least ? (value - least) / (most - least) : 0.5) * (stretch.silent ? 0.25 : 1);
      pen.fillStyle = styled('--bar');
      pen.fillRect(x(from), row * tall + 2, wide + 0.5, tall - 4);
      pen.globalAlpha = 1;
      if (name === said.label && !stretch.silent) {
        // Told by its edge too, not by lightness alone.
        pen.fillStyle = styled('--ink');
        pen.fillRect(x(from), row * tall + 1, wide + 0.5, 2);
        pen.fillRect(x(from), (row + 1) * tall - 3, wide + 0.5, 2);
      }
    });
  }
  pen.restore();
  axis(pen, { left, width, bottom, height }, view, x);
  canvas.setAttribute('aria-label', summary(head, stretches));
}

function axis(pen, { left, width, bottom, height }, view, x) {
  const rough = (view.to - view.from) / Math.max((width - left) / 70, 1);
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600];
  const step = steps.find(step => step >= rough) ?? 1200;
  pen.fillStyle = styled('--faint');
  pen.textAlign = 'center';
  for (let at = Math.ceil(view.from / step) * step; at <= view.to; at += step) {
    const place = x(at);
    pen.fillRect(place, bottom, 1, 4);
    if (place > left + 8 && place < width - 16) pen.fillText(`${Number(at.toFixed(1))} s`, place, height - 7);
  }
  pen.textAlign = 'left';
}

function summary(head, stretches) {
  if (stretches.length === 0) return 'Nothing was said yet';
  const seconds = new Map();
  for (const { stretch, from, to } of cells(stretches)) {
    const label = stretch.silent ? 'silence' : stretch.heads[head.name]?.label;
    if (label !== undefined) seconds.set(label, (seconds.get(label) ?? 0) + to - from);
  }
  const most = [...seconds].sort((one, other) => other[1] - one[1]);
  return `${head.name} over time: ` + most.map(([label, time]) => `${label} ${time.toFixed(1)} s`).join(', ');
}

/** Rows of a table with the same, the newest first, as many as are of use. */
export function tableRows(head, stretches) {
  return stretches.slice(-500).reverse().map(stretch => {
    const row = document.createElement('tr');
    const said = stretch.heads[head?.name] ?? {};
    const told = said.label === undefined
      ? [Object.entries(said.values ?? {}).map(([name, value]) => `${name} ${value.toFixed(2)}`).join(', '), '']
      : [stretch.silent ? `(silence) ${said.label}` : said.label, `${Math.round(100 * said.probability)} %`];
    for (const text of [stretch.start_s.toFixed(2), stretch.end_s.toFixed(2), ...told]) {
      const cell = document.createElement('td');
      cell.textContent = text;
      row.append(cell);
    }
    return row;
  });
}
