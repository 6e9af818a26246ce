// The microphone, in chunks of 30 ms.

/** Hears the microphone until `stop()` is called; `hear` gets each chunk as floats. Gives its rate and how to stop it. */
export async function openMicrophone(hear, ended) {
  if (!navigator.mediaDevices) {
    throw new Error('This browser gives a microphone to pages at localhost or behind HTTPS only.');
  }
  const media = await navigator.mediaDevices.getUserMedia({
    // The model was trained on sound as it is.
    audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false },
  }).catch(error => { throw new Error(reason(error)); });
  const context = new AudioContext();
  const stop = () => {
    for (const track of media.getTracks()) track.stop();
    return context.state === 'closed' ? undefined : context.close();
  };
  try {
    await context.audioWorklet.addModule('/page/capture.js');
    const capture = new AudioWorkletNode(context, 'capture', { numberOfOutputs: 0, channelCount: 1, channelCountMode: 'explicit' });
    capture.port.onmessage = message => hear(message.data);
    context.createMediaStreamSource(media).connect(capture);
    // A device that is unplugged.
    for (const track of media.getTracks()) track.addEventListener('ended', ended);
    await context.resume();
  } catch (error) {
    await stop();
    throw error;
  }
  return { rateHz: context.sampleRate, stop };
}

function reason(error) {
  if (error.name === 'NotAllowedError') return 'The microphone is not allowed. Allow it in the browser, then start again.';
  if (error.name === 'NotFoundError') return 'There is no microphone.';
  if (error.name === 'NotReadableError') return 'The microphone is used by another program, or was unplugged.';
  return `The microphone cannot be used: ${error.message}`;
}

/** Samples as 16-bit integers, little-endian. */
export function toPcm(samples) {
  const view = new DataView(new ArrayBuffer(2 * samples.length));
  samples.forEach((sample, at) => {
    const value = Math.round(Math.min(Math.max(sample, -1), 1) * 32767);
    view.setInt16(2 * at, value, true);
  });
  return view.buffer;
}
