// The track as files.

function download(name, kind, text) {
  const link = document.createElement('a');
  const address = URL.createObjectURL(new Blob([text], { type: kind }));
  link.href = address;
  link.download = name;
  link.click();
  // The download has begun by then, in every browser.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

const cell = value => {
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

/** A row a stretch, a column a class: the columns of `emorun predict --format csv`. */
export function csv(heads, stretches) {
  const names = ['file', 'start_s', 'end_s', 'silent'];
  for (const head of heads) {
    if (head.predicts === 'classes') names.push(head.name);
    names.push(...head.outputs.map(output => `${head.name}.${output}`));
  }
  const rows = stretches.map(stretch => {
    const row = [stretch.file, stretch.start_s, stretch.end_s, stretch.silent];
    for (const head of heads) {
      const said = stretch.heads[head.name];
      if (head.predicts === 'classes') row.push(said?.label ?? '');
      row.push(...head.outputs.map(output => (said?.probabilities ?? said?.values)?.[output] ?? ''));
    }
    return row;
  });
  return [names, ...rows].map(row => row.map(cell).join(',') + '\n').join('');
}

/** An object a line, as `emorun predict --format jsonl` writes them. */
export function jsonl(stretches) {
  return stretches.map(({ file, start_s, end_s, silent, heads }) =>
    JSON.stringify({ file, start_s, end_s, silent, heads }) + '\n').join('');
}

/** A label track of Audacity: neighbouring stretches of one label are one, overlapping ones meet half-way. */
export function audacity(head, stretches) {
  const spans = [];
  stretches.forEach((stretch, at) => {
    const label = stretch.silent ? 'silence' : stretch.heads[head]?.label;
    if (label === undefined) return;
    const before = stretches[at - 1], after = stretches[at + 1];
    const meet = (one, other) => other.start_s >= one.end_s ? null : (one.start_s + one.end_s + other.start_s + other.end_s) / 4;
    const start = (before && meet(before, stretch)) ?? stretch.start_s;
    const end = (after && meet(stretch, after)) ?? stretch.end_s;
    const last = spans.at(-1);
    if (last && last.label === label && last.end === start) last.end = end;
    else spans.push({ start, end, label });
  });
  const line = text => text.replace(/\s+/g, ' ');
  return spans.map(({ start, end, label }) => `${start.toFixed(6)}\t${end.toFixed(6)}\t${line(label)}\n`).join('');
}

/** Saves a track in a form: `csv`, `jsonl` or `audacity`, which has the labels of one head. */
export function save(form, heads, head, stretches) {
  if (form === 'csv') download('emotion.csv', 'text/csv', csv(heads, stretches));
  if (form === 'jsonl') download('emotion.jsonl', 'application/x-ndjson', jsonl(stretches));
  if (form === 'audacity') download(`emotion.${head}.txt`, 'text/plain', audacity(head, stretches));
}
