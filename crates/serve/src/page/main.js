// The page: sound in, what a model says of it out.

import { showHeads } from '/page/bars.js';
import { openMicrophone, toPcm } from '/page/microphone.js';
import { save } from '/page/save.js';
import { describe, openStream, predict, setToken } from '/page/server.js';
import { Spectrogram } from '/page/spectrogram.js';
import { drawTrack, tableRows } from '/page/track.js';

const by = id => document.getElementById(id);
/** Seconds that are shown of a stream. */
const SHOWN_S = 30;
/** How files are cut. */
const WINDOW_S = 3, HOP_S = 1;

let models = [];
let limits = null;
/** What was said, in order of time: `{ file, start_s, end_s, silent, heads }`. */
let stretches = [];
let spectrogram = null;
/** Seconds of a file that is shown as a whole; null for a stream. */
let fileSeconds = null;
let listening = null;
let isBusy = false;

const model = () => models.find(model => model.name === by('model').value);
const head = () => model()?.heads.find(head => head.name === by('head').value) ?? model()?.heads[0];

function tell(text) {
  by('state').textContent = text;
}

function complain(text) {
  by('problem').textContent = text;
  by('problem').hidden = text === '';
}

// What can be done now.
function offer() {
  const isReady = models.length > 0;
  by('microphone').disabled = !isReady || isBusy;
  by('microphone').textContent = listening ? 'Stop microphone' : 'Start microphone';
  by('microphone').setAttribute('aria-pressed', String(listening !== null));
  by('choose').disabled = by('model').disabled = !isReady || isBusy || listening !== null;
  for (const id of ['save-csv', 'save-jsonl']) by(id).disabled = stretches.length === 0;
  by('clear').disabled = stretches.length === 0 || isBusy || listening !== null;
  by('save-audacity').disabled = stretches.length === 0 || head()?.predicts !== 'classes';
  by('level').hidden = listening === null;
}

function option(name) {
  const made = document.createElement('option');
  made.value = made.textContent = name;
  return made;
}

async function load() {
  try {
    const told = await describe();
    ({ models, limits } = told);
    by('transcript-card').hidden = !told.transcripts;
    by('model').replaceChildren(...models.map(model => option(model.name)));
    by('token-form').hidden = true;
    complain('');
    chooseModel();
    tell('Ready.');
  } catch (error) {
    by('token-form').hidden = error.status !== 401;
    if (error.status === 401) by('token').focus();
    tell(error.status === 401 ? 'The server asks for its token.' : 'Not ready.');
    complain(error.status === 401 ? '' : error.message);
  }
  offer();
}

function chooseModel() {
  const heads = model()?.heads ?? [];
  by('head').replaceChildren(...heads.map(head => option(head.name)));
  by('head-field').hidden = heads.length < 2;
  clear();
}

function clear() {
  stretches = [];
  spectrogram = null;
  fileSeconds = null;
  by('transcript').textContent = '';
  by('label').textContent = '–';
  by('heads').replaceChildren();
  draw();
}

function view() {
  if (fileSeconds !== null) return { from: 0, to: Math.max(fileSeconds, 0.1) };
  const heard = spectrogram ? spectrogram.heard / spectrogram.rateHz : 0;
  const to = Math.max(heard, SHOWN_S);
  return { from: to - SHOWN_S, to };
}

function draw() {
  const shown = view();
  drawTrack(by('track'), head(), stretches, shown);
  if (spectrogram) spectrogram.draw(by('spectrogram'), shown);
  else by('spectrogram').width = by('spectrogram').width;
  by('span').textContent = `${shown.from.toFixed(1)} s to ${shown.to.toFixed(1)} s. The likelier, the stronger the colour; lines mark the chosen label.`;
  by('rows').replaceChildren(...tableRows(head(), stretches));
  offer();
}

// Drawn once however much has come since the picture before.
let willDraw = false;
function drawSoon() {
  if (willDraw) return;
  willDraw = true;
  requestAnimationFrame(() => {
    willDraw = false;
    draw();
  });
}

/** Shows what is said now; the label is read out when it changes. */
function showNow(heads, note = '') {
  const first = model().heads.find(head => heads[head.name]);
  const label = note || heads[first?.name]?.label || 'see below';
  if (by('label').textContent !== label) by('label').textContent = label;
  showHeads(by('heads'), model().heads, heads);
}

async function hearFile(file) {
  if (isBusy || listening || models.length === 0) return;
  complain('');
  if (file.size > limits.body_bytes) {
    complain(`${file.name} is larger than the ${Math.floor(limits.body_bytes / 2 ** 20)} MiB that the server takes.`);
    return;
  }
  clear();
  isBusy = true;
  tell(`${file.name}: the model hears it…`);
  offer();
  try {
    const name = model().name;
    stretches = await predict(name, file, { window: WINDOW_S, hop: HOP_S });
    fileSeconds = stretches.at(-1).end_s;
    const isLong = fileSeconds > limits.clip_seconds;
    // A short file is one window.
    const whole = isLong || stretches.length === 1 ? stretches[0] : (await predict(name, file, {}))[0];
    showNow(whole.heads, isLong ? 'see over time' : '');
    const note = isLong ? '; the bars are those of its first seconds' : whole.silent ? ', silent' : '';
    tell(`${file.name}: ${fileSeconds.toFixed(2)} s${note}.`);
    draw();
    await drawSound(file);
  } catch (error) {
    complain(`${file.name}: ${error.message}`);
    tell('Ready.');
  } finally {
    isBusy = false;
    draw();
  }
}

async function drawSound(file) {
  const context = new OfflineAudioContext(1, 1, 16_000);
  try {
    const sound = await context.decodeAudioData(await file.arrayBuffer());
    spectrogram = new Spectrogram(sound.sampleRate);
    spectrogram.hear(sound.getChannelData(0));
  } catch {
    by('state').textContent += ' This browser cannot decode it for a spectrogram.';
  }
}

async function startListening() {
  complain('');
  isBusy = true;
  tell('Asking for the microphone…');
  offer();
  try {
    let stream = null;
    const microphone = await openMicrophone(samples => {
      stream?.send(toPcm(samples));
      spectrogram?.hear(samples);
      showLevel(samples);
      drawSoon();
    }, () => {
      complain('The microphone was unplugged.');
      stopListening();
    });
    clear();
    spectrogram = new Spectrogram(microphone.rateHz);
    stream = openStream(model().name, microphone.rateHz, { event: hearEvent, ended: reason => endListening(reason) });
    listening = { microphone, stream };
    tell('Listening.');
  } catch (error) {
    complain(error.message);
    tell('Ready.');
  }
  isBusy = false;
  draw();
}

function stopListening() {
  if (!listening) return;
  tell('Finishing…');
  listening.microphone.stop();
  listening.stream.finish();
}

function endListening(reason) {
  if (!listening) return;
  listening.microphone.stop();
  listening = null;
  if (reason) complain(reason);
  tell('Ready.');
  draw();
}

function showLevel(samples) {
  const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
  const db = Math.max(10 * Math.log10(power + 1e-12), -60);
  by('level').firstElementChild.style.width = `${100 * (1 + db / 60)}%`;
  by('level').setAttribute('aria-valuenow', String(Math.round(db)));
}

function hearEvent(event) {
  if (event.event === 'update') {
    const heads = {};
    for (const [name, said] of Object.entries(event.heads)) {
      // What is shown moves less than what each update says.
      heads[name] = said.label === undefined
        ? { values: said.smoothed }
        : { label: said.label, probability: said.smoothed[said.label], probabilities: said.smoothed, calibrated: said.calibrated };
    }
    const before = stretches.at(-1)?.end_s ?? 0;
    stretches.push({ file: 'microphone', start_s: Math.max(before, event.from_s), end_s: event.to_s, silent: false, heads });
    // An update may repeat the end of the one before.
    if (stretches.at(-1).end_s <= stretches.at(-1).start_s) stretches.pop();
    showNow(heads);
    if (!event.last) tell('Listening: speech.');
  } else if (event.event === 'not_enough' && !event.last) {
    tell('Listening: not enough heard yet.');
  } else if (event.event === 'speech_ended') {
    tell('Listening.');
  } else if (event.event === 'text' || event.event === 'partial') {
    by('transcript').textContent += `${event.text}\n`;
  }
  drawSoon();
}

by('microphone').addEventListener('click', () => listening ? stopListening() : startListening());
by('choose').addEventListener('click', () => by('file').click());
by('file').addEventListener('change', () => {
  const [file] = by('file').files;
  by('file').value = '';
  if (file) hearFile(file);
});
by('model').addEventListener('change', chooseModel);
by('head').addEventListener('change', draw);
by('clear').addEventListener('click', clear);
for (const form of ['csv', 'jsonl', 'audacity']) {
  by(`save-${form}`).addEventListener('click', () => save(form, model().heads, head()?.name, stretches));
}
by('token-form').addEventListener('submit', event => {
  event.preventDefault();
  setToken(by('token').value);
  load();
});
document.addEventListener('dragover', event => {
  event.preventDefault();
  document.body.classList.add('dropping');
});
document.addEventListener('dragleave', event => {
  if (!event.relatedTarget) document.body.classList.remove('dropping');
});
document.addEventListener('drop', event => {
  event.preventDefault();
  document.body.classList.remove('dropping');
  const [file] = event.dataTransfer.files;
  if (file) hearFile(file);
});
window.addEventListener('resize', drawSoon);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawSoon);

load();
