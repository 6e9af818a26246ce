// What is said now: a bar for each class of each head.

function element(name, classes, text) {
  const made = document.createElement(name);
  made.className = classes;
  if (text !== undefined) made.textContent = text;
  return made;
}

function bar(name, share, isLikeliest) {
  const row = element('div', isLikeliest ? 'bar likeliest' : 'bar');
  const percent = Math.round(100 * share);
  const whole = element('div', 'whole'), part = element('div', 'part');
  part.style.width = `${100 * share}%`;
  whole.append(part);
  const title = element('span', 'name', name);
  title.title = name;
  row.append(title, whole, element('span', 'share', `${percent} %`));
  row.setAttribute('role', 'meter');
  row.setAttribute('aria-label', name);
  row.setAttribute('aria-valuemin', '0');
  row.setAttribute('aria-valuemax', '100');
  row.setAttribute('aria-valuenow', String(percent));
  return row;
}

function number(name, value) {
  const row = element('div', 'bar');
  row.append(element('span', 'name', name), element('span', ''), element('span', 'share', value.toFixed(2)));
  return row;
}

/** Shows a stretch's heads in an element, in the order of the model's. */
export function showHeads(place, heads, said) {
  place.replaceChildren(...heads.filter(head => said[head.name]).map(head => {
    const block = element('div', 'head');
    const { label, probabilities, calibrated, values } = said[head.name];
    // What was made as sure as it is right, where that could be.
    const shares = calibrated ?? probabilities;
    const rows = head.predicts === 'classes'
      ? head.outputs.map(name => bar(name, shares[name], name === label))
      : head.outputs.map(name => number(name, values[name]));
    block.append(element('h3', '', head.name), ...rows);
    return block;
  }));
}
