// What is asked of the server.

let token = sessionStorage.getItem('emorun token');

/** Remembers the server's token as long as this tab is open. */
export function setToken(text) {
  token = text;
  sessionStorage.setItem('emorun token', text);
}

/** An answer that is none: the server says why. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function ask(path, options = {}) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  let reply;
  try {
    reply = await fetch(path, { ...options, headers });
  } catch {
    throw new Refusal(0, 'The server does not answer. Is emorun still running?');
  }
  if (reply.ok) return reply;
  const told = await reply.json().catch(() => null);
  throw new Refusal(reply.status, told?.error?.message ?? `the server answered ${reply.status}`);
}

/** The models, what the server takes, and whether it hears words. */
export const describe = async () => (await ask('/v1/models')).json();

/** What a model says of a file: stretches, of the whole or over time. */
export async function predict(model, file, windows) {
  const form = new FormData();
  form.append('file', file);
  const query = new URLSearchParams({ model, ...windows });
  const reply = await ask(`/v1/predict?${query}`, { method: 'POST', body: form });
  const lines = (await reply.text()).split('\n').filter(line => line !== '');
  return lines.map(line => JSON.parse(line));
}

const hexadecimal = text => Array.from(new TextEncoder().encode(text), byte => byte.toString(16).padStart(2, '0')).join('');

/** A stream that takes 16-bit samples and gives events; `ended` hears why it has ended. */
export function openStream(model, rateHz, { event, ended }) {
  const query = new URLSearchParams({ model, rate_hz: rateHz, format: 's16le' });
  const address = new URL(`/v1/stream?${query}`, location.href);
  address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:';
  const protocols = ['emorun.stream'];
  if (token) protocols.push(`emorun.token.${hexadecimal(token)}`);
  const socket = new WebSocket(address, protocols);
  socket.binaryType = 'arraybuffer';
  // What cannot be sent in time is of no use any more.
  const mostWaiting = 4 * rateHz;
  let isOpen = false;
  socket.onopen = () => { isOpen = true; };
  socket.onmessage = message => event(JSON.parse(message.data));
  socket.onclose = close => {
    const busy = 'The server takes no stream now: as many as it takes are open, or it is ending.';
    ended(!isOpen ? busy : close.code === 1000 ? '' : close.reason || 'The connection to the server was lost.');
  };
  return {
    send(samples) {
      if (socket.readyState === WebSocket.OPEN && socket.bufferedAmount < mostWaiting) socket.send(samples);
    },
    /** Ends the sound; what is still to be said comes. */
    finish() {
      if (socket.readyState === WebSocket.OPEN) socket.send(new ArrayBuffer(0));
      else socket.close();
    },
  };
}
